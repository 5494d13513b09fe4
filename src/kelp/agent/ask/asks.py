"""The thread that waits for questions, and those that answer them, few at once.

A server that is away is asked again with longer and longer waits; one that knows no questions (it
is older) once in five minutes. Nothing that goes wrong here may harm the collecting of logs.
"""

from __future__ import annotations

import http.client
import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias

from prometheus_client import CollectorRegistry

from kelp.agent.ask.channel import Channel, RefusedError, UnwantedError
from kelp.agent.ask.metrics import AskMetrics
from kelp.agent.ask.parts import parts_of
from kelp.base.backoff import Backoff
from kelp.base.clock import Clock
from kelp.base.errors import KelpError
from kelp.wire.asks import PART_BYTES, Ask, Outcome, Presence

_log = logging.getLogger(__name__)

# How long the server may keep us waiting: shorter than what idle connections are cut after.
WAIT_S = 25
# So many questions are answered at once; meanwhile no more are taken.
MAX_AT_ONCE = 4
# No answer is longer; a bundle of a large node takes some 10 MiB.
MAX_ANSWER_BYTES = 512 << 20

# Two requests that bring nothing are so far apart.
_LEAST_S = 1.0

# While no more are taken, whether to stop is looked at so often.
_LOOK_S = 0.2

_FIRST_BACKOFF_S = 0.5
_MAX_BACKOFF_S = 30.0
_UNKNOWN_WAIT_S = 300.0


class RefusedAskError(KelpError):
    """The question is wrong: whoever asked can mend it."""


Answerer: TypeAlias = Callable[[Ask], Iterable[bytes]]
"""Gives the answer's bytes in pieces; raises RefusedAskError, or KelpError where it cannot."""


Connect: TypeAlias = Callable[[float], Channel]
"""A connection whose requests may take so many seconds longer than usual; raises ConfigError."""


class Asks:
    """`start` it, `stop` it; both from one thread."""

    def __init__(
        self,
        connect: Connect,
        presence: Presence,
        answerer: Answerer,
        clock: Clock,
        registry: CollectorRegistry,
    ) -> None:
        self._connect = connect
        self._presence = presence
        self._answerer = answerer
        self._clock = clock
        self._metrics = AskMetrics(registry)
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._channel: Channel | None = None
        self._places = threading.BoundedSemaphore(MAX_AT_ONCE)
        self._thread = threading.Thread(target=self._run, name="kelp-asks", daemon=True)
        self._told = ""
        self._up = False

    def start(self) -> None:
        """Begin to wait for questions."""
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """Let the thread end; answers under way are given up."""
        self._stopping.set()
        self._drop()
        self._thread.join(timeout_s)

    def reconfigure(self, connect: Connect) -> None:
        """From now on this way leads to the server."""
        self._connect = connect
        self._up = False
        self._drop()

    def _drop(self) -> None:
        with self._lock:
            channel, self._channel = self._channel, None
        if channel is not None:
            channel.abort()

    # The thread that waits.

    def _run(self) -> None:
        backoff = Backoff(_FIRST_BACKOFF_S, _MAX_BACKOFF_S)
        while not self._stopping.is_set():
            if not self._places.acquire(timeout=_LOOK_S):
                continue
            ask, wait_s = self._next(backoff)
            if ask is None:
                self._places.release()
            else:
                threading.Thread(
                    target=self._answer, args=(ask,), name="kelp-answer", daemon=True
                ).start()
            self._stopping.wait(wait_s)

    def _next(self, backoff: Backoff) -> tuple[Ask | None, float]:
        """A question, and how long to wait before the next request."""
        channel: Channel | None = None
        began = self._clock.monotonic()
        try:
            channel = self._current()
            # The first request is answered at once: then both sides know that the other is there.
            ask = channel.next_ask(self._presence, WAIT_S if self._up else 0)
        except RefusedError as e:
            self._away(str(e))
            return None, _UNKNOWN_WAIT_S if e.status in (404, 405) else backoff.next_s()
        except (OSError, http.client.HTTPException, KelpError) as e:
            if channel is not None and self._channel is not channel:
                return None, 0.0  # dropped: the new way, if any, is tried at once
            self._away(str(e) or type(e).__name__)
            return None, backoff.next_s()
        backoff.reset()
        knew, self._up = self._up, True
        self._there()
        # One that answers before its time, and with nothing (a proxy does), is not asked at once.
        early = knew and ask is None
        return ask, max(_LEAST_S - (self._clock.monotonic() - began), 0.0) if early else 0.0

    def _current(self) -> Channel:
        with self._lock:
            if self._channel is None:
                self._channel = self._connect(WAIT_S)
            return self._channel

    def _away(self, reason: str) -> None:
        """Tell it once: the shipping of logs says the same, and more often."""
        self._up = False
        self._metrics.waiting.set(0)
        if reason != self._told:
            _log.info("cannot wait for questions of the server", extra={"reason": reason})
            self._told = reason

    def _there(self) -> None:
        self._metrics.waiting.set(1)
        self._told = ""

    # The threads that answer.

    def _answer(self, ask: Ask) -> None:
        outcome = "unsent"
        try:
            outcome = self._answered(ask)
        except (OSError, http.client.HTTPException, RefusedError, KelpError) as e:
            _log.info("an answer could not be sent", extra={"report": ask.report, "error": str(e)})
        finally:
            self._metrics.answered.labels(outcome).inc()
            self._places.release()

    def _answered(self, ask: Ask) -> str:
        channel = self._connect(0.0)
        sent = 0
        try:
            for part, last in parts_of(self._pieces(ask), PART_BYTES):
                channel.send(ask, sent, part, last=last)
                sent += 1
            return "answered"
        except UnwantedError:
            return "unwanted"
        except RefusedAskError as e:
            return self._say(channel, ask, sent, "refused", str(e))
        except _FailedError as e:
            return self._say(channel, ask, sent, "failed", str(e))
        finally:
            channel.close()

    def _say(self, channel: Channel, ask: Ask, part: int, outcome: Outcome, reason: str) -> str:
        try:
            data = reason.encode("utf-8", "replace")[:PART_BYTES]
            channel.send(ask, part, data, last=True, outcome=outcome)
        except UnwantedError:
            return "unwanted"
        return outcome

    def _pieces(self, ask: Ask) -> Iterator[bytes]:
        """The answer, within its time and bounds; all that goes wrong is told in words."""
        end, size = self._clock.monotonic() + ask.timeout_s, 0
        try:
            for piece in self._answerer(ask):
                if self._clock.monotonic() > end:
                    raise UnwantedError
                if self._stopping.is_set():
                    raise _FailedError("the agent is stopping")
                size += len(piece)
                if size > MAX_ANSWER_BYTES:
                    raise _FailedError(f"the answer is longer than {MAX_ANSWER_BYTES} bytes")
                yield piece
        except (UnwantedError, RefusedAskError, _FailedError):
            raise
        except KelpError as e:
            raise _FailedError(str(e)) from e
        except Exception as e:
            _log.exception("a question could not be answered", extra={"report": ask.report})
            raise _FailedError(f"{type(e).__name__}; the agent's log has the reason") from e


class _FailedError(Exception):
    """The node cannot do it; the text says why."""
