"""Times, durations and steps as clients of Loki and Prometheus write them, to nanoseconds.

Sources: https://grafana.com/docs/loki/latest/reference/loki-http-api/#timestamps,
https://pkg.go.dev/time#ParseDuration and
https://prometheus.io/docs/prometheus/latest/querying/basics/#float-literals-and-time-durations.
Nothing here goes through a float: nanoseconds since 1970 do not fit into one.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

MAX_STEPS = 11_000
_DEFAULT_STEPS = 250

# An int64 of nanoseconds, which is what everything behind this can hold: the years 1677 to 2262.
MAX_NS = (1 << 63) - 1
_SECONDS_DIGITS = 10  # integers of up to so many digits are seconds, as in Loki

_NUMBER = re.compile(r"[+-]?(\d{1,20}(\.\d{0,20})?|\.\d{1,20})([eE][+-]?\d{1,2})?", re.ASCII)
_RFC3339 = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:[.,](\d{1,9})\d*)?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)
_PART = re.compile(r"(\d{1,18}(?:\.\d{0,18})?|\.\d{1,18})(ns|us|µs|μs|ms|s|m|h|d|w|y)", re.ASCII)
_UNITS = {
    "ns": 1, "us": 1_000, "µs": 1_000, "μs": 1_000, "ms": 1_000_000, "s": SECOND, "m": MINUTE,
    "h": HOUR, "d": DAY, "w": 7 * DAY, "y": 365 * DAY,
}  # fmt: skip


def parse_time(text: str) -> int:
    """Nanoseconds since the epoch; ValueError where it is no time or does not fit into 64 bits."""
    if _NUMBER.fullmatch(text):
        plain = text.lstrip("+-").isdigit()
        is_ns = plain and len(text.lstrip("+-")) > _SECONDS_DIGITS
        return _fitting(int(text) if is_ns else _seconds(text))
    match = _RFC3339.fullmatch(text)
    if not match:
        raise ValueError("no time")
    day, clock, fraction, zone = match.groups()
    zone = "+00:00" if zone in "Zz" else zone
    moment = datetime.fromisoformat(f"{day}T{clock}{zone}")
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    whole = since.days * 86400 + since.seconds
    return _fitting(whole * SECOND + int((fraction or "").ljust(9, "0")))


def parse_duration(text: str) -> int:
    """Nanoseconds of `1h30m` or of a number of seconds; ValueError where it is neither."""
    if _NUMBER.fullmatch(text):
        return _fitting(_seconds(text))
    sign, body = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    total, at = Decimal(0), 0
    for match in _PART.finditer(body):
        if match.start() != at:
            break
        total += Decimal(match[1]) * _UNITS[match[2]]
        at = match.end()
    if not body or at != len(body):
        raise ValueError("no duration")
    return _fitting(sign * int(total))


def default_step(start_ns: int, end_ns: int) -> int:
    """Loki's: a 250th of the range, in whole seconds, and one second at the least."""
    return max((end_ns - start_ns) // (_DEFAULT_STEPS * SECOND), 1) * SECOND


def format_duration(ns: int) -> str:
    """For messages: seconds with what fraction there is."""
    return f"{Decimal(ns) / SECOND:f}s"


def _seconds(text: str) -> int:
    try:
        return int(Decimal(text) * SECOND)
    except InvalidOperation as e:
        raise ValueError("no number") from e


def _fitting(ns: int) -> int:
    if abs(ns) > MAX_NS:
        raise ValueError("out of range")
    return ns
