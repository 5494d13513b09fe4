"""A real engine with the store's own tables, and records by the handful."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count

import pyarrow as pa

from kelp.model.batch import RECORD_SCHEMA
from kelp.model.loss import Loss
from kelp.model.stream import Stream
from kelp.server.ports import Group, Received
from kelp.server.store.store import Store

EPOCH = 1_795_000_000 * 10**9 // (60 * 10**9) * (60 * 10**9)  # a whole minute of 2026
SECOND = 10**9

_groups = count()


@dataclass(frozen=True)
class Line:
    """One record; `at` in nanoseconds after EPOCH."""

    labels: Mapping[str, str]
    at: int
    body: bytes
    metadata: Mapping[str, str] = field(default_factory=dict)
    severity: int = 0
    trace_id: str = ""
    position: int | None = None


def insert(
    store: Store, tenant: str, lines: Sequence[Line], losses: Sequence[Loss] = (),
    observed_ns: int | None = None,
) -> None:  # fmt: skip
    """Store lines of one tenant; positions count up unless a line has its own."""
    streams = {Stream(line.labels, tenant).id: Stream(line.labels, tenant) for line in lines}
    rows = [
        {
            "stream_id": Stream(line.labels, tenant).id,
            "timestamp": EPOCH + line.at,
            "observed_timestamp": EPOCH + line.at if observed_ns is None else observed_ns,
            "position": number * 100 if line.position is None else line.position,
            "severity_number": line.severity,
            "severity_text": "",
            "trace_id": line.trace_id,
            "span_id": "",
            "body": line.body,
            "attributes": list(line.metadata.items()),
        }
        for number, line in enumerate(lines)
    ]
    batch = pa.RecordBatch.from_pylist(rows, schema=RECORD_SCHEMA)
    part = Received(tenant, "", 0, [batch], list(streams.values()), (), losses)
    store.insert(Group(f"query-{next(_groups)}", EPOCH, [part]))
