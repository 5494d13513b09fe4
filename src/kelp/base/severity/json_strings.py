"""Strings of the outermost object of JSON lines, over the bytes of all lines together.

Which quotes are escaped, which of the others begin a string and which end it, which brackets stand
outside of strings, and how deep that makes each string. Costs by bytes, quotes and brackets.

A backslash hides the byte behind it, everywhere: in what is no valid JSON as well.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kelp.base.gather import Bytes, Places
from kelp.base.severity.bodies import Bodies

_QUOTE, _BACKSLASH = ord('"'), ord("\\")

# What opens (+1) and closes (-1) a level of depth.
_DEPTH = np.zeros(256, np.int32)
_DEPTH[list(b"{[")], _DEPTH[list(b"}]")] = 1, -1


@dataclass(frozen=True)
class Strings:
    """String i of row row[i] has its quotes at opening[i] and closing[i]; in the rows' order."""

    row: Places
    opening: Places
    closing: Places


def outermost_strings(bodies: Bodies) -> Strings:
    """Every string at depth one; `bodies` are packed, and none begins with a backslash."""
    values = bodies.values
    marks = _marks(values, bodies.stop)
    counts = np.diff(np.searchsorted(marks, bodies.stop), prepend=0)
    row = np.repeat(np.arange(len(bodies)), counts)
    byte = values[marks]
    is_quote = byte == _QUOTE
    # Quotes before each mark in its row: odd inside of a string.
    number = np.cumsum(is_quote) - is_quote
    inside = ((number - _at_first_of_row(number, counts)) & 1).astype(np.bool_)
    delta = np.where(inside, 0, _DEPTH[byte])
    depth = np.cumsum(delta)
    depth -= _at_first_of_row(depth - delta, counts)
    opens = np.flatnonzero(is_quote & ~inside & (depth == 1))
    quotes = np.flatnonzero(is_quote)
    opens = opens[number[opens] + 1 < len(quotes)]
    closes = quotes[number[opens] + 1]
    same = row[opens] == row[closes]
    opens, closes = opens[same], closes[same]
    return Strings(row[opens], marks[opens], marks[closes])


def _at_first_of_row(values: Places, counts: Places) -> Places:
    """For each mark the value at the first mark of its row."""
    first = np.cumsum(counts) - counts
    some = counts > 0
    return np.repeat(values[first[some]], counts[some])


def _marks(values: Bytes, stop: Places) -> Places:
    """Quotes and brackets (and backslashes and bars, which do nothing) that are not escaped."""
    is_mark = ((values & 0xDF) - np.uint8(0x5B)) <= 2  # [ \\ ] { | }
    is_mark |= values == _QUOTE
    backslashes = np.flatnonzero(values == _BACKSLASH)
    if len(backslashes):
        is_mark[_hidden(backslashes, stop)] = False
    return np.flatnonzero(is_mark)


def _hidden(backslashes: Places, ends: Places) -> Places:
    """The bytes behind an odd number of backslashes.

    A run of them lies within one row, since no row begins with one; at the row's end (`ends`) it
    hides nothing.
    """
    last = np.flatnonzero(np.concatenate((backslashes[1:] != backslashes[:-1] + 1, [True])))
    is_odd = np.diff(last, prepend=-1) % 2 == 1
    behind: Places = backslashes[last[is_odd]] + 1
    return behind[~np.isin(behind, ends, assume_unique=True)]
