"""Reports that wait for their next line: in memory, and in the agent's checkpoints."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import msgspec

from kelp.agent.assemble.oom.burst import Burst
from kelp.agent.assemble.traces.lane import Row
from kelp.agent.assemble.traces.pending import SavedRow
from kelp.model.raw import Instance

_log = logging.getLogger(__name__)


class _Saved(msgspec.Struct, array_like=True):
    """The checkpoint of one instance's open report."""

    instance: str
    labels: dict[str, str]
    rows: list[SavedRow]


@dataclass
class Waiting:
    """An open report."""

    instance: Instance
    burst: Burst
    touched_ns: int | None  # when its last line came; None: not known, after a restart


class Pending:
    """All open reports, one an instance at the most."""

    def __init__(
        self,
        checkpoints: Mapping[str, bytes],
        restore: Callable[[Instance, Iterable[Row]], Burst],
    ) -> None:
        self._waiting: dict[str, Waiting] = {}
        self._saved: set[str] = set()
        self._changed: dict[str, None] = {}
        for key, data in checkpoints.items():
            saved = _decoded(key, data)
            if saved is not None:
                instance = Instance(saved.instance, saved.labels)
                rows = [r.row() for r in saved.rows]
                self._waiting[key] = Waiting(instance, restore(instance, rows), None)
                self._saved.add(key)

    def __contains__(self, key: str) -> bool:
        return key in self._waiting

    def take(self, key: str) -> Waiting | None:
        """The open report of an instance, no longer kept here."""
        waiting = self._waiting.pop(key, None)
        if waiting is not None:
            self._changed[key] = None
        return waiting

    def keep(self, key: str, waiting: Waiting) -> None:
        """Keep a report that may go on."""
        self._waiting[key] = waiting
        self._changed[key] = None

    def late(self, now_ns: int, patience_ns: Callable[[Waiting], int]) -> list[Waiting]:
        """Take the reports whose last line came too long ago.

        One that was loaded from a checkpoint waits its full time from the first call on.
        """
        found = []
        for key, waiting in list(self._waiting.items()):
            if waiting.touched_ns is None:
                waiting.touched_ns = now_ns
            elif now_ns - waiting.touched_ns >= patience_ns(waiting):
                self.take(key)
                found.append(waiting)
        return found

    def changes(self) -> dict[str, bytes | None]:
        """Checkpoints to write (bytes) and to delete (None) since the last call."""
        out: dict[str, bytes | None] = {}
        for key in self._changed:
            waiting = self._waiting.get(key)
            if waiting is not None:
                out[key] = _encoded(waiting)
                self._saved.add(key)
            elif key in self._saved:
                out[key] = None
                self._saved.discard(key)
        self._changed.clear()
        return out


def _encoded(waiting: Waiting) -> bytes:
    rows = [SavedRow.of(r) for r in waiting.burst.rows]
    return msgspec.msgpack.encode(_Saved(waiting.instance.key, waiting.instance.labels, rows))


def _decoded(key: str, data: bytes) -> _Saved | None:
    try:
        saved = msgspec.msgpack.decode(data, type=_Saved)
    except (msgspec.DecodeError, UnicodeDecodeError) as e:
        _log.warning("expected a checkpoint of an OOM report under %r; got %s; left out", key, e)
        return None
    return saved if saved.rows else None
