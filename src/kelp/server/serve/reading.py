"""One answer of /kelp/v1/logs under way: the past in pieces, then the news without repeats.

Everything here blocks or computes; who waits for it, and in whose turn, is for `logs` to say.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from kelp.model.loss import Loss
from kelp.server.ports import BudgetError, Scope
from kelp.server.result import Entry, StreamEntries
from kelp.server.serve.ndjson import LineEncoder, Losses, loss_line
from kelp.server.serve.queries import Queries, Record
from kelp.server.serve.ranges import Range
from kelp.server.serve.seam import OVERLAP_NS, Seam, key_of

# What is encoded before it goes out: enough to be worth a call, little enough for many readers.
_PIECE_BYTES = 1 << 20

LossKey: TypeAlias = tuple[str, int, int]


@dataclass(frozen=True)
class Question:
    """What was asked."""

    query: str
    scope: Scope
    asked: Range
    limit: int | None
    newest: int | None  # so many of the newest, oldest first
    backward: bool
    losses: bool


class Reading:
    """The past. For one thread at a time."""

    def __init__(
        self, queries: Queries, question: Question, query_id: str, seam: Seam | None = None
    ) -> None:
        """`seam` is told what is given, where someone follows."""
        self._queries = queries
        self._question = question
        self._records: Iterator[Record] = iter(())
        # One for all pieces: an iterator that is let go of closes the query behind it.
        self._lines: Iterator[Record] | None = None
        self._losses = Losses([], backward=question.backward)
        self._seam = seam
        self._resumed_at = -1
        self._last: list[Record] = []  # those of the time that was given last
        self.query_id = query_id
        self.encoder = LineEncoder()
        self.losses_told: set[LossKey] = set()
        self.count = 0
        self.warnings: list[str] = []

    def piece(self) -> bytes:
        """The next lines; empty at the end."""
        if self._lines is None:
            self._begin()
            self._lines = self._resumable()
        out = bytearray()
        for labels, entry in self._lines:
            for loss in self._losses.before(labels, entry):
                out += loss_line(loss) + b"\n"
            out += self.encoder.record(labels, entry) + b"\n"
            self._note(labels, entry)
            if len(out) >= _PIECE_BYTES:
                return bytes(out)
        for loss in self._losses.rest():
            out += loss_line(loss) + b"\n"
        return bytes(out)

    def _begin(self) -> None:
        question = self._question
        begin_ns = question.asked.start_ns
        if question.newest is None:
            self._records = self._ask(question.asked, question.limit)
        else:
            newest = list(self._ask(question.asked, question.newest, backward=True))[::-1]
            self._records = iter(newest)
            # What was lost before the oldest line that is shown is not asked for.
            begin_ns = newest[0][1].timestamp if newest else begin_ns
            if self._seam is not None and len(newest) == question.newest:
                self._seam.begins_at(begin_ns)
        if question.losses:
            found = self._queries.losses(
                question.query,
                question.scope,
                start_ns=begin_ns,
                end_ns=question.asked.end_ns,
                query_id=self.query_id,
            )
            self._losses = Losses(found, backward=question.backward)
            self.losses_told = set(map(loss_key, found))

    def _ask(
        self, asked: Range, limit: int | None, *, backward: bool | None = None
    ) -> Iterator[Record]:
        backward = self._question.backward if backward is None else backward
        return self._queries.records(
            self._question.query,
            self._question.scope,
            start_ns=asked.start_ns,
            end_ns=asked.end_ns,
            limit=limit,
            direction="backward" if backward else "forward",
            query_id=self.query_id,
        )

    def _resumable(self) -> Iterator[Record]:
        """The records. Where the time of one query is over before the reader has them all, another
        goes on at the place; a query that gives nothing within its time is an error."""
        while True:
            try:
                yield from self._records
                return
            except BudgetError:
                if self._resumed_at == self.count or not self._last:
                    raise
                self._resumed_at = self.count
                self._records = self._rest()

    def _rest(self) -> Iterator[Record]:
        asked, time_ns = self._question.asked, self._last[0][1].timestamp
        given = {key_of(*record) for record in self._last}
        rest = Range(time_ns, asked.end_ns)
        if self._question.backward:
            rest = Range(asked.start_ns, time_ns + 1)
        limit = self._question.limit
        if limit is not None:
            limit += len(given) - self.count
        for labels, entry in self._ask(rest, limit):
            if entry.timestamp != time_ns or key_of(labels, entry) not in given:
                yield labels, entry

    def _note(self, labels: dict[str, str], entry: Entry) -> None:
        self.count += 1
        if self._last and self._last[0][1].timestamp != entry.timestamp:
            self._last = []
        self._last.append((labels, entry))
        if self._seam is not None:
            self._seam.give(labels, entry)


class News:
    """What comes after the past, each record and loss once."""

    def __init__(self, queries: Queries, question: Question, reading: Reading, seam: Seam) -> None:
        self._queries = queries
        self._question = question
        self._encode = reading.encoder.record
        self._seam = seam
        self._looked_ns = seam.since_ns + OVERLAP_NS
        self._told = reading.losses_told
        self.wants_losses = question.losses

    def lines(self, found: Iterable[StreamEntries], now_ns: int) -> bytes:
        """The entries that are new, in order."""
        records = self._seam.news(found, now_ns)
        return b"".join(self._encode(labels, entry) + b"\n" for labels, entry in records)

    def losses(self, now_ns: int, query_id: str) -> bytes:
        """Losses that became known since the last time."""
        found = self._queries.losses(
            self._question.query,
            self._question.scope,
            start_ns=max(self._looked_ns - OVERLAP_NS, self._question.asked.start_ns),
            end_ns=now_ns + OVERLAP_NS,
            query_id=query_id,
        )
        new = [x for x in found if loss_key(x) not in self._told]
        self._told = set(map(loss_key, found))
        self._looked_ns = now_ns
        return b"".join(loss_line(x) + b"\n" for x in new)


def loss_key(loss: Loss) -> LossKey:
    """Names a loss."""
    return str(sorted(loss.labels.items())), loss.position, loss.end_ns
