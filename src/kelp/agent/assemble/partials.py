"""Fragments whose rest has not come: in memory, and in the agent's checkpoints.

A record is kept as the list of its fragments and is joined once, at its end, so a record of any
length costs in proportion to it. The same holds for the checkpoints: each call of `changes` gives
only the fragments that came since the last one, under a key of their own.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import msgspec

from kelp.agent.assemble import metrics
from kelp.agent.assemble.truncate import cut
from kelp.model.raw import Instance

log = logging.getLogger(__name__)

Lane = tuple[str, int]  # key of the instance, its lane (see Draft)

# However low the limit of a record is set, so many bytes may wait for their rest.
_LEAST_BUDGET = 64 << 20


class _Saved(msgspec.Struct, array_like=True):
    """One checkpoint: the fragments of one record that came between two commits."""

    instance: str
    lane: int
    stream: int
    number: int
    timestamp: int
    position: int
    missing: int
    data: bytes
    marks: dict[str, str] = {}
    labels: dict[str, str] = {}  # in the first one only


@dataclass
class Pending:
    """A record in the making; its time and place are those of its first fragment."""

    instance: Instance
    stream: int
    timestamp: int
    position: int
    touched_ns: int | None = None  # when the last fragment came; None: not known, after a restart
    chunks: list[bytes] = field(default_factory=list)
    size: int = 0
    missing: int = 0
    marks: dict[str, str] = field(default_factory=dict)
    saved_chunks: int = 0  # of `chunks`, how many are in a checkpoint
    checkpoints: int = 0

    def add(self, fragment: bytes, cut_bytes: int, limit: int) -> None:
        """Append a fragment; behind a cut nothing is kept, so that no gap hides in the body."""
        room = 0 if self.missing else max(0, limit - self.size)
        kept = fragment[:room]
        self.missing += len(fragment) - len(kept) + cut_bytes
        self.size += len(kept)
        self.chunks.append(kept)

    def finish(self) -> tuple[bytes, dict[str, str]]:
        """The joined body and its attributes."""
        body = b"".join(self.chunks)
        if not self.missing:
            return body, self.marks
        body, cut_marks = cut(body, self.missing)
        return body, self.marks | cut_marks


class Partials:
    """All records in the making; beyond `budget` bytes the oldest are given out unfinished."""

    def __init__(self, limit: int, checkpoints: Mapping[str, bytes]) -> None:
        self.limit = limit
        self.budget = max(_LEAST_BUDGET, 4 * limit)
        self.size = 0
        self._pending: dict[Lane, Pending] = {}
        self._changed: set[Lane] = set()
        self._removed: list[str] = []
        self._told = (0, 0)  # records and bytes, as the gauges have them
        self._load(checkpoints)

    def __bool__(self) -> bool:
        return bool(self._pending)

    def __contains__(self, lane: Lane) -> bool:
        return lane in self._pending

    def take(self, lane: Lane) -> Pending | None:
        """The lane's record, no longer kept here."""
        found = self._pending.pop(lane, None)
        if found is not None:
            self.size -= found.size
            self._removed += [_key(lane, n) for n in range(found.checkpoints)]
            found.checkpoints = found.saved_chunks = 0
        return found

    def extend(self, lane: Lane, pending: Pending) -> None:
        """Keep a new record."""
        self._pending[lane] = pending
        self._changed.add(lane)
        self.size += pending.size

    def get(self, lane: Lane) -> Pending | None:
        """The lane's record, still kept here; after a change of it, call `grown`."""
        return self._pending.get(lane)

    def grown(self, lane: Lane, by: int) -> None:
        """The lane's record has `by` bytes more."""
        self._changed.add(lane)
        self.size += by

    def expired(self, now_ns: int, timeout_ns: int) -> list[Pending]:
        """Records whose last fragment came so long ago; each is taken.

        One that was loaded from a checkpoint waits its full time from the first call on: its rest
        may well lie in a file that was written while no agent ran.
        """
        lanes = []
        for lane, pending in self._pending.items():
            if pending.touched_ns is None:
                pending.touched_ns = now_ns
            elif now_ns - pending.touched_ns >= timeout_ns:
                lanes.append(lane)
        return self._take_all(lanes)

    def over_budget(self) -> list[Pending]:
        """The oldest records, as many as are too much; each is taken."""
        lanes, excess = [], self.size - self.budget
        for lane, pending in self._pending.items():
            if excess <= 0:
                break
            lanes.append(lane)
            excess -= pending.size
        return self._take_all(lanes)

    def changes(self) -> dict[str, bytes | None]:
        """Checkpoints to write (bytes) and to delete (None) since the last call."""
        out: dict[str, bytes | None] = dict.fromkeys(self._removed)
        for lane in self._changed:
            pending = self._pending.get(lane)
            if pending is not None and pending.saved_chunks < len(pending.chunks):
                out[_key(lane, pending.checkpoints)] = _encode(lane, pending)
                pending.saved_chunks = len(pending.chunks)
                pending.checkpoints += 1
        self._removed.clear()
        self._changed.clear()
        return out

    def report(self) -> None:
        """Move the gauges, which several of these share."""
        metrics.PENDING.inc(len(self._pending) - self._told[0])
        metrics.PENDING_BYTES.inc(self.size - self._told[1])
        self._told = (len(self._pending), self.size)

    def _take_all(self, lanes: list[Lane]) -> list[Pending]:
        return [p for p in map(self.take, lanes) if p is not None]

    def _load(self, checkpoints: Mapping[str, bytes]) -> None:
        for saved in sorted(_decode(checkpoints), key=lambda s: s.number):
            lane = (saved.instance, saved.lane)
            pending = self._pending.get(lane)
            if pending is None:
                instance = Instance(saved.instance, saved.labels)
                pending = Pending(instance, saved.stream, saved.timestamp, saved.position)
                self._pending[lane] = pending
            pending.chunks.append(saved.data)
            pending.size += len(saved.data)
            pending.missing = saved.missing
            pending.marks |= saved.marks
            pending.saved_chunks = len(pending.chunks)
            pending.checkpoints = saved.number + 1
            self.size += len(saved.data)


def _key(lane: Lane, number: int) -> str:
    return f"{lane[0]}#{lane[1]}#{number}"


def _encode(lane: Lane, pending: Pending) -> bytes:
    first = pending.checkpoints == 0
    saved = _Saved(
        instance=lane[0],
        lane=lane[1],
        stream=pending.stream,
        number=pending.checkpoints,
        timestamp=pending.timestamp,
        position=pending.position,
        missing=pending.missing,
        data=b"".join(pending.chunks[pending.saved_chunks :]),
        marks=pending.marks,
        labels=pending.instance.labels if first else {},
    )
    return msgspec.msgpack.encode(saved)


def _decode(checkpoints: Mapping[str, bytes]) -> Iterable[_Saved]:
    for key, value in checkpoints.items():
        try:
            yield msgspec.msgpack.decode(value, type=_Saved)
        except (msgspec.DecodeError, UnicodeDecodeError) as e:
            log.warning("expected a checkpoint of fragments under %r; got %s; left out", key, e)
