"""Records as they are read: columns, structured metadata, and rows for the pipeline.

Structured metadata is what a record's attributes hold, under names that LogQL can write, with
`detected_level` where it is derived, and trace and span id where there are any.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa

from kelp.server.query.derived import DETECTED_LEVEL, LEVEL_OF_NUMBER
from kelp.server.query.pipeline.names import sanitize
from kelp.server.query.sql.text import to_text

TRACE_ID, SPAN_ID = "trace_id", "span_id"
VIRTUAL = (DETECTED_LEVEL, TRACE_ID, SPAN_ID)  # metadata that comes from columns

TIME_SQL = "toUnixTimestamp64Nano(timestamp)"
COLUMNS = (
    f"stream_id AS id, {TIME_SQL} AS time, position AS position, body AS body, "
    "attributes AS attributes, severity_number AS severity, trace_id AS trace, span_id AS span"
)


@dataclass(frozen=True, slots=True)
class Record:
    """One record as the engine gave it."""

    stream_id: int
    time_ns: int
    position: int
    body: bytes
    metadata: dict[str, str]


def attribute_names(pairs: list[tuple[bytes, bytes]]) -> dict[str, str]:
    """Attributes as labels; of two that sanitize to one name the first counts."""
    out: dict[str, str] = {}
    for key, value in pairs:
        out.setdefault(sanitize(to_text(key)), to_text(value))
    return out


def _metadata(
    attributes: list[tuple[bytes, bytes]] | None, severity: int, ids: tuple[bytes, bytes] | None,
    derive_level: bool,
) -> dict[str, str]:  # fmt: skip
    out = attribute_names(attributes) if attributes else {}
    if derive_level:
        out.setdefault(DETECTED_LEVEL, LEVEL_OF_NUMBER[min(severity, 24)])
    for name, value in zip((TRACE_ID, SPAN_ID), ids or (), strict=False):
        if value:
            out.setdefault(name, to_text(value))
    return out


def read(table: pa.Table, *, derive_level: bool, with_ids: bool) -> Iterator[Record]:
    """Rows of a table of COLUMNS; `with_ids` adds trace and span ids to the metadata."""
    for batch in table.to_batches():
        columns = {name: batch.column(name) for name in batch.schema.names}
        traces, spans = columns["trace"].to_pylist(), columns["span"].to_pylist()
        rows = zip(
            columns["id"].to_pylist(),
            columns["time"].to_pylist(),
            columns["position"].to_pylist(),
            columns["body"].to_pylist(),
            _maps(columns["attributes"]),
            columns["severity"].to_pylist(),
            zip(traces, spans, strict=True),
            strict=True,
        )
        for stream_id, time_ns, position, body, attributes, severity, ids in rows:
            metadata = _metadata(attributes, severity, ids if with_ids else None, derive_level)
            yield Record(stream_id, time_ns, position, body, metadata)


def _maps(column: pa.MapArray) -> Iterator[list[tuple[bytes, bytes]] | None]:
    """Maps as pairs; None for an empty one, which most are."""
    if not len(column.keys):
        return iter([None] * len(column))
    return iter(column.to_pylist())
