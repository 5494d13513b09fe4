"""The time that a line gives itself, as one value; when it happened by the program's own clock.

The agent reads the times of plain files by column (agent.assemble.linetime). Here one text is read
at a time: of a line that somebody looks at, in whatever way its library writes times.

    2026-11-20T10:11:12.123456789+01:00   RFC 3339; also with a blank, a comma, slashes, no zone
    1795169472.123, 1795169472123         seconds, or milli-, micro-, nanoseconds by their size
    20/Nov/2026:10:11:12.655 +0000        common log format, HAProxy
    1120 10:11:12.123456                  klog
    Nov 20 10:11:12.123                   syslog
    Fri, 20 Nov 2026 10:11:12 GMT         HTTP
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo

_NS = 1_000_000_000
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTH = f"(?P<name>{'|'.join(_MONTHS)})"
_CLOCK = r"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)(?:[.,](?P<fraction>\d{1,9})\d*)?"
_ZONE = r" ?(?P<zone>Z|z|UTC|GMT|[+-]\d\d:?\d\d)?(?: [A-Z]{1,5})?"
# Each is matched against the whole of a text of bounded length, without nested repetition.
_FORMS = tuple(
    re.compile(form, re.ASCII)
    for form in (
        rf"(?P<year>\d{{4}})[-/](?P<month>\d\d)[-/](?P<day>\d\d)[Tt _]{_CLOCK}{_ZONE}",
        rf"(?P<day>\d\d?)/{_MONTH}/(?P<year>\d{{4}}):{_CLOCK}{_ZONE}",
        rf"[IWEF]?(?P<month>\d\d)(?P<day>\d\d) {_CLOCK}",
        rf"{_MONTH} {{1,2}}(?P<day>\d\d?) {_CLOCK}",
        rf"(?:[A-Z][a-z]{{2}}, )?(?P<day>\d\d?) {_MONTH} (?P<year>\d{{4}}) {_CLOCK}{_ZONE}",
    )
)
_EPOCH = re.compile(
    r"(?P<whole>\d{1,19})(?:\.(?P<fraction>\d{1,18}))?(?:[eE]\+?(?P<power>\d{1,2}))?"
)
_MAX_TEXT = 64
_YEARS_BACK = 9  # eight years may lie between two 29 February
_MAX_S = 9_223_372_036  # what int64 nanoseconds can hold


def event_time_ns(text: str, reference_ns: int, zone: tzinfo = UTC) -> int | None:
    """Nanoseconds since the epoch, UTC; None where the text is no time that is known here.

    `reference_ns` is when the line was read: a time without a year is of the latest year in which
    it lies at most a day behind that. `zone` is that of times which name none.
    """
    text = text.strip()
    if len(text) > _MAX_TEXT:
        return None
    if (epoch := _EPOCH.fullmatch(text)) is not None:
        return _of_epoch(epoch)
    for form in _FORMS:
        if (match := form.fullmatch(text)) is not None:
            return _of_calendar(match.groupdict(), reference_ns, zone)
    return None


def _of_epoch(match: re.Match[str]) -> int | None:
    """By its size: seconds until the year 5138, then milli-, micro- and nanoseconds."""
    fraction = match["fraction"] or ""
    power = int(match["power"] or 0)
    digits = (match["whole"] + fraction).lstrip("0") or "0"
    point = len(digits) - len(fraction) + power  # digits before the point
    if point > 19:
        return None
    shift = 9 if point <= 11 else 6 if point <= 14 else 3 if point <= 17 else 0
    scale = shift + power - len(fraction)
    value = int(digits)
    found = value * 10**scale if scale >= 0 else value // 10**-scale
    return found if found // _NS <= _MAX_S else None


def _of_calendar(part: dict[str, str | None], reference_ns: int, zone: tzinfo) -> int | None:
    month = _MONTHS.index(part["name"]) + 1 if part.get("name") else int(part["month"] or 0)
    written = part.get("year")
    last = datetime.fromtimestamp(reference_ns // _NS, UTC).year + 1
    for year in [int(written)] if written else range(last, last - _YEARS_BACK - 1, -1):
        found = _in_year(part, year, month, zone)
        if found is not None and (written or found <= reference_ns + 86_400 * _NS):
            return found
    return None


def _in_year(part: dict[str, str | None], year: int, month: int, zone: tzinfo) -> int | None:
    second = int(part["second"] or 0)
    try:
        minute = datetime(
            year, month, int(part["day"] or 0), int(part["hour"] or 0), int(part["minute"] or 0),
            tzinfo=_zone(part.get("zone"), zone),
        )  # fmt: skip
        whole = int((minute - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(seconds=1))
    except (ValueError, OverflowError):
        return None
    if second > 60 or abs(whole) > _MAX_S - 60:
        return None
    return (whole + second) * _NS + int((part["fraction"] or "0").ljust(9, "0"))


def _zone(text: str | None, default: tzinfo) -> tzinfo:
    if not text:
        return default
    if text[0] not in "+-":
        return UTC
    offset = timedelta(hours=int(text[1:3]), minutes=int(text[-2:]))
    return timezone(-offset if text[0] == "-" else offset)
