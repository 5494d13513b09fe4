"""Waits between tries."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kelp.base.backoff import Backoff


def test_waits_double_up_to_the_limit():
    backoff = Backoff(0.1, 1.0, draw=lambda: 1.0)
    assert [backoff.next_s() for _ in range(6)] == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0]
    assert backoff.failures == 6
    backoff.reset()
    assert backoff.failures == 0
    assert backoff.next_s() == 0.1


@given(st.integers(1, 200), st.floats(0, 1, exclude_max=True))
def test_jitter_lies_between_nothing_and_the_bound(failures, draw):
    backoff = Backoff(0.1, 30.0, draw=lambda: draw)
    for _ in range(failures):
        wait = backoff.next_s()
    assert 0 <= wait <= 30.0


def test_a_month_of_failures_overflows_nothing():
    backoff = Backoff(0.1, 30.0, draw=lambda: 1.0)
    for _ in range(100_000):
        wait = backoff.next_s()
    assert wait == 30.0
