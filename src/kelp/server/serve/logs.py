"""/kelp/v1/logs: any number of records as JSON lines, with bounded memory on both sides.

The engine is asked piece by piece, each in its turn, so that a reader who is slow, or follows for
days, holds no place that another could use.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.responses import Response, StreamingResponse

from kelp.base.clock import Clock
from kelp.model.loss import Loss
from kelp.server.http.dispatch import refusal_of
from kelp.server.http.endpoint import Call, Endpoint, Parameter
from kelp.server.http.kinds import BOOLEAN, DURATION, TIME, at_least, one_of
from kelp.server.http.refusal import RefusalError
from kelp.server.ports import Scope
from kelp.server.serve.askers import Asker, new_query_id
from kelp.server.serve.loki import QUERY, ScopeOf
from kelp.server.serve.ndjson import LineEncoder, Losses, end_line, error_line, loss_line
from kelp.server.serve.queries import Queries, Record
from kelp.server.serve.ranges import Range, range_of

NDJSON = "application/x-ndjson"
NAME = "logs"

# What is encoded before it goes out: enough to be worth a call, little enough for many readers.
_PIECE_BYTES = 1 << 20
MAX_TAIL = 100_000  # `tail` must be held in memory to be turned round


@dataclass
class _Reading:
    """One answer under way."""

    records: Iterator[Record]
    losses: Losses
    query_id: str
    encoder: LineEncoder = field(default_factory=LineEncoder)
    count: int = 0

    def piece(self) -> bytes:
        """The next lines; empty at the end."""
        out = bytearray()
        for labels, entry in self.records:
            for loss in self.losses.before(labels, entry):
                out += loss_line(loss) + b"\n"
            out += self.encoder.record(labels, entry) + b"\n"
            self.count += 1
            if len(out) >= _PIECE_BYTES:
                return bytes(out)
        for loss in self.losses.rest():
            out += loss_line(loss) + b"\n"
        return bytes(out)


class Logs:
    """The handler; `queries` may be replaced while it is in use."""

    def __init__(self, queries: Queries, asker: Asker, scope_of: ScopeOf, clock: Clock) -> None:
        self.queries = queries
        self._asker = asker
        self._scope_of = scope_of
        self._clock = clock

    async def get(self, call: Call) -> Response:
        """The records of a query."""
        a, scope = call.arguments, self._scope_of(call)
        _check(a)
        now_ns = self._clock.now_ns()
        asked = range_of(a, now_ns, now_ns)
        query_id = new_query_id()

        def begin(_id: str) -> tuple[_Reading, bytes]:
            reading = self._reading(a, scope, asked, query_id)
            return reading, reading.piece()

        # The first piece comes before the status does, so that a wrong query has its own.
        reading, first = await self._asker.ask(call.request, begin, query_id)
        return StreamingResponse(self._lines(reading, first), media_type=NDJSON)

    def _reading(self, a: Mapping[str, Any], scope: Scope, asked: Range, query_id: str) -> _Reading:
        backward = a["direction"] == "backward"
        newest: int | None = a["tail"]
        records = self.queries.records(
            a["query"],
            scope,
            start_ns=asked.start_ns,
            end_ns=asked.end_ns,
            limit=a["limit"] if newest is None else newest,
            direction="forward" if newest is None and not backward else "backward",
            query_id=query_id,
        )
        begin_ns = asked.start_ns
        if newest is not None:
            kept = list(records)[::-1]
            records = iter(kept)
            # What was lost before the oldest line that is shown is not asked for.
            begin_ns = kept[0][1].timestamp if kept else begin_ns
        losses: list[Loss] = []
        if a["losses"]:
            losses = self.queries.losses(
                a["query"], scope, start_ns=begin_ns, end_ns=asked.end_ns, query_id=query_id
            )
        return _Reading(records, Losses(losses, backward=backward), query_id)

    async def _lines(self, reading: _Reading, first: bytes) -> AsyncIterator[bytes]:
        piece = first
        try:
            while piece:
                yield piece
                piece = await self._asker.run(lambda _id: reading.piece(), reading.query_id)
            yield end_line(reading.count, []) + b"\n"
        except Exception as e:  # noqa: BLE001 - the status is out: the error becomes the last line
            yield error_line(refusal_of(e, NAME)) + b"\n"

    def endpoint(self) -> Endpoint:
        """Its declaration."""
        return Endpoint(
            "/kelp/v1/logs",
            ("GET", "POST"),
            NAME,
            "Records of a log query in total order, one JSON object a line.",
            self.get,
            _PARAMETERS,
            content_types=(NDJSON,),
            statuses=(400, 422, 429, 503),
        )


def _check(a: Mapping[str, Any]) -> None:
    if a["tail"] is None:
        return
    for other in ("limit", "direction"):
        if a[other] is not None:
            raise RefusalError(
                400,
                f"the parameters 'tail' and '{other}' exclude each other",
                hint="tail gives the newest records, oldest first",
            )


_PARAMETERS = (
    QUERY,
    Parameter("start", "From here, inclusive; default: the oldest record.", TIME),
    Parameter("end", "Up to here, exclusive; default: now.", TIME),
    Parameter("since", "Duration before `end`, in place of `start`.", DURATION),
    Parameter("limit", "At the most so many records; default: no limit.", at_least(1)),
    Parameter("tail", "The newest so many records, oldest first.", at_least(1, MAX_TAIL)),
    Parameter("direction", "forward (default) or backward.", one_of("forward", "backward")),
    Parameter("losses", "false: leave out losses.", BOOLEAN, default=True),
)
