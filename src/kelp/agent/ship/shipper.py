"""Takes segments out of the spool in order and sends them until the server has them.

One segment is under way at a time: the order of arrival at the server is the order of numbers, and
an acknowledgement never overtakes another. Nothing is given up: a segment that the server can never
take is set aside by the spool, everything else is sent again for as long as it takes.
"""

from __future__ import annotations

import http.client
import logging
import random
import threading
from collections.abc import Callable
from typing import Protocol

from prometheus_client import CollectorRegistry

from kelp.agent.connection import Answer
from kelp.agent.ship.metrics import ShipMetrics
from kelp.agent.ship.verdict import Fate, Verdict, judge
from kelp.base.backoff import Backoff
from kelp.base.clock import Clock
from kelp.base.errors import ConfigError

_log = logging.getLogger(__name__)

FIRST_BACKOFF_S = 0.1

# How long the shipper waits for a segment before it looks whether it has to stop.
_IDLE_S = 1.0


class Parcel(Protocol):
    """A segment on its way."""

    @property
    def seq(self) -> int:
        """Its number."""

    @property
    def data(self) -> memoryview:
        """Its bytes, as they go over the wire."""

    @property
    def records(self) -> int:
        """How many records it holds."""

    @property
    def created_ns(self) -> int:
        """When it was made."""


class Outbox(Protocol):
    """Where segments wait. All methods raise OSError where the disk fails."""

    def next(self, timeout_s: float) -> Parcel | None:
        """The oldest segment, the same until it is acknowledged or refused; None after a time."""

    def acknowledge(self, seq: int) -> None:
        """It is durable at the server."""

    def refuse(self, seq: int, reason: str) -> None:
        """The server will never take it."""

    def wake(self) -> None:
        """Let a waiting `next` return."""


class Transport(Protocol):
    """Sends one segment and gives the server's answer."""

    def send(self, seq: int, data: memoryview) -> Answer:
        """Raises OSError or HTTPException where no whole answer came."""

    def close(self) -> None:
        """Give up the connection."""

    def abort(self) -> None:
        """Make a `send` under way in another thread fail."""


class Shipper:
    """A thread that empties an Outbox."""

    def __init__(
        self,
        outbox: Outbox,
        transport: Transport,
        backoff_max_s: float,
        clock: Clock,
        registry: CollectorRegistry,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._outbox = outbox
        self._transport = transport
        self._clock = clock
        self._metrics = ShipMetrics(registry)
        self._draw = draw
        self._backoff = Backoff(FIRST_BACKOFF_S, backoff_max_s, draw)
        self._stop = threading.Event()
        self._hurry = threading.Event()  # ends a wait early
        self._failing_since: float | None = None
        self._last_reason = ""
        self._thread = threading.Thread(target=self._run, name="kelp-ship", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """End within `timeout_s`; a segment under way then stays in the outbox."""
        self._stop.set()
        self._hurry.set()
        self._outbox.wake()
        self._thread.join(timeout_s / 2)
        if self._thread.is_alive():
            self._transport.abort()
            self._thread.join(timeout_s / 2)

    def reconfigure(self, transport: Transport, backoff_max_s: float) -> None:
        """Send over another transport from the next segment on, and try that at once."""
        old, self._transport = self._transport, transport
        self._backoff = Backoff(FIRST_BACKOFF_S, backoff_max_s, self._draw)
        self._hurry.set()
        old.abort()

    def failing_for_s(self) -> float:
        """For how long no segment could be delivered although one waits; 0 while all is well."""
        since = self._failing_since
        return 0.0 if since is None else self._clock.monotonic() - since

    @property
    def last_reason(self) -> str:
        """Why the last try failed."""
        return self._last_reason

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.step(_IDLE_S)
            except OSError as e:
                self._wait(Verdict(Fate.AGAIN, f"the spool cannot be read: {e}"))
            except Exception:  # noqa: BLE001 - a fault of ours must not end shipping for ever
                _log.exception("shipping failed unexpectedly")
                self._wait(Verdict(Fate.AGAIN, "internal error"))
        self._transport.close()

    def step(self, timeout_s: float) -> None:
        """Wait for a segment, try to deliver it once, and wait where that failed."""
        parcel = self._outbox.next(timeout_s)
        if parcel is None or self._stop.is_set():
            return
        verdict = self._try(parcel)
        if verdict.fate is Fate.AGAIN:
            self._wait(verdict)
            return
        if verdict.fate is Fate.NEVER:
            self._refuse(parcel, verdict)
        else:
            self._outbox.acknowledge(parcel.seq)
            delay_s = self._clock.now_ns() / 1e9 - parcel.created_ns / 1e9
            self._metrics.delivered(len(parcel.data), parcel.records, delay_s)
        self._recovered()

    def _try(self, parcel: Parcel) -> Verdict:
        started = self._clock.monotonic()
        try:
            answer = self._transport.send(parcel.seq, parcel.data)
        except (OSError, http.client.HTTPException, ConfigError) as e:
            self._metrics.attempt("no_answer", self._clock.monotonic() - started)
            return Verdict(Fate.AGAIN, f"no answer: {type(e).__name__}: {e}")
        self._metrics.attempt(_class_of(answer.status), self._clock.monotonic() - started)
        return judge(answer, self._clock.now_ns() / 1e9)

    def _refuse(self, parcel: Parcel, verdict: Verdict) -> None:
        self._outbox.refuse(parcel.seq, verdict.reason)
        _log.error(
            "the server will never take this segment; it is kept in the spool's folder 'refused'",
            extra={"seq": parcel.seq, "records": parcel.records, "reason": verdict.reason},
        )

    def _wait(self, verdict: Verdict) -> None:
        if self._failing_since is None:
            self._failing_since = self._clock.monotonic()
        if verdict.reason != self._last_reason:
            _log.warning(
                "a segment was not delivered; trying again", extra={"reason": verdict.reason}
            )
        self._last_reason = verdict.reason
        seconds = self._backoff.next_s()
        if verdict.wait_s is not None:
            # A little more than asked for, so that agents told the same do not come as one.
            seconds = verdict.wait_s * (1 + 0.1 * self._draw()) or seconds
        self._metrics.waiting.set(seconds)
        self._hurry.wait(seconds)
        if not self._stop.is_set():
            self._hurry.clear()
        self._metrics.waiting.set(0)

    def _recovered(self) -> None:
        if self._failing_since is not None:
            _log.info("delivering again", extra={"after_s": round(self.failing_for_s(), 1)})
        self._failing_since = None
        self._last_reason = ""
        self._backoff.reset()


def _class_of(status: int) -> str:
    return str(status) if status in (401, 403, 404, 413, 429, 503) else f"{status // 100}xx"
