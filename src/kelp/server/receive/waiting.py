"""Segments that are durable and not yet stored, in the order of their frames."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass

from kelp.server.ports import Received


@dataclass(slots=True)
class Segment:
    """One frame of the journal. `part` is None where it must be read from there."""

    number: int
    tenant: str
    agent_id: str
    seq: int
    memory_bytes: int  # of its records, in Arrow memory
    arrived: float  # monotonic seconds
    part: Received | None


class Waiting:
    """A queue between many senders and one writer; keeps so much decoded and no more."""

    def __init__(self, max_memory_bytes: int) -> None:
        self.changed = threading.Condition()
        self._max_memory_bytes = max_memory_bytes
        self._segments: deque[Segment] = deque()
        self._decoded_bytes = 0
        self.total_bytes = 0

    def __len__(self) -> int:
        return len(self._segments)

    @property
    def oldest(self) -> Segment | None:
        """The first of them."""
        with self.changed:
            return self._segments[0] if self._segments else None

    def put(self, segment: Segment) -> None:
        """Add one with a higher number than all before; for the holder of `changed`."""
        if self._decoded_bytes + segment.memory_bytes > self._max_memory_bytes:
            segment.part = None
        if segment.part is not None:
            self._decoded_bytes += segment.memory_bytes
        self.total_bytes += segment.memory_bytes
        self._segments.append(segment)
        self.changed.notify_all()

    def take(self, durable: int, through: int | None = None) -> list[Segment]:
        """The next that go together: durable ones that fit in memory, and one at the least.

        With `through`, all up to that number, whatever they take: a group's second attempt.
        """
        with self.changed:
            taken: list[Segment] = []
            size = 0
            while self._segments and self._segments[0].number <= (through or durable):
                size += self._segments[0].memory_bytes
                if taken and through is None and size > self._max_memory_bytes:
                    break
                taken.append(self._pop())
            return taken

    def _pop(self) -> Segment:
        segment = self._segments.popleft()
        self.total_bytes -= segment.memory_bytes
        if segment.part is not None:
            self._decoded_bytes -= segment.memory_bytes
        return segment
