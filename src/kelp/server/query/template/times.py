"""Go's time.Time: nanoseconds with a zone, printed and read by layouts such as `2006-01-02`.

Source: https://pkg.go.dev/time#pkg-constants
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

SECOND = 1_000_000_000
_ZERO_NS = -62_135_596_800 * SECOND  # year 1, Go's zero time

_CHUNK = re.compile(
    r"January|Jan|Monday|Mon|MST|2006|-07:00:00|-070000|-07:00|-0700|-07|Z07:00:00|Z070000|Z07:00|"
    r"Z0700|Z07|__2|_2|002|01|02|03|04|05|06|15|PM|pm|[.,](?:0+|9+)(?!\d)|1|2|3|4|5"
)
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def zone_of(name: str) -> tzinfo:
    """A zone by name; UTC where there is none of that name."""
    if name in ("", "UTC", "Local"):
        return UTC
    try:
        return ZoneInfo(name)
    except (ValueError, OSError):  # ZoneInfoNotFoundError is a KeyError, but a name may be a folder
        return UTC
    except KeyError:
        return UTC


@dataclass(frozen=True, slots=True)
class Time:
    """A moment, and the zone that it is shown in."""

    ns: int
    zone: tzinfo = UTC

    def _civil(self) -> datetime:
        seconds = min(max(self.ns // SECOND, -62_135_596_800), 253_402_300_799)
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
        try:
            return moment.astimezone(self.zone)
        except OverflowError:
            return moment

    def format(self, layout: str) -> str:
        """The moment by a layout."""
        civil = self._civil()
        nanos = self.ns % SECOND
        return _CHUNK.sub(lambda m: _print_chunk(m[0], civil, nanos), layout)

    def __str__(self) -> str:
        return self.format("2006-01-02 15:04:05.999999999 -0700 MST")

    def method(self, name: str) -> object:
        """What `time.Name` gives for methods without arguments; None for one that is not known."""
        civil = self._civil()
        known = {
            "Unix": self.ns // SECOND, "UnixMilli": self.ns // 1_000_000,
            "UnixMicro": self.ns // 1000, "UnixNano": self.ns, "Year": civil.year,
            "Month": _MONTHS[civil.month - 1], "Day": civil.day, "Hour": civil.hour,
            "Minute": civil.minute, "Second": civil.second, "Nanosecond": self.ns % SECOND,
            "Weekday": _DAYS[civil.weekday()], "YearDay": civil.timetuple().tm_yday,
            "UTC": Time(self.ns), "Local": Time(self.ns), "String": str(self),
            "IsZero": self.ns == _ZERO_NS,
        }  # fmt: skip
        return known.get(name)


ZERO_TIME = Time(_ZERO_NS)


def _print_chunk(chunk: str, civil: datetime, nanos: int) -> str:
    match chunk:
        case "January":
            return _MONTHS[civil.month - 1]
        case "Jan":
            return _MONTHS[civil.month - 1][:3]
        case "Monday":
            return _DAYS[civil.weekday()]
        case "Mon":
            return _DAYS[civil.weekday()][:3]
        case "MST":
            return civil.tzname() or "UTC"
        case "PM" | "pm":
            return chunk.replace("P", "A").replace("p", "a") if civil.hour < 12 else chunk
    if chunk[0] in ".,":
        digits = str(nanos).zfill(9)[: len(chunk) - 1]
        if chunk[1] == "9":
            digits = digits.rstrip("0")
        return chunk[0] + digits if digits else ""
    if chunk[0] in "-Z":
        return _print_zone(chunk, civil)
    numbers = {
        "2006": f"{civil.year:04d}", "06": f"{civil.year % 100:02d}", "01": f"{civil.month:02d}",
        "1": str(civil.month), "02": f"{civil.day:02d}", "_2": f"{civil.day:2d}",
        "2": str(civil.day), "002": f"{civil.timetuple().tm_yday:03d}",
        "__2": f"{civil.timetuple().tm_yday:3d}", "15": f"{civil.hour:02d}",
        "03": f"{(civil.hour + 11) % 12 + 1:02d}", "3": str((civil.hour + 11) % 12 + 1),
        "04": f"{civil.minute:02d}", "4": str(civil.minute), "05": f"{civil.second:02d}",
        "5": str(civil.second),
    }  # fmt: skip
    return numbers[chunk]


def _print_zone(chunk: str, civil: datetime) -> str:
    offset = int((civil.utcoffset() or timedelta()).total_seconds())
    if chunk[0] == "Z" and offset == 0:
        return "Z"
    sign, offset = ("-" if offset < 0 else "+"), abs(offset)
    hours, minutes, seconds = offset // 3600, offset // 60 % 60, offset % 60
    shape = chunk[1:]
    colon = ":" if ":" in shape else ""
    parts = [f"{hours:02d}", f"{minutes:02d}", f"{seconds:02d}"]
    return sign + colon.join(parts[: len(shape.replace(":", "")) // 2])


_PATTERNS = {
    "January": f"(?P<month_name>{'|'.join(_MONTHS)})",
    "Jan": f"(?P<month_name>{'|'.join(m[:3] for m in _MONTHS)})",
    "Monday": f"(?:{'|'.join(_DAYS)})", "Mon": f"(?:{'|'.join(d[:3] for d in _DAYS)})",
    "MST": r"(?P<zone_name>[A-Z]{3,5}|[+-]\d{2,4})", "2006": r"(?P<year>\d{4})",
    "06": r"(?P<short_year>\d{2})", "01": r"(?P<month>\d{2})", "1": r"(?P<month>\d{1,2})",
    "02": r"(?P<day>\d{2})", "2": r"(?P<day>\d{1,2})", "_2": r" ?(?P<day>\d{1,2})",
    "002": r"(?P<year_day>\d{3})", "__2": r" *(?P<year_day>\d{1,3})", "15": r"(?P<hour>\d{2})",
    "03": r"(?P<hour12>\d{2})", "3": r"(?P<hour12>\d{1,2})", "04": r"(?P<minute>\d{2})",
    "4": r"(?P<minute>\d{1,2})", "05": r"(?P<second>\d{2})(?P<fraction_second>[.,]\d+)?",
    "5": r"(?P<second>\d{1,2})(?P<fraction_second>[.,]\d+)?", "PM": r"(?P<half>AM|PM)",
    "pm": r"(?P<half>am|pm)",
}  # fmt: skip


def parse_time(layout: str, text: str, zone: tzinfo = UTC) -> Time:
    """time.ParseInLocation; the zero time where the text does not fit the layout."""
    try:
        found = re.fullmatch(_layout_pattern(layout), text, re.ASCII)
        return _moment(found.groupdict(), zone) if found else ZERO_TIME
    except (ValueError, OverflowError, re.error):
        return ZERO_TIME


def _layout_pattern(layout: str) -> str:
    out, at = "", 0
    for found in _CHUNK.finditer(layout):
        out += re.escape(layout[at : found.start()])
        chunk = found[0]
        if chunk[0] in ".,":
            out += "" if out.endswith(")?") else r"(?P<fraction>[.,]\d+)?"
        elif chunk[0] in "-Z":
            out += r"(?P<offset>Z|[+-]\d{2}(?::?\d{2}){0,2})"
        else:
            out += _PATTERNS[chunk]
        at = found.end()
    return out + re.escape(layout[at:])


def _moment(parts: dict[str, str | None], zone: tzinfo) -> Time:
    def number(name: str, default: int) -> int:
        return int(parts.get(name) or default)

    hour = number("hour", 0)
    if parts.get("hour12"):
        hour = number("hour12", 0) % 12 + 12 * ((parts.get("half") or "AM").upper() == "PM")
    year = number("year", 0)
    if short := parts.get("short_year"):
        year = int(short) + (1900 if int(short) >= 69 else 2000)
    month = number("month", 1)
    if name := parts.get("month_name"):
        month = next(i for i, m in enumerate(_MONTHS, 1) if m.startswith(name))
    if offset := parts.get("offset"):
        zone = _offset_zone(offset)
    civil = datetime(max(year, 1), month, number("day", 1), hour, number("minute", 0),
                     number("second", 0), tzinfo=zone)  # fmt: skip
    if year_day := parts.get("year_day"):
        civil = civil.replace(month=1, day=1) + timedelta(days=int(year_day) - 1)
    fraction = (parts.get("fraction_second") or parts.get("fraction") or ".0")[1:10]
    seconds = (civil - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1)
    return Time(seconds * SECOND + int(fraction.ljust(9, "0")), zone)


def _offset_zone(text: str) -> tzinfo:
    if text == "Z":
        return UTC
    digits = text[1:].replace(":", "").ljust(6, "0")
    seconds = int(digits[:2]) * 3600 + int(digits[2:4]) * 60 + int(digits[4:6])
    return timezone(timedelta(seconds=seconds if text[0] == "+" else -seconds))
