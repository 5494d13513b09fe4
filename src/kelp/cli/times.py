"""Times as people write and read them on a command line; the machine's time zone is theirs.

What the server takes (RFC 3339, epoch numbers, durations) is read by the server's own parser.
"""

from __future__ import annotations

import re
import time
from datetime import datetime

from kelp.base.errors import KelpError
from kelp.server.http.times import parse_duration, parse_time

_NS = 1_000_000_000
_LOCAL = re.compile(
    r"(?:(\d{4})-(\d\d)-(\d\d))?(?:[T ]|^)?(?:(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?)?"
)


def duration_ns(text: str) -> int:
    """`10m`, `1h30m`, `7d`; raises KelpError."""
    try:
        ns = parse_duration(text)
    except ValueError:
        raise KelpError(f'expected a duration such as 10m, 1h30m or 7d; got "{text}"') from None
    if ns < 0:
        raise KelpError(f'expected a duration that is not negative; got "{text}"')
    return ns


def moment_ns(text: str, now_ns: int) -> int:
    """A time, or a duration before now, in nanoseconds since the epoch; raises KelpError.

    Without a zone they are local: `2026-11-20`, `2026-11-20 10:11:12`, `10:11` (today's).
    """
    if text == "now":
        return now_ns
    is_number = text.lstrip("+-").replace(".", "", 1).isdigit()  # a time, not seconds before now
    for read in (parse_time,) if is_number else (parse_time, lambda t: now_ns - parse_duration(t)):
        try:
            return read(text)
        except ValueError:
            continue
    local = _local_ns(text, now_ns)
    if local is None:
        raise KelpError(
            "expected a time such as 2026-11-20T10:11:12Z, 2026-11-20 10:11 or 10:11 (local), "
            f'or a duration before now such as 10m; got "{text}"'
        )
    return local


def _local_ns(text: str, now_ns: int) -> int | None:
    match = _LOCAL.fullmatch(text)
    if not match or not (match[1] or match[4]):
        return None
    today = datetime.fromtimestamp(now_ns // _NS)
    day = (match[1], match[2], match[3]) if match[1] else (today.year, today.month, today.day)
    clock = (match[4] or 0, match[5] or 0, match[6] or 0)
    try:
        year, month, date, hour, minute, second = (int(part) for part in (*day, *clock))
        whole = int(datetime(year, month, date, hour, minute, second).timestamp())
    except (ValueError, OverflowError):
        return None
    return whole * _NS + int((match[7] or "").ljust(9, "0"))


def format_ns(time_ns: int) -> str:
    """RFC 3339 in the local zone with nanoseconds, always of the same width."""
    seconds, ns = divmod(time_ns, _NS)
    local = time.localtime(seconds)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', local)}.{ns:09d}{_zone(local)}"


def format_utc_ns(time_ns: int) -> str:
    """RFC 3339 in UTC with nanoseconds, for machines."""
    seconds, ns = divmod(time_ns, _NS)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{ns:09d}Z"


def format_clock(time_ns: int, now_ns: int) -> str:
    """Local time of day, with the date where that is not today."""
    local, today = time.localtime(time_ns // _NS), time.localtime(now_ns // _NS)
    same_day = local[:3] == today[:3]
    return time.strftime("%H:%M:%S" if same_day else "%Y-%m-%d %H:%M:%S", local)


def _zone(local: time.struct_time) -> str:
    offset = local.tm_gmtoff or 0
    if offset == 0:
        return "Z"
    sign = "-" if offset < 0 else "+"
    return f"{sign}{abs(offset) // 3600:02d}:{abs(offset) % 3600 // 60:02d}"
