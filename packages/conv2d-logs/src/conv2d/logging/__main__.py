"""The command ``conv2d-logs``, also as ``python -m conv2d.logging``."""

import sys


def main() -> None:
    """Load the command and run it; Ctrl-C ends with 130 while it loads, too."""
    try:
        from conv2d.logging.cli import main as command

        command()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
