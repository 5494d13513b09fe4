"""/kelp/v1/trace: what is stored of instances by file and position, for `kelp trace`.

The first route answers where records come from and what is there; the second gives records in the
order of their positions, so that a reader on the node can lay them beside the files.
"""

from __future__ import annotations

from typing import Any

import msgspec
import pyarrow as pa
from starlette.responses import Response

from kelp.server.http.endpoint import Call, Endpoint, Parameter
from kelp.server.http.kinds import TIME, Kind, at_least
from kelp.server.http.refusal import RefusalError
from kelp.server.http.times import MAX_NS
from kelp.server.serve.askers import Asker
from kelp.server.serve.loki import ScopeOf
from kelp.server.serve.queries import Queries

ARROW = "application/vnd.apache.arrow.stream"
STREAMS_KEY = b"kelp.streams"  # of the schema's metadata: labels by stream id, as JSON

MAX_INSTANCES = 1000
MAX_RECORDS = 100_000
_MAX_U64 = (1 << 64) - 1


def _record(text: str) -> tuple[int, int]:
    numbers = text.split(":")
    if len(numbers) != 2 or not all(n.isascii() and n.isdigit() for n in numbers):
        raise ValueError("no record")
    stream_id, position = map(int, numbers)
    if max(stream_id, position) > _MAX_U64:
        raise ValueError("out of bounds")
    return stream_id, position


RECORD = Kind("STREAM_ID:POSITION", _record, {"type": "string", "pattern": r"^\d+:\d+$"})


class Trace:
    """The handlers; `queries` may be replaced while they are in use."""

    def __init__(self, queries: Queries, asker: Asker, scope_of: ScopeOf) -> None:
        self.queries = queries
        self._asker = asker
        self._scope_of = scope_of

    async def instances(self, call: Call) -> Response:
        """Instances by selector, or the one of a record."""
        a, scope = call.arguments, self._scope_of(call)
        if (a["query"] is None) == (a["record"] is None):
            raise RefusalError(
                400, "the parameters 'query' and 'record'", expected="one of them",
                got="both" if a["query"] else "none",
            )  # fmt: skip
        found = await self._asker.ask(
            call.request,
            lambda query_id: self.queries.trace(
                a["query"] or a["record"][0],
                scope,
                limit=a["limit"],
                runs=a["runs"],
                query_id=query_id,
            ),
        )
        return Response(msgspec.json.encode(found), media_type="application/json")

    async def records(self, call: Call) -> Response:
        """Records by position."""
        a, scope = call.arguments, self._scope_of(call)
        table, streams = await self._asker.ask(
            call.request,
            lambda query_id: self.queries.trace_records(
                a["query"],
                scope,
                positions=(a["from"], a["to"]),
                times_ns=(a["start"] or 0, MAX_NS if a["end"] is None else a["end"]),
                limit=a["limit"],
                query_id=query_id,
            ),
        )
        return Response(_arrow(table, streams), media_type=ARROW)

    def endpoints(self) -> list[Endpoint]:
        """Their declarations."""
        both, statuses = ("GET", "POST"), (400, 422, 429, 503)
        return [
            Endpoint("/kelp/v1/trace", both, "trace",
                     "What is stored of container instances, by file and position.",
                     self.instances, _INSTANCES, statuses=statuses),
            Endpoint("/kelp/v1/trace/records", both, "traceRecords",
                     "Records in the order of their positions, as an Arrow IPC stream.",
                     self.records, _RECORDS, content_types=(ARROW,), statuses=statuses),
        ]  # fmt: skip


def _arrow(table: pa.Table, streams: dict[int, dict[str, str]]) -> bytes:
    if not table.num_rows:
        table = _SCHEMA.empty_table()
    occurring = set(table.column("id").to_pylist())
    labels = {str(i): streams[i] for i in sorted(occurring) if i in streams}
    table = table.select(_SCHEMA.names).cast(_SCHEMA)
    table = table.replace_schema_metadata({STREAMS_KEY: msgspec.json.encode(labels)})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


_SCHEMA: Any = pa.schema(
    [
        ("id", pa.uint64()),
        ("position", pa.uint64()),
        ("time", pa.int64()),
        ("body", pa.binary()),
        ("truncated", pa.binary()),
        ("malformed", pa.binary()),
    ]
)

_INSTANCES = (
    Parameter("query", "A stream selector; not with `record`."),
    Parameter("record", "STREAM_ID:POSITION of a record: its instance.", RECORD),
    Parameter("limit", "At the most so many.", at_least(1, MAX_INSTANCES), default=100),
    Parameter("runs", "Of each container its newest so many; 0: all.", at_least(0), default=0),
)
_RECORDS = (
    Parameter("query", "A stream selector, of one instance.", required=True),
    Parameter("from", "From this position on.", at_least(0), default=0),
    Parameter("to", "Up to this position, exclusive; default: the last.", at_least(0),
              default=1 << 62),
    Parameter("start", "Only times from here on: found sooner; default: all.", TIME),
    Parameter("end", "Only times before this; default: all.", TIME),
    Parameter("limit", "At the most so many.", at_least(1, MAX_RECORDS), default=MAX_RECORDS),
)  # fmt: skip
