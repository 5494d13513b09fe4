"""Records, segments and groups made by hand, for the tests of the server's stages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyarrow as pa

from kelp.model.batch import RECORD_SCHEMA
from kelp.model.loss import Loss, SourceFile
from kelp.model.stream import Stream
from kelp.server.ports import Group, Received
from kelp.wire.segment import Segment, SegmentHeader, encode_segment

DAY_NS = 86_400_000_000_000
NOW_NS = 20_412 * DAY_NS + 12 * 3_600_000_000_000  # 2025-11-20T12:00:00Z
WEB = {
    "dataset": "app",
    "namespace": "shop",
    "pod": "web-0",
    "container": "app",
    "stream": "stdout",
}


def batch(
    bodies: Sequence[bytes],
    labels: Mapping[str, str] = WEB,
    *,
    start_ns: int = NOW_NS,
    observed_ns: int = NOW_NS,
    first_position: int = 0,
) -> pa.RecordBatch:
    """A record each body, a millisecond apart, with the id of tenant ""."""
    n = len(bodies)
    times = [start_ns + i * 1_000_000 for i in range(n)]
    rows = {
        "stream_id": [Stream(labels).id] * n,
        "timestamp": times,
        "observed_timestamp": [observed_ns] * n,
        "position": [first_position + i * 100 for i in range(n)],
        "severity_number": [9] * n,
        "severity_text": ["INFO"] * n,
        "trace_id": [""] * n,
        "span_id": [""] * n,
        "body": list(bodies),
        "attributes": [[("k", "v")]] * n,
    }
    arrays = [pa.array(rows[f.name], f.type) for f in RECORD_SCHEMA]
    return pa.record_batch(arrays, schema=RECORD_SCHEMA)


def part(
    bodies: Sequence[bytes],
    labels: Mapping[str, str] = WEB,
    *,
    tenant: str = "",
    start_ns: int = NOW_NS,
    observed_ns: int = NOW_NS,
    losses: Sequence[Loss] = (),
    files: Sequence[SourceFile] = (),
) -> Received:
    """What one agent sent."""
    records = batch(bodies, labels, start_ns=start_ns, observed_ns=observed_ns)
    stream = Stream(labels, tenant)
    ids = pa.array([stream.id] * len(bodies), pa.uint64())
    records = records.set_column(0, RECORD_SCHEMA.field(0), ids)
    return Received(tenant, "agent", 1, [records], [stream], files, losses)


def group(name: str, *parts: Received, created_ns: int = NOW_NS) -> Group:
    """Parts under a name."""
    return Group(name, created_ns, parts)


def segment(
    seq: int,
    bodies: Sequence[bytes],
    labels: Mapping[str, str] = WEB,
    *,
    agent: str = "agent",
    first_position: int = 0,
    losses: Sequence[Loss] = (),
) -> bytes:
    """A segment as an agent ships it."""
    header = SegmentHeader(
        agent_id=agent,
        seq=seq,
        node="node-1",
        created_ns=NOW_NS,
        records=len(bodies),
        body_bytes=sum(map(len, bodies)),
        streams=[dict(labels)],
        losses=list(losses),
    )
    batches = [batch(bodies, labels, first_position=first_position)] if bodies else []
    return bytes(encode_segment(Segment(header, batches)))
