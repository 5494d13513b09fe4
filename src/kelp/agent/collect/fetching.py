"""Questions that take their time, asked by threads of their own; whoever asked never waits.

As many are under way as there are threads. Questions may be put ahead, so that the threads have
something to do until whoever asks comes round again; answers wait to be taken, and where they are
too large together the threads wait, too.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Generic, NamedTuple, TypeVar

from kelp.base.errors import KelpError

K = TypeVar("K")

AHEAD = 16
"""Questions put at the most, for each thread: more than are answered between two looks."""

MAX_WAITING_BYTES = 8 << 20
"""Of answers that nobody has taken yet; beyond it each thread holds one more."""

_log = logging.getLogger(__name__)


class Fetched(NamedTuple, Generic[K]):
    """What became of a question: a value or an error."""

    key: K
    value: Any
    error: Exception | None


class Fetchers(Generic[K]):
    """`count` threads, started with the first question; `weigh` gives a value's size in bytes."""

    def __init__(self, count: int, name: str, weigh: Callable[[Any], int] = lambda _: 0) -> None:
        self._questions: queue.SimpleQueue[tuple[K, Callable[[], Any]] | None] = queue.SimpleQueue()
        self._answers: deque[tuple[int, Fetched[K]]] = deque()
        self._waiting_bytes = 0
        self._room = threading.Condition()
        self._count, self._name, self._weigh = count, name, weigh
        self._threads: list[threading.Thread] = []
        self._stopped = False
        self.under_way = 0  # questions without an answer that was taken

    @property
    def free(self) -> bool:
        """Whether a further question should be put."""
        return self.under_way < self._count * AHEAD

    @property
    def waiting(self) -> bool:
        """Whether there is an answer to be taken."""
        return bool(self._answers)

    def ask(self, key: K, question: Callable[[], Any]) -> None:
        """Let a thread call `question`, which raises KelpError where there is no answer."""
        if len(self._threads) < self._count:
            thread = threading.Thread(target=self._work, name=self._name, daemon=True)
            self._threads.append(thread)
            thread.start()
        self.under_way += 1
        self._questions.put((key, question))

    def take(self) -> Fetched[K] | None:
        """An answer; None while there is none."""
        with self._room:
            if not self._answers:
                return None
            size, answer = self._answers.popleft()
            self._waiting_bytes -= size
            self._room.notify()
        self.under_way -= 1
        return answer

    def stop(self) -> None:
        """End the threads when their questions have ended; does not wait for them."""
        with self._room:
            self._stopped = True
            self._room.notify_all()
        for _ in self._threads:
            self._questions.put(None)

    def _work(self) -> None:
        while (item := self._questions.get()) is not None and not self._stopped:
            answer = _answered(*item)
            size = self._weigh(answer.value) if answer.value is not None else 0
            with self._room:
                self._room.wait_for(lambda: self._stopped or self._has_room())
                self._answers.append((size, answer))
                self._waiting_bytes += size

    def _has_room(self) -> bool:
        return self._waiting_bytes < MAX_WAITING_BYTES


def _answered(key: K, question: Callable[[], Any]) -> Fetched[K]:
    try:
        return Fetched(key, question(), None)
    except KelpError as e:
        return Fetched(key, None, e)
    except Exception as e:  # noqa: BLE001 - a thread that dies would leave its key for ever
        _log.exception("asking failed in an unexpected way")
        return Fetched(key, None, e)
