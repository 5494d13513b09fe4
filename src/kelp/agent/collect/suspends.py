"""Wall times of kernel records, over suspends.

The kernel stamps records by a clock that stands still while the machine is suspended, as
CLOCK_MONOTONIC does; CLOCK_BOOTTIME does not, so their difference is how long the machine was
suspended in all. A record from before a suspend is older by that suspend's length than the clocks
of now say. When one ended, the kernel's line `PM: suspend exit` says; where several lie before the
first look at the clocks, each is taken for equally long, for nothing says better.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NamedTuple

EXIT = b"PM: suspend exit"
_TICK_NS = 10_000_000  # the clocks are read one after the other


class Times(NamedTuple):
    """The three clocks at one moment, ns."""

    wall_ns: int
    monotonic_ns: int
    boottime_ns: int


def system_times() -> Times:
    """The machine's own."""
    return Times(
        time.time_ns(),
        time.clock_gettime_ns(time.CLOCK_MONOTONIC),
        time.clock_gettime_ns(time.CLOCK_BOOTTIME),
    )


class Suspends:
    """When the machine was suspended, as far as known."""

    def __init__(self) -> None:
        self._total_ns = 0
        self._ends: list[tuple[int, int]] = []  # (stamp of the end in us, length in ns)
        self._last_us = 0

    def look(self, times: Times, exits_us: Sequence[int]) -> None:
        """Take in the clocks, and the stamps of `PM: suspend exit` since the last look."""
        grown = times.boottime_ns - times.monotonic_ns - self._total_ns
        if grown > _TICK_NS:
            self._total_ns += grown
            ends = list(exits_us) or [self._last_us]
            self._ends += [(end, grown // len(ends)) for end in ends]
        self._last_us = times.monotonic_ns // 1000

    def wall_ns(self, stamp_us: int, times: Times) -> int:
        """The wall time of a stamp; never later than now."""
        later_ns = sum(length for end, length in self._ends if end > stamp_us)
        age_ns = times.monotonic_ns - stamp_us * 1000 + later_ns
        return times.wall_ns - max(age_ns, 0)
