"""The time that a plain line begins with, by column: RFC 3339 and ISO, klog, syslog, access logs.

    2026-11-20T10:11:12.123456+01:00 host app: …     RFC 3339, ISO with a blank, `2026/11/20`
    <34>1 2026-11-20T10:11:12Z host app …            RFC 5424
    Nov 20 10:11:12 host app: …                      RFC 3164, with or without <34>
    I1120 10:11:12.123456   42 file.go:7] …          klog
    time="2026-11-20T10:11:12Z" level=info …         logfmt as containerd and docker write it
    10.0.0.1 - - [20/Nov/2026:10:11:12 +0100] "…     common log format
    type=SYSCALL msg=audit(1795169472.123:42): …     auditd

Dates in words, and with the day first, are left to `linedates.py`, the keys of JSON to
`linejson.py`. Anything else has no time of its own here.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kelp.agent.assemble.linedates import line_dates
from kelp.agent.assemble.linejson import epoch_times, text_places
from kelp.agent.assemble.split import Spans
from kelp.agent.assemble.wall import (
    Flags,
    Nanos,
    Wall,
    clock_ns,
    days_ns,
    digits,
    fraction_ns,
    zone_ns,
)
from kelp.base.gather import Bytes, Places, slices, windows

_WIDTH = 64  # longest: a zone behind nine digits of fraction; room for what is read behind it
_DATE_WIDTH = 72  # longest: weekday and month in full, a year behind the zone
_LONG_WIDTH = 128  # of lines whose time stands further in
_JSON_WIDTH = 8192  # of lines of JSON, whose keys stand in any order
_MONTHS = (
    b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun",
    b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec",
)  # fmt: skip
_PREFIXES = (b"[", b"time=", b'time="', b"ts=", b'ts="')  # of two that fit the longer is later
_AUDIT = r"^(?:node=\S+ )?type=\S+ msg=audit\((?P<seconds>\d{1,10})\.(?P<millis>\d{3}):"

Found = tuple[Nanos, Flags]


def line_times(spans: Spans, wall: Wall) -> Found:
    """(n,) ns since the epoch, and whether the line has a time; 0 where it has none."""
    times, known = np.zeros(len(spans.start), np.int64), np.zeros(len(spans.start), np.bool_)
    start = _behind_prefix(spans)
    json = np.flatnonzero(_window(spans, spans.start, np.arange(len(start)), 1)[:, 0] == ord("{"))
    if len(json):
        times[json], known[json], start[json] = _in_json(spans, json)
    for read in (_iso, _klog, _syslog):
        left = np.flatnonzero(~known)
        if not len(left):
            return times, known
        # Column by column from here on: so each column lies in one piece.
        window = np.asfortranarray(_window(spans, start, left, _WIDTH))
        times[left], known[left] = _settle(read, window, wall)
    left = np.flatnonzero(~known)
    if len(left):
        times[left], known[left] = _further_in(spans, left, wall)
    return times, known


def _settle(read: Callable[[Bytes, Wall], Found], window: Bytes, wall: Wall) -> Found:
    found, good = read(window, wall)
    return np.where(good, found, 0), good


def _window(spans: Spans, start: Places, rows: Places, width: int) -> Bytes:
    """The first bytes of some lines from `start` on; zeros behind a line's end."""
    window = windows(spans.data, start[rows], width)
    room = spans.stop[rows] - start[rows]
    short = np.flatnonzero(room < width)
    if len(short):
        window = window.copy()
        window[short] *= np.arange(width) < room[short, None]
    return window


def _behind_prefix(spans: Spans) -> Places:
    """Where the time may begin: behind a syslog priority and version, a bracket, a key."""
    start = spans.start.copy()
    head = _window(spans, start, np.arange(len(start)), 8)
    for prefix in _PREFIXES:
        text = np.frombuffer(prefix, np.uint8)
        has = (head[:, : len(text)] == text).all(axis=1)
        start[has] = spans.start[has] + len(text)
    rows = np.flatnonzero(head[:, 0] == ord("<"))
    if len(rows):
        start[rows] += _priority_width(head[rows])
    return np.minimum(start, spans.stop)


def _in_json(spans: Spans, rows: Places) -> tuple[Nanos, Flags, Places]:
    """(times that are numbers, which lines have one, where others have one that is a text)."""
    length = np.minimum(spans.stop[rows] - spans.start[rows], _JSON_WIDTH)
    lines = slices(spans.start[rows], length, spans.data)
    times, known = epoch_times(lines)
    place, _ = text_places(lines)
    return times, known, spans.start[rows] + place


def _priority_width(head: Bytes) -> Nanos:
    """Bytes of `<34>` or `<34>1 `; 0 where it is neither."""
    width = np.zeros(len(head), np.int64)
    for count in (1, 2, 3):
        _, good = digits(head, range(1, 1 + count))
        good &= head[:, 1 + count] == ord(">")
        version = (head[:, 2 + count] == ord("1")) & (head[:, 3 + count] == ord(" "))
        width[good] = 2 + count
        width[good & version] = 4 + count
    return width


def _iso(window: Bytes, wall: Wall) -> Found:
    year, good = digits(window, (0, 1, 2, 3))
    month, good_month = digits(window, (5, 6))
    day, good_day = digits(window, (8, 9))
    of_day, good_clock = clock_ns(window, 11)
    mark, between = window[:, 4], window[:, 10] | 0x20
    good &= good_month & good_day & good_clock & (mark == window[:, 7])
    good &= ((mark == ord("-")) | (mark == ord("/"))) & ((between == ord("t")) | (between == 0x20))
    rows = np.flatnonzero(good)
    times = np.zeros(len(window), np.int64)
    if len(rows):
        start, is_day = days_ns(year[rows], month[rows], day[rows])
        mine = window[rows]
        nanos, width = fraction_ns(mine, 19)
        shift, zoned = zone_ns(mine, 19 + width)
        local = start + of_day[rows] + nanos
        utc = local - shift
        if not zoned.all():
            utc[~zoned] = wall.to_utc(local[~zoned])
        times[rows], good[rows] = utc, is_day
    return times, good


