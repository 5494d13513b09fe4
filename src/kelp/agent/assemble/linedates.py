"""Dates as people and locales write them, at the beginning of plain lines: with names, day first.

    Fri Nov 20 10:11:12 CET 2026                  date(1), C; `[Fri Nov 20 10:11:12.123 2026]`
    Fri 20 Nov 2026 10:11:12 AM CET               date(1), en_US
    Fr 20. Nov 10:11:12 CET 2026                  date(1), de_DE; other languages alike
    Fri, 20 Nov 2026 10:11:12 +0100               RFC 2822
    Nov 20, 2026 10:11:12 AM                      java.util.logging
    20-Nov-2026 10:11:12.123                      Tomcat, BIND; `1:M 20 Nov 2026 …`, Redis
    20.11.2026 10:11:12, 20/11/2026 10:11:12      day first; 11/20/2026: where it cannot be the day
    1795169472.123                                seconds since the epoch

One pattern of RE2 a form, over the beginnings of those lines alone that no quicker way has told.
Of a date in digits with slashes whose parts could both be the month nothing is known.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kelp.agent.assemble.wall import ZONES, Flags, Nanos, Wall, days_ns
from kelp.base.months import month_of

_NS = 1_000_000_000

_PREFIX = r"^(?:<\d{1,3}>)?(?:\d{1,10}:[A-Z] )?\[?"
_WEEKDAY = r"(?:[A-Za-z\x80-\xff]{2,24}[.,]{0,2} +)?"
_MONTH = r"(?P<month>[A-Za-z\x80-\xff]{3,24})\.?"
_CLOCK = (
    r"(?P<hour>\d{1,2}):(?P<minute>\d\d):(?P<second>\d\d)(?:[.,](?P<fraction>\d{1,9})\d*)?"
    r"(?: (?P<half>[AaPp])\.?[Mm]\.?)?(?: ?(?P<zone>[+-]\d\d:?\d\d|[A-Z]{3,5}|Z)\b)?"
)
_LATE_YEAR = r"(?: (?P<late_year>\d{4})\b)?"
_MONTH_FIRST = (
    rf"{_PREFIX}{_WEEKDAY}{_MONTH} +(?P<day>\d{{1,2}}),?(?: +(?P<year>\d{{4}}),?)? +"
    rf"{_CLOCK}{_LATE_YEAR}"
)
_DAY_FIRST = (
    rf"{_PREFIX}{_WEEKDAY}(?P<day>\d{{1,2}})\.?[ /-]{_MONTH}(?:[ /-](?P<year>\d{{4}}))?,?[ :T]+"
    rf"{_CLOCK}{_LATE_YEAR}"
)
_DIGITS = (
    rf"{_PREFIX}(?P<day>\d{{1,2}})(?P<mark>[./-])(?P<month>\d{{1,2}})[./-](?P<year>\d{{4}}),?[ T]+"
    rf"{_CLOCK}"
)
_EPOCH = r"^\[?(?P<epoch>1\d{9})(?:\.(?P<fraction>\d{1,9}))?(?:[\]\s:,|]|$)"

Found = tuple[Nanos, Flags]


def line_dates(heads: pa.BinaryArray, wall: Wall) -> Found:
    """(n,) ns since the epoch, and whether a line's beginning is a date; 0 where it is none."""
    times, known = np.zeros(len(heads), np.int64), np.zeros(len(heads), np.bool_)
    for pattern, read in _FORMS:
        left = np.flatnonzero(~known)
        if not len(left):
            break
        found = pc.extract_regex(heads.take(pa.array(left)), pattern)
        mine = np.flatnonzero(found.is_valid().to_numpy(zero_copy_only=False))
        if len(mine):
            fields = _Fields(found.take(pa.array(mine)))
            times[left[mine]], known[left[mine]] = read(fields, wall)
    return np.where(known, times, 0), known


