"""Wall time of a kernel line, whatever its prefix says and leaves out.

Prefixes were made for people: RFC 3164 has neither year nor zone, `dmesg -T` has the local zone and
the reader's language, raw kernel lines have seconds since boot. What is missing is taken from a
Calendar that the caller makes (zone, a moment that the log is not younger than, the boot), never
from this machine behind the caller's back.

Left out: zone abbreviations other than UTC and GMT, which name no single zone.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Literal, NamedTuple

from kelp.base.months import month_of

Form = Literal["epoch_us", "iso", "syslog", "ctime"]


class Stamp(NamedTuple):
    """A time as it stood in the line, not yet understood: most lines' times are never needed."""

    form: Form
    text: str


_ISO = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9})\d*)?"
    r" ?(Z|UTC|GMT|[+-]\d\d(?::?\d\d)?)?"
)
_CLOCK = re.compile(r"(?<!\d)(\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9}))?")
_YEAR = re.compile(r"(?<!\d)((?:19|20|21)\d\d)(?!\d)")
_NUMBER = re.compile(r"\d{1,2}")
_EAST_ASIAN_MONTH = re.compile(r"(\d{1,2}) ?(?:月|월)")
_WORD = re.compile(r"[^\W\d_]+")


class Calendar:
    """What a log leaves unsaid of its times.

    `zone`: of times that name none; None is this machine's own, summer time included.
    `not_after`: a moment at which the log was already written
    (its file's mtime); a time without a year is put in the latest year that is not after it.
    `boot`: when the machine booted, if known, so that seconds since boot become wall time.
    """

    def __init__(
        self, *, zone: tzinfo | None = UTC, not_after: datetime, boot: datetime | None = None
    ) -> None:
        self._zone = zone
        self._not_after = not_after
        self._boot = boot

    def wall(self, stamp: Stamp | None, boot_us: int | None) -> str | None:
        """RFC 3339 in UTC, to the microsecond where known; None if it cannot be known."""
        when = self.moment(stamp, boot_us)
        if when is None:
            return None
        text = when.astimezone(UTC).isoformat(
            timespec="microseconds" if when.microsecond else "seconds"
        )
        return text.replace("+00:00", "Z")

    def moment(self, stamp: Stamp | None, boot_us: int | None) -> datetime | None:
        """The time of a line, None if it cannot be known."""
        try:
            found = self._understand(stamp) if stamp else None
            if found is None and self._boot is not None and boot_us is not None:
                found = self._boot + timedelta(microseconds=boot_us)
            return found if found is None else found.astimezone(UTC)
        except (ValueError, OverflowError):  # 30 February, year 0, the end of time
            return None

    def _understand(self, stamp: Stamp) -> datetime | None:
        if stamp.form == "epoch_us":
            return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=int(stamp.text))
        if stamp.form == "iso":
            return self._iso(stamp.text)
        return self._words(stamp.text)

    def _iso(self, text: str) -> datetime | None:
        m = _ISO.match(text)
        if m is None:
            return None
        year, month, day, hour, minute, second = (int(m[i]) for i in range(1, 7))
        zone = _zone(m[8]) or self._zone
        return _at(year, month, day, (hour, minute, second), _micros(m[7]), zone)

    def _words(self, text: str) -> datetime | None:
        """A date in words: "Nov  3 10:11:12", "dim. 19 avril 18:03:30 2026", "二 9月 3 …"."""
        clock = _CLOCK.search(text)
        if clock is None:
            return None
        rest = text[: clock.start()] + " " + text[clock.end() :]
        year = _YEAR.search(rest)
        if year:
            rest = rest[: year.start()] + " " + rest[year.end() :]
        month, rest = _month(rest)
        day = _NUMBER.search(rest)
        if month is None or day is None:
            return None
        hms = (int(clock[1]), int(clock[2]), int(clock[3]))
        if year:
            return _at(int(year[1]), month, int(day[0]), hms, _micros(clock[4]), self._zone)
        return self._latest_year(month, int(day[0]), hms, _micros(clock[4]))

    def _latest_year(
        self, month: int, day: int, hms: tuple[int, int, int], micros: int
    ) -> datetime | None:
        # A day of grace: the log's clock or zone may be a little ahead of ours.
        limit = self._not_after + timedelta(days=1)
        first = limit.astimezone(self._zone).year
        for year in range(first, first - 9, -1):  # eight years: 29 February around 1900 or 2100
            try:
                found = _at(year, month, day, hms, micros, self._zone)
            except ValueError:
                continue
            if found <= limit:
                return found
        return None


def _at(
    year: int, month: int, day: int, hms: tuple[int, int, int], micros: int, zone: tzinfo | None
) -> datetime:
    hour, minute, second = hms
    leap = 1 if second == 60 else 0
    found = datetime(year, month, day, hour, minute, second - leap, micros, tzinfo=zone)
    return found.astimezone(UTC) + timedelta(seconds=leap)


def _micros(fraction: str | None) -> int:
    return int((fraction or "0").ljust(6, "0")[:6])


def _zone(text: str | None) -> tzinfo | None:
    if text is None:
        return None
    if text in ("Z", "UTC", "GMT"):
        return UTC
    digits = text[1:].replace(":", "").ljust(4, "0")
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return timezone(-offset if text[0] == "-" else offset)


def _month(text: str) -> tuple[int | None, str]:
    """The month in `text`, and the rest of it without the month (so that its number is no day)."""
    numbered = _EAST_ASIAN_MONTH.search(text)
    if numbered:
        return int(numbered[1]), text[: numbered.start()] + " " + text[numbered.end() :]
    found = None
    for word in _WORD.findall(text.lower()):
        # The weekday comes first wherever it is written, so the last word that fits is the month
        # ("mar. 3 mars", "Mar" being Tuesday in French).
        found = month_of(word) or found
    return found, text
