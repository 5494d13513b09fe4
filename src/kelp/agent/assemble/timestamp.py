"""RFC 3339 time stamps by column, as container runtimes write them.

    2026-11-20T10:11:12.123456789Z        containerd, trailing zeros of the fraction left out
    2026-11-20T10:11:12.123456789+02:00   CRI-O: nine digits and the offset of the node's zone
    2026-11-20T10:11:12Z                  no fraction at all

The first 16 bytes (date, hour, minute) are mostly those of the line before: only changed ones are
parsed. The rest is arithmetic on 64-bit words, eight digits at a time.

Format: https://www.rfc-editor.org/rfc/rfc3339#section-5.6, at most nine digits of fraction; a leap
second is refused, as Go's time.Parse does, for no runtime writes one.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from kelp.base.gather import Bytes, Words, word

Flags = npt.NDArray[np.bool_]
Nanos = npt.NDArray[np.int64]

MINUTE_BYTES = 16  # YYYY-MM-DDTHH:MM
MAX_BYTES = 35  # nine digits of fraction and an offset
_PADDED = 40

_ZEROS = word(b"00000000")
_ZERO = np.uint64(ord("0"))
_DOT = np.uint64(0xFF << 24)
_HIGH = np.uint64(0xF0F0F0F0F0F0F0F0)
_SIX = np.uint64(0x0606060606060606)
_LOW = np.uint64(0x0F0F0F0F0F0F0F0F)
# _KEEP[n]: the first n bytes of a word
_KEEP = np.array([(1 << 8 * n) - 1 for n in range(9)], np.uint64)
_DAYS_BEFORE = np.array([0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334], np.int64)
_MONTH_DAYS = np.array([31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31], np.int64)
_NS = 1_000_000_000
# Whole years that int64 nanoseconds can hold.
_FIRST_YEAR, _LAST_YEAR = 1678, 2261


def all_digits(v: Words) -> Flags:
    """Whether each of a word's eight bytes is an ASCII digit."""
    flags: Flags = ((v & _HIGH) == _ZEROS) & (((v + _SIX) & _HIGH) == _ZEROS)
    return flags


def eight_digits(v: Words) -> Nanos:
    """The number that eight digits write; the first byte is the most significant digit.

    Pairs, then fours, then all eight are combined by one multiplication each.
    """
    v = (v & _LOW) * np.uint64(2561) >> np.uint64(8)
    v = (v & np.uint64(0x00FF00FF00FF00FF)) * np.uint64(6553601) >> np.uint64(16)
    v = (v & np.uint64(0x0000FFFF0000FFFF)) * np.uint64(42949672960001) >> np.uint64(32)
    return v.view(np.int64)


def minutes(first: Words, second: Words) -> tuple[Nanos, Flags]:
    """(ns of the minute, whether it is one) of the words that hold bytes 0-7 and 8-15."""
    n = len(first)
    if not n:
        return np.empty(0, np.int64), np.empty(0, np.bool_)
    new = np.empty(n, np.bool_)
    new[0] = True
    np.not_equal(first[1:], first[:-1], out=new[1:])
    new[1:] |= second[1:] != second[:-1]
    at = np.flatnonzero(new)
    text = np.empty((len(at), 2), np.uint64)
    text[:, 0], text[:, 1] = first[at], second[at]
    value, valid = _parse_minutes(text.view(np.uint8).astype(np.int64))
    counts = np.diff(at, append=n)
    return np.repeat(value, counts), np.repeat(valid, counts)


def _parse_minutes(text: npt.NDArray[np.int64]) -> tuple[Nanos, Flags]:
    """(k, 16) bytes of `YYYY-MM-DDTHH:MM`."""
    digits = text[:, (0, 1, 2, 3, 5, 6, 8, 9, 11, 12, 14, 15)] - ord("0")
    valid = ((digits >= 0) & (digits <= 9)).all(axis=1)
    valid &= (text[:, 4] == ord("-")) & (text[:, 7] == ord("-")) & (text[:, 13] == ord(":"))
    valid &= (text[:, 10] | 0x20) == ord("t")
    year = digits[:, 0] * 1000 + digits[:, 1] * 100 + digits[:, 2] * 10 + digits[:, 3]
    month, day, hour, minute = (digits[:, i] * 10 + digits[:, i + 1] for i in (4, 6, 8, 10))
    valid &= (year >= _FIRST_YEAR) & (year <= _LAST_YEAR) & (month >= 1) & (month <= 12)
    month = np.clip(month, 1, 12)
    leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    valid &= (day >= 1) & (day <= _MONTH_DAYS[month - 1] + (leap & (month == 2)))
    valid &= (hour <= 23) & (minute <= 59)
    before = year - 1
    days = before * 365 + before // 4 - before // 100 + before // 400 - 719_162  # since 1970-01-01
    days += _DAYS_BEFORE[month - 1] + (leap & (month > 2)) + day - 1
    return np.where(valid, (days * 1440 + hour * 60 + minute) * 60 * _NS, 0), valid


