"""The LogBatch: what every stage takes and gives.

A LogBatch is a pyarrow RecordBatch with one fixed schema, RECORD_SCHEMA: the OpenTelemetry log
data model, a row a record. What identifies the sender of a record (pod, container, file …) is not
repeated in its rows: a row carries the 64-bit `stream_id`, and the labels behind that id travel
once, beside the batch (see `kelp.model.stream`).

Columns
    stream_id            the stream of the record
    timestamp            when it happened, nanoseconds since the epoch, UTC
    observed_timestamp   when the agent read it
    position             place in the order of its container instance: the byte offset of the
                         record's first byte in the instance's log, counted on across rotations.
                         (stream_id, position) names a record; position alone orders the records
                         of both streams of one instance, also where timestamps are equal
    severity_number      1 … 24 as in OpenTelemetry; 0 where the body says nothing
    severity_text        the word as it stood in the body ("WARNING"); empty where there is none
    trace_id, span_id    lower-case hex; empty where there is none
    body                 the bytes as they came, without the line's end; no promise of UTF-8
    attributes           what else is known of the record (Loki: structured metadata)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pyarrow as pa

from kelp.model.stream import Stream

TIMESTAMP = pa.timestamp("ns", tz="UTC")

RECORD_SCHEMA: pa.Schema = pa.schema(
    [
        pa.field("stream_id", pa.uint64(), nullable=False),
        pa.field("timestamp", TIMESTAMP, nullable=False),
        pa.field("observed_timestamp", TIMESTAMP, nullable=False),
        pa.field("position", pa.uint64(), nullable=False),
        pa.field("severity_number", pa.uint8(), nullable=False),
        pa.field("severity_text", pa.string(), nullable=False),
        pa.field("trace_id", pa.string(), nullable=False),
        pa.field("span_id", pa.string(), nullable=False),
        pa.field("body", pa.binary(), nullable=False),
        pa.field("attributes", pa.map_(pa.string(), pa.string()), nullable=False),
    ]
)

# Marks that Kelp itself sets in `attributes`; each is absent where it does not hold.
ATTR_TRUNCATED = "kelp.truncated_bytes"  # how many bytes of the body were cut at the record limit
ATTR_MALFORMED = "kelp.malformed"  # the format that the line should have had and has not ("cri")
ATTR_INVALID_UTF8 = "kelp.invalid_utf8"  # "true"
ATTR_PARTIAL = "kelp.partial"  # "true": the rest of the record never came
ATTR_TRACE_PART = "kelp.trace_part"  # 1, 2 …: of a trace that was too long for one record

# The text that stands where a body was cut; the bytes that are missing are in ATTR_TRUNCATED.
TRUNCATION_MARKER = b"... [truncated by kelp]"


@dataclass(frozen=True)
class LogBatch:
    """Records and the streams that they belong to; each stream_id of a row is a key of streams."""

    records: pa.RecordBatch
    streams: Mapping[int, Stream] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.records.schema.equals(RECORD_SCHEMA):
            raise ValueError(
                f"expected a batch of RECORD_SCHEMA; got {self.records.schema.to_string()}"
            )
