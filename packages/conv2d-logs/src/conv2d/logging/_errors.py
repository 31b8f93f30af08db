"""A user's mistake: told in one paragraph, with the exit code that scripts see."""

USAGE = 2
MISSING_TOOL = 5
INTERNAL = 70


class UserError(ValueError):
    """What the user gave cannot be used; the text says what, the rule and the way out.

    Exit codes are grep's: 0 found, 1 found nothing, 2 wrong use or a file that cannot be read.
    """


class MissingToolError(ModuleNotFoundError):
    """A library is not installed; the text names the extra that brings it."""