def seconds(third: Words) -> tuple[Nanos, Flags]:
    """(ns, whether they are seconds) of `:SS` at the start of the word that holds bytes 16-23."""
    digits = (third >> np.uint64(8)) & np.uint64(0xFFFF)
    tens, ones = digits & np.uint64(0xFF), digits >> np.uint64(8)
    zero = np.uint64(ord("0"))
    # Unsigned: what lies below "0" wraps round to a large number.
    tens, ones = tens - zero, ones - zero
    valid = ((third & np.uint64(0xFF)) == np.uint64(ord(":"))) & (tens <= 5) & (ones <= 9)
    return ((tens * np.uint64(10) + ones).view(np.int64) * _NS), valid


def fractions(eight: Words, ninth: Bytes, length: npt.NDArray[np.int64]) -> tuple[Nanos, Flags]:
    """(ns, whether digits) of fractions of 0 … 9 digits: the first eight as a word, the ninth."""
    keep = _KEEP[np.minimum(length, 8)]
    eight = (eight & keep) | (_ZEROS & ~keep)
    last = np.where(length == 9, ninth, np.uint8(ord("0"))) - np.uint8(ord("0"))
    return eight_digits(eight) * 10 + last, all_digits(eight) & (last <= 9)


def full_fractions(third: Words, fourth: Words) -> tuple[Nanos, Flags]:
    """(ns, whether digits) of nine digits: four behind the dot of the third word, then five."""
    eight = (third >> np.uint64(32)) | (fourth << np.uint64(32))
    last = ((fourth >> np.uint64(32)) & np.uint64(0xFF)) - _ZERO
    valid = (third & _DOT) == np.uint64(ord(".") << 24)
    valid &= all_digits(eight) & (last <= 9)
    return eight_digits(eight) * 10 + last.view(np.int64), valid


def offsets(zone: Bytes) -> tuple[Nanos, Flags]:
    """(ns to subtract, whether it is one) of (k, 6) bytes `+HH:MM` or `-HH:MM`."""
    digits = zone[:, (1, 2, 4, 5)].astype(np.int64) - ord("0")
    valid = ((digits >= 0) & (digits <= 9)).all(axis=1) & (zone[:, 3] == ord(":"))
    minus = zone[:, 0] == ord("-")
    valid &= minus | (zone[:, 0] == ord("+"))
    hour, minute = digits[:, 0] * 10 + digits[:, 1], digits[:, 2] * 10 + digits[:, 3]
    valid &= (hour <= 23) & (minute <= 59)
    return np.where(minus, -1, 1) * (hour * 60 + minute) * 60 * _NS, valid


def rest_of_time(window: Bytes, text: Words, width: npt.NDArray[np.int64]) -> tuple[Nanos, Flags]:
    """(ns to add to the second, whether it is well-formed) of bytes 19 to `width`."""
    row = np.arange(len(width))
    is_utc = (window[row, width - 1] | 0x20) == ord("z")
    zone_bytes = np.where(is_utc, 1, 6)
    has_dot = window[:, 19] == ord(".")
    digits = width - zone_bytes - 20
    valid = np.where(has_dot, (digits >= 1) & (digits <= 9), digits == -1)
    digits = np.where(has_dot, np.clip(digits, 0, 9), 0)
    eight = (text[:, 2] >> np.uint64(32)) | (text[:, 3] << np.uint64(32))
    nanos, are_digits = fractions(eight, window[:, 28], digits)
    zone = window[row[:, None], (width - 6)[:, None] + np.arange(6)]
    shift, is_offset = offsets(zone)
    return np.where(is_utc, nanos, nanos - shift), valid & are_digits & (is_utc | is_offset)


def parse_texts(texts: list[bytes]) -> tuple[Nanos, Flags]:
    """(ns, whether it is one) of whole time stamps; for the few that stand in no CRI head."""
    padded = b"".join(t[: MAX_BYTES + 1].ljust(_PADDED, b"\0") for t in texts)
    window = np.frombuffer(padded, np.uint8).reshape(-1, _PADDED)
    text = window.view("<u8")
    width = np.array([len(t) for t in texts], np.int64)
    minute, is_minute = minutes(text[:, 0], text[:, 1])
    second, is_second = seconds(text[:, 2])
    fits = (width >= 20) & (width <= MAX_BYTES)
    rest, is_rest = rest_of_time(window, text, np.clip(width, 20, MAX_BYTES))
    return minute + second + rest, is_minute & is_second & is_rest & fits
