"""Run the command `conv2d-edge` as ``python -m conv2d_edge``."""

from conv2d_edge.cli import main

if __name__ == "__main__":
    main()
