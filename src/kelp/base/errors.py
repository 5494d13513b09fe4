"""Errors that are somebody's to mend: their text says what was expected, what came, what to do."""


class KelpError(Exception):
    """Shown to the user as one line, without a traceback."""


class ConfigError(KelpError):
    """The configuration cannot be used; the text names file, line and column where known."""
