"""Questions that take their time, asked by threads of their own; whoever asked never waits.

As many are under way as there are threads. Answers wait, at most one for each question that was
put, until they are taken.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from typing import Any, Generic, NamedTuple, TypeVar

from kelp.base.errors import KelpError

K = TypeVar("K")

_log = logging.getLogger(__name__)


class Fetched(NamedTuple, Generic[K]):
    """What became of a question: a value or an error."""

    key: K
    value: Any
    error: Exception | None


class Fetchers(Generic[K]):
    """`count` threads, started with the first question."""

    def __init__(self, count: int, name: str) -> None:
        self._questions: queue.SimpleQueue[tuple[K, Callable[[], Any]] | None] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[Fetched[K]] = queue.SimpleQueue()
        self._count, self._name = count, name
        self._threads: list[threading.Thread] = []
        self._stopped = False
        self.under_way = 0  # questions without an answer that was taken

    @property
    def free(self) -> bool:
        """Whether a further question would be asked at once."""
        return self.under_way < self._count

    @property
    def waiting(self) -> bool:
        """Whether there is an answer to be taken."""
        return not self._answers.empty()

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
        try:
            answer = self._answers.get_nowait()
        except queue.Empty:
            return None
        self.under_way -= 1
        return answer

    def stop(self) -> None:
        """End the threads when their questions have ended; does not wait for them."""
        self._stopped = True
        for _ in self._threads:
            self._questions.put(None)

    def _work(self) -> None:
        while (item := self._questions.get()) is not None and not self._stopped:
            key, question = item
            try:
                self._answers.put(Fetched(key, question(), None))
            except KelpError as e:
                self._answers.put(Fetched(key, None, e))
            except Exception as e:  # noqa: BLE001 - a thread that dies would leave its key for ever
                _log.exception("asking failed in an unexpected way")
                self._answers.put(Fetched(key, None, e))
