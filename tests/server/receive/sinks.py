"""Stores for the inbox's tests: they remember groups as the real one does, and fail on demand."""

from __future__ import annotations

import threading

from kelp.server.ports import EngineError, Group, Received, RefusedError


class MemorySink:
    """Takes each name once, like the store. `fail_next` raises once; `poison` bodies never pass."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.stored: dict[str, Group] = {}
        self.failures: list[Exception] = []
        self.poison: bytes | None = None
        self.poison_error: Exception = RefusedError("bad data", 53)
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, group: Group) -> None:
        self.gate.wait(30)
        self.names.append(group.name)
        if self.failures:
            raise self.failures.pop(0)
        if self.poison is not None and self.poison in bodies_of(group):
            raise self.poison_error
        self.stored.setdefault(group.name, group)

    @property
    def parts(self) -> list[Received]:
        return [part for group in self.stored.values() for part in group.parts]

    @property
    def bodies(self) -> list[bytes]:
        """All that is stored, in the order of storing."""
        return [b for group in self.stored.values() for b in bodies_of(group)]


def bodies_of(group: Group) -> list[bytes]:
    """The bodies of a group's records."""
    batches = [b for part in group.parts for b in part.batches]
    return [body for b in batches for body in b.column("body").to_pylist()]


class CrashingSink(MemorySink):
    """Dies in the middle, as a process does: nothing that comes after is heard by anyone."""

    def __init__(self, *, after_storing: bool) -> None:
        super().__init__()
        self.after_storing = after_storing

    def __call__(self, group: Group) -> None:
        if self.after_storing:
            super().__call__(group)
        raise EngineError("the process is dead", 0)
