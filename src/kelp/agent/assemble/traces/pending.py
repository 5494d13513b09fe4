"""Rows that wait for what comes next: in memory as lanes, and in the agent's checkpoints.

A lane that waits has one checkpoint, written anew where rows came to it since the last commit. A
trace is mostly whole within one or two commits, so little is written twice.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import msgspec

from kelp.agent.assemble.traces.lane import BEFORE, Lane, Row
from kelp.model.raw import Instance

log = logging.getLogger(__name__)

Key = tuple[str, int]  # key of the instance, its stream

# How many bytes may wait, in all lanes; beyond it those that wait longest are given out.
BUDGET_BYTES = 64 << 20


class SavedRow(msgspec.Struct, array_like=True):
    """One row of a checkpoint."""

    timestamp: int
    position: int
    body: bytes
    marks: dict[str, str]
    told: int = 0

    @classmethod
    def of(cls, row: Row) -> SavedRow:
        """What is kept of a row: all but its place in the batch."""
        return cls(row.timestamp, row.position, row.body, dict(row.marks), row.told)

    def row(self) -> Row:
        """The row, of an earlier batch by now."""
        return Row(BEFORE, self.timestamp, self.position, self.body, self.marks, self.told)


class _Saved(msgspec.Struct, array_like=True):
    """The checkpoint of one lane."""

    instance: str
    labels: dict[str, str]
    stream: int
    states: list[str]
    sure: int
    part: int
    rows: list[SavedRow]


@dataclass
class Waiting:
    """A lane with rows in it."""

    instance: Instance
    lane: Lane
    touched_ns: int | None  # when its last row came; None: not known, after a restart


class Pending:
    """All lanes that wait, the one that was touched longest ago first."""

    def __init__(
        self, make_lane: Callable[[Instance], Lane], checkpoints: Mapping[str, bytes]
    ) -> None:
        self._waiting: dict[Key, Waiting] = {}
        self._saved: set[Key] = set()
        self._changed: dict[Key, None] = {}
        for saved in _decode(checkpoints):
            key = (saved.instance, saved.stream)
            instance = Instance(saved.instance, saved.labels)
            self._waiting[key] = Waiting(instance, _restored(make_lane(instance), saved), None)
            self._saved.add(key)

    def __len__(self) -> int:
        return len(self._waiting)

    def __contains__(self, key: Key) -> bool:
        return key in self._waiting

    @property
    def size(self) -> int:
        """Bytes that wait."""
        return sum(w.lane.size for w in self._waiting.values())

    def take(self, key: Key) -> Waiting | None:
        """The lane, no longer kept here."""
        waiting = self._waiting.pop(key, None)
        if waiting is not None:
            self._changed[key] = None
        return waiting

    def keep(self, key: Key, waiting: Waiting) -> None:
        """Keep a lane that has rows."""
        self._waiting[key] = waiting
        self._changed[key] = None

    def late(self, now_ns: int, timeout_ns: int) -> list[Key]:
        """Lanes whose last row came so long ago.

        One that was loaded from a checkpoint waits its full time from the first call on: what
        follows may well lie in a file that was written while no agent ran.
        """
        found = []
        for key, waiting in self._waiting.items():
            if waiting.touched_ns is None:
                waiting.touched_ns = now_ns
            elif now_ns - waiting.touched_ns >= timeout_ns:
                found.append(key)
        return found

    def beyond_budget(self) -> list[Key]:
        """The oldest lanes, as many as are too much."""
        excess, found = self.size - BUDGET_BYTES, []
        for key, waiting in self._waiting.items():
            if excess <= 0:
                break
            found.append(key)
            excess -= waiting.lane.size
        return found

    def changes(self) -> dict[str, bytes | None]:
        """Checkpoints to write (bytes) and to delete (None) since the last call."""
        out: dict[str, bytes | None] = {}
        for key in self._changed:
            waiting = self._waiting.get(key)
            if waiting is not None:
                out[_name(key)] = _encode(key, waiting)
                self._saved.add(key)
            elif key in self._saved:
                out[_name(key)] = None
                self._saved.discard(key)
        self._changed.clear()
        return out


def _name(key: Key) -> str:
    return f"{key[0]}#{key[1]}"


def _encode(key: Key, waiting: Waiting) -> bytes:
    lane = waiting.lane
    rows = [SavedRow.of(r) for r in lane.rows]
    states = sorted(lane.states)
    labels = waiting.instance.labels
    return msgspec.msgpack.encode(
        _Saved(key[0], labels, key[1], states, lane.sure, lane.part, rows)
    )


def _decode(checkpoints: Mapping[str, bytes]) -> Iterable[_Saved]:
    for key, value in checkpoints.items():
        try:
            yield msgspec.msgpack.decode(value, type=_Saved)
        except (msgspec.DecodeError, UnicodeDecodeError) as e:
            log.warning("expected a checkpoint of a trace under %r; got %s; left out", key, e)


def _restored(lane: Lane, saved: _Saved) -> Lane:
    """The lane as it was; one of other rules than those of now is only given out."""
    lane.rows = [r.row() for r in saved.rows]
    states = frozenset(saved.states)
    lane.states = states if lane.machine.knows(states) else frozenset()
    lane.sure, lane.part = saved.sure, saved.part
    lane.size = sum(len(r.body) + 1 for r in lane.rows)
    return lane
