"""Waiting for something real, with a deadline: the one place in the tests where time passes."""

from __future__ import annotations

import time
from collections.abc import Callable


def wait_until(predicate: Callable[[], object], timeout_s: float = 10.0) -> None:
    """Return when `predicate` gives something true; AssertionError after `timeout_s`."""
    end = time.monotonic() + timeout_s
    while not predicate():
        assert time.monotonic() < end, f"expected {predicate} within {timeout_s} s"
        time.sleep(0.01)
