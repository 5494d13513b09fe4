"""Simulated time: programs are generators that yield how many seconds they wait.

Nothing here looks at a clock. Whoever runs the node says up to when things shall have happened;
each step happens at its own exact time, however seldom that is asked for.
"""

from __future__ import annotations

import heapq
from collections.abc import Generator
from itertools import count
from typing import TypeAlias

Program: TypeAlias = Generator[float, None, None]

_NS = 1_000_000_000


class Schedule:
    """Runs programs in the order of simulated time."""

    def __init__(self, start_ns: int) -> None:
        self.now_ns = start_ns
        self._order = count()  # programs due at the same time go on in the order of their waiting
        self._waiting: list[tuple[int, int, Program]] = []

    def spawn(self, program: Program, after_s: float = 0.0) -> None:
        """Begin a program so many seconds from now."""
        due = self.now_ns + round(after_s * _NS)
        heapq.heappush(self._waiting, (due, next(self._order), program))

    def run_until(self, now_ns: int) -> None:
        """Let everything happen that is due up to `now_ns`; then that is the time."""
        while self._waiting and self._waiting[0][0] <= now_ns:
            due, _, program = heapq.heappop(self._waiting)
            self.now_ns = max(self.now_ns, due)
            try:
                delay = next(program)
            except StopIteration:
                continue
            self.spawn(program, delay)
        self.now_ns = max(self.now_ns, now_ns)
