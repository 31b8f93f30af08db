"""The one error of this wheel."""


class DataError(ValueError):
    """Recordings, windows or splits break a rule: the message says what, where, the rule and the fix.

    Examples
    --------
    >>> from conv2d.data import read_recordings
    >>> read_recordings("no/such/folder")
    Traceback (most recent call last):
        ...
    conv2d.data...DataError: ...no/such/folder does not exist...
    """
