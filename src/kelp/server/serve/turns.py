"""Taking turns at the engine: so many queries at once, so many waiting, the rest told to come back.

A query runs in a thread, for the engine blocks; the event loop only waits. When the one who asked
goes away, the query is stopped: a wait that is cancelled here is a query that is cancelled there.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge

from kelp.server.http.refusal import RefusalError, busy

T = TypeVar("T")

# A query may be between two questions to the engine when it is cancelled: so it is said again.
_CANCEL_EVERY_S = 0.3
_END_S = 1.0
_WAITING_FOR_EACH = 8
WAIT_S = 30.0


class TurnMetrics:
    """How busy the engine is kept."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.running = Gauge("kelp_server_queries_running", "Queries under way.", registry=registry)
        self.waiting = Gauge(
            "kelp_server_queries_waiting", "Queries that wait for their turn.", registry=registry
        )
        self.turned_away = Counter(
            "kelp_server_queries_turned_away",
            "Queries that were answered with 429, by why: queue (too many wait), time (too long).",
            ["reason"],
            registry=registry,
        )
        self.cancelled = Counter(
            "kelp_server_queries_cancelled",
            "Queries stopped because nobody waited for the answer any more.",
            registry=registry,
        )


class Turns:
    """For one event loop. `close` when it ends."""

    def __init__(
        self, at_once: int, metrics: TurnMetrics, *, max_waiting: int | None = None,
        wait_s: float = WAIT_S,
    ) -> None:  # fmt: skip
        """`max_waiting` None: eight for each that runs."""
        self._places = asyncio.Semaphore(at_once)
        self._waiting = 0
        self._max_waiting = at_once * _WAITING_FOR_EACH if max_waiting is None else max_waiting
        self._wait_s = wait_s
        self._metrics = metrics
        self._threads = ThreadPoolExecutor(at_once, "kelp-query")
        self._running: dict[Future[Any], Callable[[], None]] = {}
        self._stopping = False
        self._cancelling = ThreadPoolExecutor(2, "kelp-cancel")

    async def run(self, work: Callable[[], T], cancel: Callable[[], None]) -> T:
        """`work()` in a thread, in turn; `cancel()` stops it and may be called several times.

        Raises what `work` raises, and RefusalError (429) where the queue is too long.
        """
        async with self._turn():
            running = self._threads.submit(work)
            self._running[running] = cancel
            running.add_done_callback(lambda ended: self._running.pop(ended, None))
            future = asyncio.wrap_future(running)
            # Also where we are cancelled a second time, and nobody looks at it any more.
            future.add_done_callback(lambda done: done.cancelled() or done.exception())
            try:
                return await asyncio.shield(future)
            except Exception:
                # What was stopped by `stop` fails as if it had cost too much; it did not.
                if self._stopping:
                    raise _stopping() from None
                raise
            except asyncio.CancelledError:
                self._metrics.cancelled.inc()
                # The place stays taken as long as the thread does; others wait no worse for it.
                await self._stop(future, cancel)
                raise

    def stop(self) -> None:
        """Stop what runs, and turn away what comes; from the event loop."""
        self._stopping = True
        for cancel in list(self._running.values()):
            self._cancelling.submit(cancel)

    def close(self) -> None:
        """Let the threads go. Queries that were cancelled get a moment to end: the engine that
        they run in is closed next."""
        concurrent.futures.wait(list(self._running), timeout=_END_S)
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._cancelling.shutdown(wait=False, cancel_futures=True)

    @contextlib.asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        await self._place()
        self._metrics.running.inc()
        try:
            if self._stopping:
                raise _stopping()
            yield
        finally:
            self._metrics.running.dec()
            self._places.release()

    async def _place(self) -> None:
        if self._stopping:
            raise _stopping()
        if self._places.locked() and self._waiting >= self._max_waiting:
            self._metrics.turned_away.labels("queue").inc()
            raise busy(f"{self._waiting} queries wait already, as many as may", 1.0)
        self._waiting += 1
        self._metrics.waiting.inc()
        try:
            async with asyncio.timeout(self._wait_s):
                await self._places.acquire()
        except TimeoutError:
            self._metrics.turned_away.labels("time").inc()
            raise busy(f"the query's turn did not come within {self._wait_s:g} s", 5.0) from None
        finally:
            self._waiting -= 1
            self._metrics.waiting.dec()

    async def _stop(self, future: asyncio.Future[T], cancel: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        while not future.done():
            # A query that cannot be stopped ends by its budget.
            with contextlib.suppress(Exception):
                await loop.run_in_executor(self._cancelling, cancel)
            await asyncio.wait([future], timeout=_CANCEL_EVERY_S)
        with contextlib.suppress(Exception):  # nobody is left to tell
            future.result()


def _stopping() -> RefusalError:
    return RefusalError(503, "the server is stopping", hint="ask again in a moment")
