"""The seam between what a query found and what following brings: no gap, no repeat.

Records become searchable a little after their time, so following begins a minute before now, and
what the past has given already is left out here by name.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from kelp.server.http.times import SECOND
from kelp.server.result import Entry, StreamEntries
from kelp.server.serve.queries import Record

OVERLAP_NS = 60 * SECOND
# After this, following finds nothing any more that the past could have given.
_FORGET_NS = 3 * OVERLAP_NS
# Bounds the memory of one reader; the newest are those that count.
_MAX_REMEMBERED = 200_000

Key: TypeAlias = int


class Seam:
    """What the past has given from `since_ns` on, which is where following begins."""

    def __init__(self, start_ns: int, now_ns: int) -> None:
        self.since_ns = max(start_ns, now_ns - OVERLAP_NS)
        self._forget_ns = now_ns + _FORGET_NS
        self._floor_ns = start_ns
        self._given: dict[Key, None] = {}

    def give(self, labels: dict[str, str], entry: Entry) -> None:
        """The past has given this record."""
        if entry.timestamp >= self.since_ns:
            self._given[key_of(labels, entry)] = None
            if len(self._given) > _MAX_REMEMBERED:
                del self._given[next(iter(self._given))]

    def begins_at(self, oldest_ns: int) -> None:
        """A limit left out of the past what is older than this: it is no news either."""
        self._floor_ns = max(self._floor_ns, oldest_ns)

    def news(self, found: Iterable[StreamEntries], now_ns: int) -> list[Record]:
        """Of what following found, what the past has not given; in total order."""
        records = [(s.labels, e) for s in found for e in s.entries]
        records.sort(key=lambda r: (r[1].timestamp, r[1].position))
        if now_ns > self._forget_ns:
            self._given.clear()
        if not self._given:
            return [r for r in records if r[1].timestamp >= self._floor_ns]
        return [
            r for r in records if r[1].timestamp >= self._floor_ns and key_of(*r) not in self._given
        ]


def key_of(labels: dict[str, str], entry: Entry) -> Key:
    """Names a record within one answer."""
    return hash((entry.timestamp, entry.position, *sorted(labels.items())))
