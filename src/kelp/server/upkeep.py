"""What the server does by itself: looks whether the store answers, lets old records go, and those
that somebody asked to delete.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge

from kelp.base.clock import Clock

_log = logging.getLogger(__name__)

LOOK_EVERY_S = 5.0
RETENTION_EVERY_S = 60.0


class Upkeep:
    """A thread of its own; neither task can end it."""

    def __init__(
        self,
        ping: Callable[[], object],
        apply_retention: Callable[[int], object],
        run_deletions: Callable[[int], object],
        clock: Clock,
        registry: CollectorRegistry,
    ) -> None:
        """`ping` raises where the store does not answer; the others get the time in ns."""
        self._ping = ping
        self._apply_retention = apply_retention
        self._run_deletions = run_deletions
        self._clock = clock
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="kelp-upkeep", daemon=True)
        self._next_retention = clock.monotonic()
        self.trouble = ""  # why the store does not answer; empty where it does
        self._up = Gauge(
            "kelp_server_store_up", "1 where the store answered last time.", registry=registry
        )
        self._failed = Counter(
            "kelp_server_upkeep_failures",
            "Rounds of the upkeep that failed, by task: ping, retention, deletions.",
            ["task"],
            registry=registry,
        )

    def start(self) -> None:
        """Begin; the first round is at once."""
        self._thread.start()

    def stop(self) -> None:
        """End after the task under way."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=2.0)

    def round(self) -> None:
        """What is due now."""
        self.trouble = self._tried("ping", self._ping)
        self._up.set(0 if self.trouble else 1)
        if not self.trouble:
            self._tried("deletions", lambda: self._run_deletions(self._clock.now_ns()))
        if not self.trouble and self._clock.monotonic() >= self._next_retention:
            self._next_retention = self._clock.monotonic() + RETENTION_EVERY_S
            self._tried("retention", lambda: self._apply_retention(self._clock.now_ns()))

    def _tried(self, task: str, work: Callable[[], object]) -> str:
        try:
            work()
        except Exception as e:  # noqa: BLE001 - whatever it was, the next round tries again
            self._failed.labels(task).inc()
            _log.warning("upkeep failed", extra={"task": task, "error": str(e)})
            return f"the store does not answer: {e}"
        return ""

    def _run(self) -> None:
        while not self._stop.is_set():
            self.round()
            self._stop.wait(LOOK_EVERY_S)