def _klog(window: Bytes, wall: Wall) -> Found:
    good = np.isin(window[:, 0], np.frombuffer(b"IWEF", np.uint8))
    month, good_month = digits(window, (1, 2))
    day, good_day = digits(window, (3, 4))
    of_day, good_clock = clock_ns(window, 6)
    nanos, width = fraction_ns(window, 14)
    good &= good_month & good_day & good_clock & (window[:, 5] == ord(" ")) & (width == 7)
    return _of_some_year(good, month, day, of_day + nanos, wall)


def _syslog(window: Bytes, wall: Wall) -> Found:
    month = _months(window, 0)
    tens = np.where(window[:, 4] == ord(" "), np.uint8(ord("0")), window[:, 4])
    day, good = digits(np.stack((tens, window[:, 5]), axis=1), (0, 1))
    of_day, good_clock = clock_ns(window, 7)
    nanos, _ = fraction_ns(window, 15)
    good &= good_clock & (month > 0) & (window[:, 3] == ord(" ")) & (window[:, 6] == ord(" "))
    return _of_some_year(good, month, day, of_day + nanos, wall)


def _of_some_year(good: Flags, month: Nanos, day: Nanos, of_day: Nanos, wall: Wall) -> Found:
    times = np.zeros(len(good), np.int64)
    rows = np.flatnonzero(good)
    if len(rows):
        times[rows], good[rows] = wall.with_year(month[rows], day[rows], of_day[rows])
    return times, good


def _further_in(spans: Spans, rows: Places, wall: Wall) -> Found:
    """Lines whose time stands behind something else, or is a date in words."""
    head = _window(spans, spans.start, rows, _LONG_WIDTH)
    times, known = _bracketed(spans, rows, head)
    named = np.zeros(len(rows), np.bool_)
    for word in (b"type=", b"node="):
        named |= (head[:, : len(word)] == np.frombuffer(word, np.uint8)).all(axis=1)
    mine = np.flatnonzero(named & ~known)
    if len(mine):
        times[mine], known[mine] = _audit(spans, rows[mine])
    mine = np.flatnonzero(_may_have_a_date(head[:, :_DATE_WIDTH]) & ~known)
    if len(mine):
        start = spans.start[rows[mine]]
        length = np.minimum(spans.stop[rows[mine]] - start, _DATE_WIDTH)
        times[mine], known[mine] = line_dates(slices(start, length, spans.data), wall)
    return times, known


def _may_have_a_date(head: Bytes) -> Flags:
    """`:MM:` of a clock, or the first digits of seconds since the epoch."""
    colon = head == ord(":")
    clock: Flags = (colon[:, :-3] & colon[:, 3:]).any(axis=1)
    first = np.where(head[:, 0] == ord("["), head[:, 1], head[:, 0])
    flags: Flags = clock | (first == ord("1"))
    return flags


def _bracketed(spans: Spans, rows: Places, head: Bytes) -> Found:
    """`[20/Nov/2026:10:11:12 +0100` behind the line's first bracket."""
    bracket = head == ord("[")
    begin = np.minimum(spans.start[rows] + bracket.argmax(axis=1) + 1, spans.stop[rows])
    start = spans.start.copy()
    start[rows] = begin
    window = _window(spans, start, rows, 32)
    day, good = digits(window, (0, 1))
    month = _months(window, 3)
    year, good_year = digits(window, (7, 8, 9, 10))
    of_day, good_clock = clock_ns(window, 12)
    good &= bracket.any(axis=1) & good_year & good_clock & (month > 0)
    for column, mark in ((2, "/"), (6, "/"), (11, ":")):
        good &= window[:, column] == ord(mark)
    midnight, good_day = days_ns(year, month, day)
    shift, zoned = zone_ns(window, np.full(len(rows), 20))
    good &= good_day & zoned
    return np.where(good, midnight + of_day - shift, 0), good


def _months(window: Bytes, at: int) -> Nanos:
    """The number of the month that is called so from a column on; 0 for none."""
    month = np.zeros(len(window), np.int64)
    for number, name in enumerate(_MONTHS, start=1):
        text = np.frombuffer(name, np.uint8)
        month[(window[:, at : at + 3] == text).all(axis=1)] = number
    return month


def _audit(spans: Spans, rows: Places) -> Found:
    length = np.minimum(spans.stop[rows] - spans.start[rows], _LONG_WIDTH)
    found = pc.extract_regex(slices(spans.start[rows], length, spans.data), _AUDIT)
    times, known = np.zeros(len(rows), np.int64), np.zeros(len(rows), np.bool_)
    mine = np.flatnonzero(found.is_valid().to_numpy(zero_copy_only=False))
    if len(mine):
        found = found.take(pa.array(mine))
        seconds, millis = _numbers(found, "seconds"), _numbers(found, "millis")
        known[mine] = good = seconds < (1 << 33)
        times[mine] = np.where(good, seconds * 1_000_000_000 + millis * 1_000_000, 0)
    return times, known


def _numbers(found: pa.StructArray, name: str) -> Nanos:
    numbers: Nanos = pc.cast(pc.cast(found.field(name), pa.string()), pa.int64()).to_numpy()
    return numbers
