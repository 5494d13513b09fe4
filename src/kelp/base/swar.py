"""Eight bytes at a time: which bytes of a 64-bit word are what, by arithmetic alone.

Every function gives flags: the high bit of each byte that is meant, all others clear. Words are
little-endian, so the lowest flag is the first byte of the text. Method: "SIMD within a register",
https://graphics.stanford.edu/~seander/bithacks.html#ZeroInWord
"""

from __future__ import annotations

import numpy as np

from kelp.base.gather import Places, Words

_ONES = 0x0101010101010101
_HIGH = np.uint64(0x80 * _ONES)
_LOW_SEVEN = np.uint64(0x7F * _ONES)
_CASE = np.uint64(0x20 * _ONES)
# Added to seven bits, these carry into the high bit from the named byte on.
_FROM_A = np.uint64((0x80 - ord("a")) * _ONES)
_BEHIND_Z = np.uint64((0x7F - ord("z")) * _ONES)
_FROM_0 = np.uint64((0x80 - ord("0")) * _ONES)
_BEHIND_9 = np.uint64((0x7F - ord("9")) * _ONES)
_NO_ONE = np.uint64(1)


def letters(words: Words) -> Words:
    """Flags of the ASCII letters."""
    small = words | _CASE
    seven = small & _LOW_SEVEN
    flags: Words = (seven + _FROM_A) & ~(seven + _BEHIND_Z) & ~small & _HIGH
    return flags


def digits(words: Words) -> Words:
    """Flags of the ASCII digits."""
    seven = words & _LOW_SEVEN
    flags: Words = (seven + _FROM_0) & ~(seven + _BEHIND_9) & ~words & _HIGH
    return flags


def equal(words: Words, byte: int) -> Words:
    """Flags of the bytes that are `byte`."""
    rest = words ^ np.uint64(byte * _ONES)
    flags: Words = ~((rest & _LOW_SEVEN) + _LOW_SEVEN | rest) & _HIGH
    return flags


def beyond(words: Words, byte: int) -> Words:
    """Flags of the bytes that are greater than `byte`, which is below 0x7f."""
    flags: Words = ((words & _LOW_SEVEN) + np.uint64((0x7F - byte) * _ONES) | words) & _HIGH
    return flags


def others(flags: Words) -> Words:
    """Flags of the bytes that have none."""
    return flags ^ _HIGH


def same_digits(words: Words) -> Words:
    """The words with every digit replaced by 0."""
    found = digits(words) >> np.uint64(7)
    # 0x0f at every digit: what makes it another one than 0.
    return words & ~(found * np.uint64(0x0F))


def first(flags: Words) -> Places:
    """(n,) place of the first flag in each row of (n, k) words; 8 * k where there is none."""
    low = (flags - _NO_ONE) & ~flags  # all bits below the lowest flag, its byte's lower ones too
    count = (np.bitwise_count(low) >> 3).astype(np.int64)
    place: Places = count[:, -1]
    for column in range(flags.shape[1] - 2, -1, -1):
        here = count[:, column]
        place = np.where(here < 8, here, place + 8)
    return place
