"""Ranges against sets of their positions."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from kelp.node.trace.ranges import Range, joined, total, within, without

RANGES = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)).map(lambda r: Range(*r)))


def positions(ranges: list[Range]) -> set[int]:
    return {p for r in ranges for p in range(r.start, r.end)}


@given(RANGES)
def test_joined_are_the_same_positions_in_order_and_apart(ranges: list[Range]) -> None:
    found = joined(ranges)
    assert positions(ranges) == positions(found)
    assert all(a.end < b.start for a, b in pairwise(found))
    assert total(ranges) == len(positions(ranges))


@given(RANGES, RANGES)
def test_without_leaves_the_others_out(ranges: list[Range], others: list[Range]) -> None:
    assert positions(ranges) - positions(others) == positions(without(ranges, others))


@given(RANGES, st.integers(0, 40), st.integers(0, 40))
def test_within_keeps_a_window(ranges: list[Range], start: int, end: int) -> None:
    assert positions(ranges) & set(range(start, end)) == positions(
        within(ranges, Range(start, end))
    )
