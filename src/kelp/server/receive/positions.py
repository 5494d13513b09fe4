"""Positions for records that have none of their own: the order in which they arrived.

An agent's records have their place in a file. What is pushed has only its arrival, and equal
timestamps must keep it, also across restarts; so positions are nanoseconds of arrival, counted on
where several arrive in one.
"""

from __future__ import annotations

import threading

from kelp.base.clock import Clock


class Arrivals:
    """Gives out positions that never go back while the process lives. Safe from any thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._next = 0
        self._lock = threading.Lock()

    def take(self, count: int) -> int:
        """The first of `count` positions that nobody else gets."""
        with self._lock:
            first = max(self._next, self._clock.now_ns())
            self._next = first + count
            return first
