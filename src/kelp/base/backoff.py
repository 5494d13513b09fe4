"""How long to wait before a failed step is tried again: exponential with full jitter.

Full jitter (a uniform draw between 0 and the exponential bound) spreads many agents evenly after a
server's outage; equal or no jitter lets them come back in waves.
Source: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
"""

from __future__ import annotations

import random
from collections.abc import Callable


class Backoff:
    """The waits of one thing that is retried; not for several threads at once."""

    def __init__(
        self, first_s: float, max_s: float, draw: Callable[[], float] = random.random
    ) -> None:
        """`draw` gives a number in [0, 1); `first_s` is the bound of the first wait."""
        self._first_s = first_s
        self._max_s = max_s
        self._draw = draw
        self._failures = 0

    @property
    def failures(self) -> int:
        """Failures in a row since the last success."""
        return self._failures

    def next_s(self) -> float:
        """Count a failure; the seconds to wait before the next try."""
        # The exponent is bounded so that a month of failures makes no number too big for a float.
        bound = min(self._max_s, self._first_s * 2.0 ** min(self._failures, 60))
        self._failures += 1
        return bound * self._draw()

    def reset(self) -> None:
        """Count a success."""
        self._failures = 0
