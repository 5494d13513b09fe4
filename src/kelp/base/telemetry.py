"""What Kelp says of itself: one line of logfmt a message, on standard error.

Modules use the standard library as it is: `logging.getLogger(__name__)`, a constant text, and what
varies in `extra={…}`. One line a message means that the agent can read its own container's log as
any other. Left out on purpose: log files, rotation, colours; the runtime or journald does that.

Format: https://brandur.org/logfmt
"""

from __future__ import annotations

import logging
import sys
import time
from typing import TextIO

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING}

# What a record has of itself; everything else came by `extra`.
_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def set_up_logging(level: str, stream: TextIO | None = None) -> None:
    """Send all log messages of the process from `level` on to `stream` (standard error)."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(LogfmtFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    set_log_level(level)


def set_log_level(level: str) -> None:
    """`level` is debug, info, warning or error; other libraries' chatter begins at warning."""
    number = _LEVELS.get(level, logging.ERROR)
    logging.getLogger().setLevel(max(number, logging.WARNING))
    logging.getLogger("kelp").setLevel(number)


class LogfmtFormatter(logging.Formatter):
    """`time=… level=… logger=… msg=…`, then the extra fields in the order of their names."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, whatever the message holds."""
        fields = {
            "time": _timestamp(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "msg": record.getMessage(),
        }
        fields |= {k: v for k, v in sorted(vars(record).items()) if k not in _OWN}
        if record.exc_info and record.exc_info[0]:
            fields["traceback"] = self.formatException(record.exc_info)
        return " ".join(f"{_name(k)}={_value(v)}" for k, v in fields.items())


def _timestamp(seconds: float) -> str:
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{whole}.{int(seconds % 1 * 1000):03d}Z"


def _name(name: str) -> str:
    return "".join("_" if c in ' ="' or not c.isprintable() else c for c in name)


def _value(value: object) -> str:
    text = str(value)
    if text and text.isprintable() and not any(c in ' ="\\' for c in text):
        return text
    return '"' + "".join(_ESCAPES.get(c) or _visible(c) for c in text) + '"'


_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def _visible(character: str) -> str:
    if character.isprintable():
        return character
    return character.encode("unicode_escape").decode()
