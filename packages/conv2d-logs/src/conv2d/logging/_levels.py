"""Level names and their numbers; the names that other producers of JSON logs use are understood too."""

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}

_ALIASES = {
    "trace": "debug",
    "verbose": "debug",
    "information": "info",
    "success": "info",
    "notice": "info",
    "msg": "info",
    "warn": "warning",
    "err": "error",
    "exception": "error",
    "fatal": "critical",
    "crit": "critical",
    "panic": "critical",
    "alert": "critical",
    "emergency": "critical",
}


def level_name(level: object) -> str | None:
    """Return the level's name among `LEVELS`, None when it is none; numbers take the level at or below them.

    Example
    -------
    >>> level_name("WARN"), level_name(40), level_name(25), level_name("loud")
    ('warning', 'error', 'info', None)
    """
    if isinstance(level, bool):
        return None
    if isinstance(level, int | float):
        below = [name for name, number in LEVELS.items() if number <= level]
        return below[-1] if below else "debug"
    if not isinstance(level, str):
        return None
    name = level.strip().lower()
    return name if name in LEVELS else _ALIASES.get(name)


def check_level(level: object, argument: str = "level") -> str:
    """Return the level's name.

    Raises
    ------
    ValueError
        If it is no level.
    """
    name = level_name(level)
    if name is None:
        raise ValueError(f"{argument} must be one of {', '.join(LEVELS)}, or a number; got {level!r}")
    return name
