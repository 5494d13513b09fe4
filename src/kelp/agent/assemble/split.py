"""Lines of a RawBatch: where each begins and ends, and which piece it came in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kelp.base.gather import Bytes, Places
from kelp.model.raw import RawBatch

NEWLINE = 0x0A
_ONE = np.uint64(1)


@dataclass(frozen=True)
class Spans:
    """Line i is data[start[i]:stop[i]], its newline not counted; piece[i] is where it came in."""

    data: Bytes
    start: Places
    stop: Places
    piece: Places


def split(raw: RawBatch) -> Spans:
    """Every line of the batch, in its order; costs by bytes and pieces, not by line."""
    data, starts, ends = _contiguous(raw)
    newlines = _newlines(data)
    stop, after = newlines, newlines + 1
    if unfinished := _unfinished(data, starts, ends):
        extra = np.array(unfinished, np.int64)
        where = np.searchsorted(newlines, extra)
        stop, after = np.insert(stop, where, extra), np.insert(after, where, extra)
    start = np.empty_like(stop)
    if len(start):
        start[0], start[1:] = 0, after[:-1]
    counts = np.diff(np.searchsorted(after, ends, side="right"), prepend=0)
    return Spans(data, start, stop, np.repeat(np.arange(len(ends)), counts))


def _newlines(data: Bytes) -> Places:
    """Where newlines are.

    One bit a byte first: of the words of 64 bits few are not zero, and most of those have one bit.
    """
    bits = np.packbits(data == NEWLINE, bitorder="little")
    words = np.zeros(-(-len(bits) // 8), np.uint64)
    words.view(np.uint8)[: len(bits)] = bits
    at = np.flatnonzero(words)
    left = words[at]
    counts = np.bitwise_count(left).astype(np.int64)
    place = np.cumsum(counts) - counts
    found = np.empty(int(counts.sum()), np.int64)
    while len(left):
        found[place] = at * 64 + np.bitwise_count((left - _ONE) & ~left)
        left = left & (left - _ONE)  # without its lowest bit
        more = np.flatnonzero(left)
        left, at, place = left[more], at[more], place[more] + 1
    return found


def _contiguous(raw: RawBatch) -> tuple[Bytes, Places, Places]:
    """The batch with no byte before, between and behind its pieces; mostly it comes so."""
    starts, ends = raw.starts, raw.ends
    if not len(starts):
        return raw.data[:0], starts, ends
    if bool((starts[1:] == ends[:-1]).all()):
        return raw.data[starts[0] : ends[-1]], starts - starts[0], ends - starts[0]
    data = np.concatenate([raw.data[a:b] for a, b in zip(starts, ends, strict=True)])
    ends = np.cumsum(ends - starts)
    return data, np.concatenate(([0], ends[:-1])), ends


def _unfinished(data: Bytes, starts: Places, ends: Places) -> list[int]:
    """Ends of the pieces whose last line has no newline."""
    filled = ends > starts
    last = ends[filled] - 1
    return [int(e) + 1 for e in last[data[last] != NEWLINE]]