class _Fields:
    """The groups of a pattern, a column each; what did not take part is empty."""

    def __init__(self, found: pa.StructArray) -> None:
        self._found = found

    def numbers(self, name: str) -> Nanos:
        """Digits; 0 where there are none."""
        return self._numbers(pc.cast(self._found.field(name), pa.string()))

    def _numbers(self, texts: pa.StringArray) -> Nanos:
        filled = pc.if_else(pc.equal(texts, ""), "0", texts)
        numbers: Nanos = pc.cast(filled, pa.int64()).to_numpy()
        return numbers

    def fraction_ns(self) -> Nanos:
        """Up to nine digits behind the point."""
        texts = pc.cast(self._found.field("fraction"), pa.string())
        return self._numbers(pc.utf8_rpad(texts, 9, "0"))

    def mapped(self, name: str, meaning: Callable[[str], int]) -> Nanos:
        """What each text means, asked for once a text."""
        column = self._found.field(name).dictionary_encode()
        texts = [t.decode(errors="replace") for t in column.dictionary.to_pylist()]
        meanings = np.array([meaning(t) for t in texts], np.int64)
        found: Nanos = meanings[column.indices.to_numpy()]
        return found


_NO_ZONE = 1 << 60


def _zone_ns(text: str) -> int:
    """ns to subtract; _NO_ZONE where none is named that is known."""
    if text in ("Z", *ZONES):
        return ZONES.get(text, 0) * 60 * _NS
    if text[:1] not in ("+", "-"):
        return _NO_ZONE
    minutes = int(text[1:3]) * 60 + int(text[-2:])
    return (-minutes if text[0] == "-" else minutes) * 60 * _NS


def _of_day(fields: _Fields) -> Found:
    hour, minute, second = (fields.numbers(n) for n in ("hour", "minute", "second"))
    half = fields.mapped("half", lambda t: " ap".find(t.lower()) if t else 0)
    good = (hour <= 23) & (minute <= 59) & (second <= 60)
    good &= (half == 0) | ((hour >= 1) & (hour <= 12))
    hour = np.where(half > 0, hour % 12 + 12 * (half == 2), hour)
    return (hour * 3600 + minute * 60 + second) * _NS + fields.fraction_ns(), good


def _settle(date: tuple[Nanos, Nanos, Nanos], fields: _Fields, wall: Wall) -> Found:
    """`date` is year (0 for none), month, day."""
    year, month, day = date
    of_day, good = _of_day(fields)
    shift = fields.mapped("zone", _zone_ns)
    times = np.zeros(len(day), np.int64)
    start, is_day = days_ns(year, month, day)
    dated = good & is_day & (year > 0)
    zoned = dated & (shift != _NO_ZONE)
    times[zoned] = start[zoned] + of_day[zoned] - shift[zoned]
    local = dated & ~zoned
    if local.any():
        times[local] = wall.to_utc(start[local] + of_day[local])
    undated = np.flatnonzero(good & (year == 0))
    if len(undated):
        times[undated], is_some_day = wall.with_year(month[undated], day[undated], of_day[undated])
        dated[undated] = is_some_day
    return times, dated


def _named(fields: _Fields, wall: Wall) -> Found:
    month = fields.mapped("month", lambda t: month_of(t.lower()) or 0)
    year = np.maximum(fields.numbers("year"), fields.numbers("late_year"))
    return _settle((year, month, fields.numbers("day")), fields, wall)


def _in_digits(fields: _Fields, wall: Wall) -> Found:
    first, second = fields.numbers("day"), fields.numbers("month")
    dotted = fields.mapped("mark", lambda t: t == ".") > 0
    american = ~dotted & (second > 12)
    day, month = np.where(american, second, first), np.where(american, first, second)
    times, good = _settle((fields.numbers("year"), month, day), fields, wall)
    return times, good & (dotted | american | (first > 12) | (first == second))


def _since_epoch(fields: _Fields, _wall: Wall) -> Found:
    seconds = fields.numbers("epoch")
    return seconds * _NS + fields.fraction_ns(), np.ones(len(seconds), np.bool_)


_FORMS: tuple[tuple[str, Callable[[_Fields, Wall], Found]], ...] = (
    (_MONTH_FIRST, _named),
    (_DAY_FIRST, _named),
    (_DIGITS, _in_digits),
    (_EPOCH, _since_epoch),
)
