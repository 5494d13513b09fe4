"""What a rule set is made of: how a trace of some language begins, and what may follow what.

A language is a small automaton over lines. A rule leads from a state to the next one where its
pattern is found in the line; it `joins` where the line proves that the trace goes on up to here,
and else the line is only borne for the moment (a blank line between two goroutines, the second
line of a message): it belongs to the trace if a line that joins comes soon, and otherwise it was
a record of its own.

A line that looks like a logger's own is never merely borne, whatever the rules say: where one
stands, what began before it has ended, unless it is a frame. Patterns are RE2's, over bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

# Only this much of a line is looked at: what tells a frame from text stands at its beginning.
LOOKED_AT_BYTES = 2048

# Prefixes of evidence: of an indented line; of one without a byte.
SPACE = (b"\t", b" ")
EMPTY = b"\0"

# The state of a trace that is whole: nothing may follow.
END = ""


@dataclass(frozen=True)
class Rule:
    """Where `pattern` is found in a line, the automaton goes to the state `to`."""

    pattern: bytes | None  # None: a line that is no logger's own
    to: str
    joins: bool


@dataclass(frozen=True)
class Language:
    """One rule set.

    Of the first rows of every trace, at least one must begin with a prefix and match the pattern
    of `evidence`: only near such lines are traces looked for. A prefix has one or two bytes.
    """

    starts: Sequence[Rule]
    states: Mapping[str, Sequence[Rule]]
    evidence: Sequence[tuple[Sequence[bytes], bytes]] = field(default=())  # (prefixes, pattern)


def begin(pattern: bytes, to: str) -> Rule:
    """A line that may be the first one of a trace."""
    return Rule(pattern, to, joins=False)


def joins(pattern: bytes, to: str = END) -> Rule:
    """A line that belongs to the trace, with all before it."""
    return Rule(pattern, to, joins=True)


def bears(pattern: bytes, to: str) -> Rule:
    """A line that belongs to the trace if what follows does."""
    return Rule(pattern, to, joins=False)


def message(to: str) -> Rule:
    """A line of a message: one that neither looks like a log line nor begins a trace itself."""
    return Rule(None, to, joins=False)


def text(to: str) -> Rule:
    """A line that belongs to the record because it looks like none of its own."""
    return Rule(None, to, joins=True)


# How a line begins that a logger wrote: a date, a time, klog's head, a level.
_LEVELS = rb"TRACE|DEBUG|INFO|NOTICE|WARN(?:ING)?|ERROR|SEVERE|FATAL|CRITICAL|CRIT|ALERT|EMERG"
LOG_HEAD = (
    rb"^(?:\d{4}[-/.]\d\d[-/.]\d\d|\d\d?[-/.]\w{2,3}[-/.]\d{2,4}|\d\d:\d\d:\d\d|[IWEF]\d{4} \d\d:"
    rb"|[A-Z][a-z]{2} +\d{1,2},? [\d:]{4,8}|\[ ?\d{2,4}[-/.:]|\[(?:" + _LEVELS + rb"|[a-z]{4,8})\]"
    rb"|(?:" + _LEVELS + rb")\b|(?:time|ts|level|lvl|msg)=)"
)
LOG_LINE = LOG_HEAD + rb'|^\{ ?"|^<\d+>|^\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3} '
