"""Time as a dependency: the parts that need it take a Clock, and tests give them a fake one."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Must be safe to call from several threads."""

    def now_ns(self) -> int:
        """Wall time, nanoseconds since the epoch; may jump."""

    def monotonic(self) -> float:
        """Seconds that never go back; for intervals and timeouts."""

    def sleep(self, seconds: float) -> None:
        """Wait."""


class SystemClock:
    """The machine's own time."""

    def now_ns(self) -> int:
        """See Clock."""
        return time.time_ns()

    def monotonic(self) -> float:
        """See Clock."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """See Clock."""
        time.sleep(seconds)
