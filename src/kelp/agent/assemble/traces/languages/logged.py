r"""The logger's own line before the trace of what it logged.

    2026-11-20 10:11:12 ERROR [main] c.e.App - request failed
    java.lang.IllegalStateException: message
        at …

Logback, log4j, java.util.logging and Python's logging write the event in one piece; its line has
the time and the level, so it belongs to the trace. A line that tells no trouble (INFO) is left
alone: more often than not the trace behind it is another one's.
"""

from __future__ import annotations

from kelp.agent.assemble.traces.languages.java import STRONG
from kelp.agent.assemble.traces.rules import LOG_HEAD, Language, bears, begin, joins

_TROUBLE = rb"(?i:err(?:or)?|warn(?:ing)?|fatal|severe|crit(?:ical)?|panic|alert|emerg)\b"

LOGGED = Language(
    starts=(
        begin(LOG_HEAD + rb".{0,64}?\b" + _TROUBLE, "logged.line"),
        begin(rb"^" + _TROUBLE + rb".{0,60}?[:\]-]", "logged.line"),
        begin(rb"^[EFW]\d{4} \d\d:", "logged.line"),
        begin(rb"^\[Nest\] \d+ .*\bERROR\b", "logged.line"),
        begin(rb"^Internal Server Error: /", "logged.line"),  # Django's
    ),
    states={
        "logged.line": (
            joins(rb"^Traceback \(", "python.begun"),
            joins(rb"^[\t ]+\+ Exception Group Traceback", "python.group"),
            joins(rb"^goroutine \d+ \[", "go.frames"),
            bears(STRONG, "at.head"),
        ),
    },
)
