"""POST /kelp/v1/sql: read-only SQL over the caller's records, as JSON, CSV or Arrow."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
from starlette.responses import Response

from kelp.server.http.body import read_body
from kelp.server.http.endpoint import Body, Call, Endpoint, Parameter, content_type
from kelp.server.http.kinds import one_of
from kelp.server.http.refusal import RefusalError, shown
from kelp.server.serve.askers import Asker
from kelp.server.serve.loki import ScopeOf
from kelp.server.serve.queries import Sql

MAX_SQL_BYTES = 1 << 20

ARROW = "application/vnd.apache.arrow.stream"
_TYPES = {"json": "application/json", "csv": "text/csv; charset=utf-8", "arrow": ARROW}


class _Question(msgspec.Struct, forbid_unknown_fields=True):
    query: str


class SqlRoute:
    """The handler."""

    def __init__(self, sql: Sql, asker: Asker, scope_of: ScopeOf) -> None:
        self._sql = sql
        self._asker = asker
        self._scope_of = scope_of

    async def post(self, call: Call) -> Response:
        """Run one SELECT."""
        question = _question(call, await read_body(call.request, MAX_SQL_BYTES))
        scope, form = self._scope_of(call), call.arguments["format"]
        body = await self._asker.ask(
            call.request, lambda query_id: _ENCODERS[form](self._sql(scope, question, query_id))
        )
        return Response(body, media_type=_TYPES[form])

    def endpoint(self) -> Endpoint:
        """Its declaration."""
        return Endpoint(
            "/kelp/v1/sql",
            ("POST",),
            "sql",
            "Run a read-only SELECT over the views of the tenant's records.",
            self.post,
            (
                Parameter(
                    "format", "Of the answer.", one_of("json", "csv", "arrow"), default="json"
                ),
            ),
            Body(
                "The SELECT.",
                ("application/json",),
                {
                    "type": "object",
                    "required": ["query"],
                    "properties": {"query": {"type": "string"}},
                    "additionalProperties": False,
                },
            ),
            ("application/json", "text/csv", ARROW),
            (400, 413, 415, 422, 429, 503),
        )


def _question(call: Call, body: bytes) -> str:
    kind = content_type(call.request)
    if kind not in ("application/json", ""):
        raise RefusalError(
            415, "the header Content-Type", expected="application/json", got=shown(kind)
        )
    try:
        return msgspec.json.decode(body, type=_Question).query
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as e:
        raise RefusalError(
            400, "the body cannot be read", expected='{"query": "select …"}', got=str(e)[:200]
        ) from e


def to_json(table: pa.Table) -> bytes:
    """Columns and rows; see the page of the API for what becomes of values that JSON has not."""
    columns = [{"name": f.name, "type": str(f.type)} for f in table.schema]
    rows = zip(*(map(_plain, _presentable(c).to_pylist()) for c in table.columns), strict=True)
    return msgspec.json.encode({"columns": columns, "rows": list(rows), "row_count": len(table)})


def to_csv(table: pa.Table) -> bytes:
    """With a header; nested values as JSON."""
    columns = [_flat(_presentable(c)) for c in table.columns]
    sink = pa.BufferOutputStream()
    pacsv.write_csv(pa.table(columns, names=table.column_names), sink)
    return bytes(sink.getvalue())


def to_arrow(table: pa.Table) -> bytes:
    """An IPC stream, types as the engine gave them."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


_ENCODERS = {"json": to_json, "csv": to_csv, "arrow": to_arrow}


def _presentable(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Times as text with nanoseconds: Python's own stop at microseconds."""
    if pa.types.is_timestamp(column.type):
        return pc.strftime(column, format="%Y-%m-%dT%H:%M:%SZ", locale="C")
    return column


def _flat(column: pa.ChunkedArray) -> pa.ChunkedArray:
    kind = column.type
    if pa.types.is_nested(kind):
        return pa.chunked_array([[_text(v) for v in column.to_pylist()]], pa.string())
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return pa.chunked_array([[_plain(v) for v in column.to_pylist()]], pa.string())
    return column


def _text(value: Any) -> str:
    return msgspec.json.encode(_plain(value)).decode()


def _plain(value: Any) -> Any:
    """What JSON can say; bytes are text."""
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, dict):
        return {str(_plain(k)): _plain(v) for k, v in value.items()}
    if isinstance(value, tuple) and len(value) == 2:  # an entry of a map
        return [_plain(value[0]), _plain(value[1])]
    if isinstance(value, list):
        if value and all(isinstance(v, tuple) for v in value):
            return {str(_plain(k)): _plain(v) for k, v in value}
        return [_plain(v) for v in value]
    return value
