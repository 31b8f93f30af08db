"""Run the commands of `conv2d pack` alone: ``python -m conv2d.packaging``."""

from conv2d.packaging.cli import app

if __name__ == "__main__":
    app(prog_name="conv2d pack")
