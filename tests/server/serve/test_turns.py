"""Turns: so many at once, so many waiting; a wait that is cancelled cancels the query."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from kelp.server.http.refusal import RefusalError
from kelp.server.ports import BudgetError
from kelp.server.serve.turns import TurnMetrics, Turns


def turns(at_once: int, **options: Any) -> Turns:
    return Turns(at_once, TurnMetrics(CollectorRegistry()), **options)


def nothing() -> None:
    return None


def test_as_many_as_may_run_at_once_and_each_gets_its_answer() -> None:
    running, most, lock = 0, 0, threading.Lock()
    gate = threading.Barrier(3, timeout=10)

    def work(number: int) -> int:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        gate.wait()
        with lock:
            running -= 1
        return number

    async def scenario() -> list[int]:
        mine = turns(3)
        found = await asyncio.gather(
            *(mine.run(lambda n=n: work(n), nothing) for n in range(9))  # type: ignore[misc]
        )
        mine.close()
        return found

    assert (list(range(9)), 3) == (asyncio.run(scenario()), most)


def test_what_fails_fails_for_its_asker_alone() -> None:
    async def scenario() -> list[Any]:
        mine = turns(1)
        return await asyncio.gather(
            mine.run(lambda: 1 // 0, nothing), mine.run(lambda: 7, nothing), return_exceptions=True
        )

    failed, fine = asyncio.run(scenario())
    assert (isinstance(failed, ZeroDivisionError), fine) == (True, 7)


def test_a_cancelled_wait_cancels_until_the_query_ends_and_frees_its_place() -> None:
    cancelled, ended = threading.Semaphore(0), threading.Event()

    def work() -> None:
        # Deaf to the first: it came between two questions to the engine.
        for _ in range(2):
            assert cancelled.acquire(timeout=10)
        ended.set()

    async def scenario() -> int:
        mine = turns(1)
        stuck = asyncio.create_task(mine.run(work, cancelled.release))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        stuck.cancel()
        with pytest.raises(asyncio.CancelledError):
            await stuck
        return await mine.run(lambda: 7, nothing)

    assert (asyncio.run(scenario()), ended.is_set()) == (7, True)


def test_too_many_and_too_long_are_told_to_come_back() -> None:
    async def scenario() -> list[int]:
        mine = turns(1, max_waiting=1, wait_s=0.05)
        release = threading.Event()
        first = asyncio.create_task(mine.run(release.wait, release.set))
        await asyncio.sleep(0)
        second = asyncio.create_task(mine.run(nothing, nothing))
        await asyncio.sleep(0)
        statuses = []
        for waiting in (mine.run(nothing, nothing), second):
            with pytest.raises(RefusalError) as refused:
                await waiting
            statuses.append(refused.value.status)
            assert int(refused.value.headers["Retry-After"]) >= 1
        release.set()
        await first
        return statuses

    assert asyncio.run(scenario()) == [429, 429]


def test_a_stop_stops_what_runs_and_turns_away_what_comes() -> None:
    async def scenario() -> list[int]:
        mine = turns(1)
        started, stopped = threading.Event(), threading.Event()

        def work() -> None:
            started.set()
            assert stopped.wait(10)
            raise BudgetError("query stopped: it was cancelled")

        running = asyncio.create_task(mine.run(work, stopped.set))
        await asyncio.to_thread(started.wait, 10)
        mine.stop()
        statuses = []
        for waiting in (running, mine.run(nothing, nothing)):
            with pytest.raises(RefusalError) as refused:
                await waiting
            statuses.append(refused.value.status)
        mine.close()
        assert stopped.is_set()
        return statuses

    assert asyncio.run(scenario()) == [503, 503]
