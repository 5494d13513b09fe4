"""Ranges of positions: joined, cut out of each other, moved."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Range(NamedTuple):
    """From `start` (in it) to `end` (outside)."""

    start: int
    end: int


def joined(ranges: Iterable[Range]) -> list[Range]:
    """The same positions as few ranges, in order; empty ones are left out."""
    out: list[Range] = []
    for one in sorted(r for r in ranges if r.end > r.start):
        if out and one.start <= out[-1].end:
            out[-1] = Range(out[-1].start, max(out[-1].end, one.end))
        else:
            out.append(one)
    return out


def without(ranges: Iterable[Range], others: Iterable[Range]) -> list[Range]:
    """What of `ranges` lies in none of `others`."""
    left, cuts = joined(ranges), joined(others)
    for cut in cuts:
        left = [
            part
            for one in left
            for part in (
                Range(one.start, min(one.end, cut.start)),
                Range(max(one.start, cut.end), one.end),
            )
            if part.end > part.start
        ]
    return left


def within(ranges: Iterable[Range], window: Range) -> list[Range]:
    """What of `ranges` lies in `window`, joined."""
    return joined(Range(max(r.start, window.start), min(r.end, window.end)) for r in ranges)


def total(ranges: Iterable[Range]) -> int:
    """How many positions."""
    return sum(r.end - r.start for r in joined(ranges))
