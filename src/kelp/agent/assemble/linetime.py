"""The time that a plain line begins with, by column: RFC 3339 and ISO, klog, syslog, access logs.

    2026-11-20T10:11:12.123456+01:00 host app: …     RFC 3339, ISO with a blank, `2026/11/20`
    <34>1 2026-11-20T10:11:12Z host app …            RFC 5424
    Nov 20 10:11:12 host app: …                      RFC 3164, with or without <34>
    I1120 10:11:12.123456   42 file.go:7] …          klog
    time="2026-11-20T10:11:12Z" level=info …         logfmt as containerd and docker write it
    10.0.0.1 - - [20/Nov/2026:10:11:12 +0100] "…     common log format
    type=SYSCALL msg=audit(1795169472.123:42): …     auditd

Anything else has no time of its own here; what stands inside JSON is for later stages.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

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
_LONG_WIDTH = 256  # of lines whose time stands further in
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_PREFIXES = (b"[", b"time=", b'time="', b"ts=", b'ts="')  # of two that fit the longer is later
_CLF = (
    r"^\S+ \S+ [^\[]{0,100}\[(?P<day>\d\d)/(?P<month>[A-Z][a-z][a-z])/(?P<year>\d{4})"
    r":(?P<clock>\d\d:\d\d:\d\d) (?P<zone>[+-]\d{4})\]"
)
_AUDIT = r"^(?:node=\S+ )?type=\S+ msg=audit\((?P<seconds>\d{1,10})\.(?P<millis>\d{3}):"

Found = tuple[Nanos, Flags]


def line_times(spans: Spans, wall: Wall) -> Found:
    """(n,) ns since the epoch, and whether the line has a time; 0 where it has none."""
    times, known = np.zeros(len(spans.start), np.int64), np.zeros(len(spans.start), np.bool_)
    start = _behind_prefix(spans)
    for read in (_iso, _klog, _syslog):
        left = np.flatnonzero(~known)
        if not len(left):
            return times, known
        # Column by column from here on: so each column lies in one piece.
        window = np.asfortranarray(_window(spans, start, left, _WIDTH))
        times[left], known[left] = _settle(read, window, wall)
    left = np.flatnonzero(~known)
    if len(left):
        times[left], known[left] = _by_pattern(spans, left)
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
    month = np.zeros(len(window), np.int64)
    for number, name in enumerate(_MONTHS, start=1):
        month[(window[:, :3] == np.frombuffer(name.encode(), np.uint8)).all(axis=1)] = number
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


def _by_pattern(spans: Spans, rows: Places) -> Found:
    """Lines whose time stands further in."""
    length = np.minimum(spans.stop[rows] - spans.start[rows], _LONG_WIDTH)
    text = slices(spans.start[rows], length, spans.data)
    times, known = np.zeros(len(rows), np.int64), np.zeros(len(rows), np.bool_)
    for pattern, read in ((_CLF, _clf), (_AUDIT, _audit)):
        found = pc.extract_regex(text, pattern)
        mine = np.flatnonzero(found.is_valid().to_numpy(zero_copy_only=False))
        if len(mine):
            times[mine], known[mine] = read(found.take(pa.array(mine)))
    return times, known


def _clf(found: pa.StructArray) -> Found:
    names = pa.array([m.encode() for m in _MONTHS], pa.binary())
    month = pc.fill_null(pc.index_in(found.field("month"), names), -1).to_numpy().astype(np.int64)
    start, good = days_ns(_numbers(found, "year"), month + 1, _numbers(found, "day"))
    of_day, good_clock = clock_ns(_fixed(found, "clock", 8), 0)
    zone = np.pad(_fixed(found, "zone", 5), ((0, 0), (0, 4)))
    shift, zoned = zone_ns(zone, np.zeros(len(zone), np.int64))
    return start + of_day - shift, good & good_clock & zoned


def _audit(found: pa.StructArray) -> Found:
    seconds = _numbers(found, "seconds")
    good = seconds < (1 << 33)
    millis = _numbers(found, "millis")
    return np.where(good, seconds * 1_000_000_000 + millis * 1_000_000, 0), good


def _numbers(found: pa.StructArray, name: str) -> Nanos:
    numbers: Nanos = pc.cast(pc.cast(found.field(name), pa.string()), pa.int64()).to_numpy()
    return numbers


def _fixed(found: pa.StructArray, name: str, width: int) -> Bytes:
    text = pc.cast(found.field(name), pa.binary(width))
    return np.frombuffer(b"".join(text.to_pylist()), np.uint8).reshape(-1, width)
