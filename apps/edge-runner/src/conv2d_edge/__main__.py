"""The command ``conv2d-edge``, also as ``python -m conv2d_edge``."""

import sys


def main() -> None:
    """Load the command and run it; Ctrl-C ends with 130 while it loads, too.

    Examples
    --------
    >>> import sys
    >>> sys.argv = ["conv2d-edge", "serve", "--bundle", "nowhere"]
    >>> main()
    Traceback (most recent call last):
    ...
    SystemExit: 2
    """
    try:
        from conv2d_edge.cli import main as command

        command()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
