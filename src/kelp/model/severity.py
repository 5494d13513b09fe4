"""Severity: the numbers of OpenTelemetry and the words that the field uses for them.

Source: https://opentelemetry.io/docs/specs/otel/logs/data-model/#field-severitynumber
"""

from __future__ import annotations

UNSET, TRACE, DEBUG, INFO, WARN, ERROR, FATAL = 0, 1, 5, 9, 13, 17, 21

# Words in lower case → number. NOTICE is INFO2 and CRITICAL, ALERT, EMERGENCY are above ERROR,
# as OpenTelemetry's appendix maps syslog and the common logging libraries.
NUMBER_OF_WORD: dict[str, int] = {
    "trace": TRACE, "trc": TRACE, "trce": TRACE, "finest": TRACE, "verbose": TRACE, "silly": TRACE,
    "debug": DEBUG, "dbg": DEBUG, "debu": DEBUG, "dbug": DEBUG, "fine": DEBUG, "finer": DEBUG,
    "config": DEBUG,
    "info": INFO, "inf": INFO, "information": INFO, "informational": INFO, "log": INFO,
    "notice": INFO + 1, "note": INFO + 1,
    "warn": WARN, "warning": WARN, "wrn": WARN,
    "error": ERROR, "err": ERROR, "eror": ERROR, "fail": ERROR, "severe": ERROR,
    "critical": ERROR + 1, "crit": ERROR + 1, "dpanic": ERROR + 1,
    "alert": ERROR + 2,
    "fatal": FATAL, "ftl": FATAL, "panic": FATAL, "emerg": FATAL, "emergency": FATAL,
}  # fmt: skip

# syslog's priorities 0 (emerg) … 7 (debug), by the same appendix.
NUMBER_OF_PRIORITY = (FATAL, ERROR + 2, ERROR + 1, ERROR, WARN, INFO + 1, INFO, DEBUG)


def level_of(number: int) -> str:
    """Loki's `detected_level` for a severity number: trace … fatal, or unknown for 0."""
    if not 0 < number <= 24:
        return "unknown"
    if number in (ERROR + 1, ERROR + 2):
        return "critical"
    return ("trace", "debug", "info", "warn", "error", "fatal")[(number - 1) // 4]
