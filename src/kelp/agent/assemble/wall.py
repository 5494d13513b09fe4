"""Wall clock readings by column: dates to nanoseconds, zones and years that nobody wrote down.

A time without a zone is of the node's own; without a year, of the latest year in which it is not
after now (a day of grace, for clocks and zones that are a little ahead): so a line of 31 December
that is read on 1 January is of the year before. Of an hour that comes twice, when summer ends, the
later one is meant while it lasts and just after, else the earlier one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

import numpy as np
import numpy.typing as npt

from kelp.base.gather import Bytes

Flags = npt.NDArray[np.bool_]
Nanos = npt.NDArray[np.int64]

_NS = 1_000_000_000
_DAY_NS = 86_400 * _NS
_QUARTER_NS = 900 * _NS  # no zone changes its offset at any other time
_FIRST_YEAR, _LAST_YEAR = 1970, 2261  # whole years that int64 nanoseconds can hold
_MINUTE_NS = 60 * _NS
_HOUR_NS = 3600 * _NS
_YEARS_BACK = 9  # eight years may lie between two 29 February

# Minutes east of Greenwich, of the abbreviations that name one zone alone. IST, CST and BST do not.
ZONES = {
    "UTC": 0, "GMT": 0, "WET": 0, "WEST": 60, "CET": 60, "CEST": 120, "EET": 120, "EEST": 180,
    "MSK": 180, "JST": 540, "EST": -300, "EDT": -240, "CDT": -300, "MDT": -360, "PST": -480,
    "PDT": -420,
}  # fmt: skip


@dataclass(frozen=True)
class Wall:
    """What a log leaves unsaid: `zone` of times that name none (None: the machine's), and now."""

    zone: tzinfo | None
    now_ns: int

    def to_utc(self, local_ns: Nanos) -> Nanos:
        """Readings of the node's clock as UTC."""
        quarters, which = np.unique(local_ns // _QUARTER_NS, return_inverse=True)
        first, second = (
            np.array([self._offset_ns(q, fold) for q in quarters.tolist()], np.int64)[which]
            for fold in (0, 1)
        )
        utc: Nanos = local_ns - first
        # Only an hour that comes twice has a second reading that is later; one that never comes
        # has an earlier one.
        later = local_ns - second
        age = self.now_ns - later
        fresh = (later > utc) & (age >= -_MINUTE_NS) & (age < _HOUR_NS)
        return np.where(fresh, later, utc)

    def _offset_ns(self, quarter: int, fold: int) -> int:
        naive = datetime(1970, 1, 1, fold=fold) + timedelta(seconds=quarter * 900)
        naive = naive.replace(fold=fold)
        there = naive.astimezone() if self.zone is None else naive.replace(tzinfo=self.zone)
        offset = there.utcoffset() or timedelta()
        return int(offset.total_seconds()) * _NS

    def with_year(self, month: Nanos, day: Nanos, of_day_ns: Nanos) -> tuple[Nanos, Flags]:
        """(UTC, whether there is such a day) of dates without a year."""
        limit_ns = self.now_ns + _DAY_NS
        last = datetime.fromtimestamp(limit_ns // _NS, UTC).year + 1
        found, settled = np.zeros(len(month), np.int64), np.zeros(len(month), np.bool_)
        for year in range(last, last - _YEARS_BACK - 1, -1):
            left = np.flatnonzero(~settled)
            if not len(left):
                break
            start, valid = days_ns(np.full(len(left), year), month[left], day[left])
            utc = self.to_utc(start + of_day_ns[left])
            fits = valid & (utc <= limit_ns)
            found[left[fits]] = utc[fits]
            settled[left[fits]] = True
        return found, settled


def days_ns(year: Nanos, month: Nanos, day: Nanos) -> tuple[Nanos, Flags]:
    """(ns at the day's beginning, whether there is such a day)."""
    valid = (month >= 1) & (month <= 12) & (year >= _FIRST_YEAR) & (year <= _LAST_YEAR) & (day >= 1)
    months = (np.where(valid, (year - 1970) * 12 + month - 1, 0)).astype("M8[M]")
    first = months.astype("M8[D]").astype(np.int64)
    length = (months + np.timedelta64(1, "M")).astype("M8[D]").astype(np.int64) - first
    valid &= day <= length
    return np.where(valid, (first + day - 1) * _DAY_NS, 0), valid


def digits(window: Bytes, at: Sequence[int]) -> tuple[Nanos, Flags]:
    """(the number that the bytes of these columns write, whether they are digits)."""
    number = np.zeros(len(window), np.int64)
    valid = np.ones(len(window), np.bool_)
    for column in at:
        digit = window[:, column] - np.uint8(ord("0"))  # what lies below wraps round
        valid &= digit <= 9
        number = number * 10 + digit
    return number, valid


def clock_ns(window: Bytes, at: int) -> tuple[Nanos, Flags]:
    """(ns of the day, whether it is a time) of `HH:MM:SS` from a column on; second 60 may be."""
    hour, good = digits(window, (at, at + 1))
    minute, good_minute = digits(window, (at + 3, at + 4))
    second, good_second = digits(window, (at + 6, at + 7))
    good &= good_minute & good_second & (hour <= 23) & (minute <= 59) & (second <= 60)
    good &= (window[:, at + 2] == ord(":")) & (window[:, at + 5] == ord(":"))
    return (hour * 3600 + minute * 60 + second) * _NS, good


def fraction_ns(window: Bytes, at: int) -> tuple[Nanos, Nanos]:
    """(ns, bytes that it takes) of `.123` or `,123` from a column on; up to nine digits."""
    alive = (window[:, at] == ord(".")) | (window[:, at] == ord(","))
    nanos, count = np.zeros(len(window), np.int64), np.zeros(len(window), np.int64)
    scale = _NS
    for column in range(at + 1, at + 10):
        digit = window[:, column] - np.uint8(ord("0"))
        alive &= digit <= 9
        scale //= 10
        nanos += np.where(alive, digit.astype(np.int64) * scale, 0)
        count += alive
    return nanos, np.where(count > 0, count + 1, 0)


def zone_ns(window: Bytes, at: Nanos) -> tuple[Nanos, Flags]:
    """(ns to subtract, whether a zone is named) of `Z`, ` CET`, `+01:00`, ` +0100` at a place."""
    row = np.arange(len(window))
    spaced = window[row, at] == ord(" ")
    at = at + spaced
    text = window[row[:, None], at[:, None] + np.arange(6)]
    utc = ((text[:, 0] | 0x20) == ord("z")) & ~spaced
    named, good_name = _named_zones(text)
    minus = text[:, 0] == ord("-")
    hour, good = digits(text, (1, 2))
    colon, good_colon = digits(text, (4, 5))
    plain, good_plain = digits(text, (3, 4))
    has_colon = text[:, 3] == ord(":")
    minute = np.where(has_colon, colon, plain)
    good &= np.where(has_colon, good_colon, good_plain) & (hour <= 23) & (minute <= 59)
    good &= minus | (text[:, 0] == ord("+"))
    shift = np.where(minus, -1, 1) * (hour * 60 + minute) * 60 * _NS
    return np.where(good, shift, named), good | good_name | utc


def _named_zones(text: Bytes) -> tuple[Nanos, Flags]:
    """(ns to subtract, whether it is one) of (n, 6) bytes that begin with `UTC`, `CEST` …"""
    shift, found = np.zeros(len(text), np.int64), np.zeros(len(text), np.bool_)
    rows = np.flatnonzero((text[:, 0] >= ord("A")) & (text[:, 0] <= ord("Z")))
    mine = text[rows]
    for name, minutes in ZONES.items() if len(rows) else ():
        fits = (mine[:, : len(name)] == np.frombuffer(name.encode(), np.uint8)).all(axis=1)
        behind = (mine[:, len(name)] | 0x20) - np.uint8(ord("a"))  # what is no letter wraps round
        fits &= behind > 25
        shift[rows[fits]], found[rows[fits]] = minutes * 60 * _NS, True
    return shift, found
