r"""Where a severity may stand in a line that is no JSON, as patterns of RE2.

docs/reference/severity.md says the same in words. The head of a line is skipped as long as it is
made of what stands before a severity (times, numbers, brackets, separators …); the first thing
that is none of these ends the search, so that a word in a sentence is never taken. Every pattern
is anchored and ours, so its cost is bounded by the head of a line.
"""

from __future__ import annotations

import re

from kelp.model.severity import NUMBER_OF_WORD

# Words that are common in text and as names; they count only in capitals and with a delimiter.
WEAK = frozenset({"log", "config", "fine", "finer", "finest", "silly", "verbose"})
STRONG = tuple(sorted(set(NUMBER_OF_WORD) - WEAK, key=lambda w: (-len(w), w)))

# Keys of a severity in JSON and logfmt. `level` goes before the others wherever it stands; these
# are compared without regard to case, and the first of them counts.
KEYS = (
    "level", "severity", "lvl", "log.level", "@l", "@level", "levelname", "level_name", "loglevel",
    "log_level", "severity_text", "severitytext", "severity_number", "severitynumber",
)  # fmt: skip
# Those whose numbers are OpenTelemetry's; numbers under the others are pino's, syslog's, Monolog's.
NUMBER_KEYS = frozenset({"severity_number", "severitynumber"})

_ANY = "(?i:" + "|".join(STRONG) + ")"
_CAPS = "(?:" + "|".join(w.upper() for w in STRONG) + ")"
_WEAK_CAPS = "(?:" + "|".join(sorted(w.upper() for w in WEAK)) + ")"
_KEY = "(?i:" + "|".join(k.replace(".", r"\.") for k in KEYS if k not in NUMBER_KEYS) + ")"

# Between tokens: blanks, and colours (ANSI SGR).
_S = r"(?:[ \t]|\x1b\[[0-9;]*m)"

_SKIPS = (
    rf"[0-9][0-9A-Za-z:.,/+_-]*{_S}+",  # times, dates, numbers, addresses
    rf"\[[^\]]*\]{_S}*",  # [main]
    rf"\([^)]*\){_S}*",  # (main)
    r"- [A-Za-z_][0-9A-Za-z_.]*[a-z][0-9A-Za-z_.]* - "
    rf"{_S}*",  # - a.logger -
    rf"[-|:*#>]+{_S}+",
    r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun|Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec"
    rf"|UTC|GMT|AM|PM|PHP),?{_S}+",
    rf"[0-9A-Za-z_.-]+@[0-9A-Za-z_.-]+{_S}+",  # PostgreSQL's user@database
    rf"[DIWEFA],{_S}+",  # Ruby's logger
)
_OPEN = r"[\[<(] *(?:[a-z0-9_]+:)?"  # [error], <info>, [core:error]

# The class of a word says what must follow it.
_SEVERITY = (
    rf"(?P<caps>{_CAPS})(?:{_S}|[:,|\])>]|\z)"
    rf"|(?P<any>{_ANY})(?:\t| *[\])>]|:(?:{_S}|\z))"
    rf"|(?P<weak>{_WEAK_CAPS}) *[:\])>]"
    rf'|{_KEY}="?(?P<value>{_ANY})"?(?:{_S}|\z)'
)
_SKIPPED = rf"^{_S}*(?:{'|'.join(_SKIPS)})"

LEADING = rf"{_SKIPPED}*?(?:{_OPEN})?(?:{_SEVERITY})"
"""A word in the head of a line."""

ANYWHERE = re.sub(r"\(\?P<\w+>", "(?:", _SEVERITY)
"""The same words with what follows them, wherever they stand."""

BEFORE_LEADING = rf"{_SKIPPED}*(?:{_OPEN})?\z"
"""All that may stand before the word of LEADING, or before its key."""

_QUOTED = r'"(?:[^"\\]|\\(?s:.))*"'
LOGFMT = rf"^{_S}*[A-Za-z_@][0-9A-Za-z_.@/-]*="
"""A line that begins with key=."""

_FIELD = rf'[^ \t\x1b="]+(?:=(?:{_QUOTED}|[^ \t\x1b"][^ \t\x1b]*)?)?{_S}+'
_VALUE = rf'"?(?P<value>{_ANY})"?(?:{_S}|\z)'

LOGFMT_FIELDS = rf"^{_S}*(?:{_FIELD})*\z"
"""Whole fields and nothing else."""

LOGFMT_LEVEL = rf"^{_S}*(?:{_FIELD})*?level={_VALUE}"
"""The first `level` whose value is a known word."""

LOGFMT_OTHER = rf"^{_S}*(?:{_FIELD})*?{_KEY}={_VALUE}"
"""The first known key, in any case, whose value is a known word."""

SYSLOG = r"^<(?P<priority>1[0-8][0-9]|19[01]|[1-9]?[0-9])>"
"""Kernel and syslog priority: facility * 8 + severity."""

REDIS = (
    r"^[0-9]+:[XCSM] [0-9]{2} [A-Z][a-z]{2} (?:[0-9]{4} )?[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3} "
    r"(?P<sign>[.*#-]) "
)

_CLF_TIME = r"\[[0-9]{2}/[A-Za-z]{3}/[0-9]{4}:[0-9]{2}:[0-9]{2}:[0-9]{2} .[0-9]{4}\]"
_END_OF_STATUS = r"(?: |\z)"
ACCESS = (
    rf"^[0-9A-Fa-f][^ \[(]* [^\[(]*{_CLF_TIME} {_QUOTED} (?P<clf>[1-5][0-9]{{2}}){_END_OF_STATUS}"
    r"|^[0-9][^ \[(]*:[0-9]+ \[[0-9]{2}/[A-Za-z]{3}/[0-9]{4}:[0-9:.]+\] [^ ]+ [^ /]+/[^ ]+ "
    r"[0-9+-]+(?:/[0-9+-]+){4} "
    r"(?P<haproxy>[1-5][0-9]{2}) "
    r"|^\[[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z\] "
    rf"{_QUOTED} (?P<envoy>[1-5][0-9]{{2}}){_END_OF_STATUS}"
)
"""Access logs: common log format and what goes on from it, HAProxy, Envoy."""
