"""The segment: Kelp's own wire and spool format, an Arrow IPC stream with zstd-compressed buffers.

A segment is what the agent makes durable, ships and the server acknowledges as a whole. Its name
is (agent_id, seq); an agent numbers its segments from 1 without gaps, so a server that has seen
seq n of an agent knows every repeat. What is not a record (streams, files, losses) stands as JSON
in the metadata of the stream's schema, and can be read without touching the records.

Format: https://arrow.apache.org/docs/format/Columnar.html#ipc-streaming-format
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pyarrow as pa

from kelp.model.batch import RECORD_SCHEMA, LogBatch
from kelp.model.loss import Loss, SourceFile
from kelp.model.stream import Stream

CONTENT_TYPE = "application/vnd.apache.arrow.stream"
VERSION = 1

_HEADER_KEY = b"kelp.segment"


class SegmentHeader(msgspec.Struct, frozen=True, kw_only=True):
    """Everything of a segment but its records."""

    version: int = VERSION
    agent_id: str
    seq: int
    node: str
    created_ns: int
    records: int
    body_bytes: int
    streams: list[dict[str, str]] = []
    files: list[SourceFile] = []
    losses: list[Loss] = []


class SegmentError(ValueError):
    """The bytes are no segment of a version that we know; says what was expected and what came."""


class Segment(msgspec.Struct, frozen=True):
    """A header and its record batches, each of RECORD_SCHEMA."""

    header: SegmentHeader
    batches: Sequence[pa.RecordBatch]

    def log_batches(self) -> list[LogBatch]:
        """The records with the streams of the header beside them."""
        streams = {s.id: s for s in map(Stream, self.header.streams)}
        return [LogBatch(b, streams) for b in self.batches]


def encode_segment(segment: Segment, compression_level: int = 1) -> pa.Buffer:
    """Serialize; the records' buffers are compressed with zstd one by one."""
    options = pa.ipc.IpcWriteOptions(
        compression=pa.Codec("zstd", compression_level), use_threads=False
    )
    schema = RECORD_SCHEMA.with_metadata({_HEADER_KEY: msgspec.json.encode(segment.header)})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema, options=options) as writer:
        for batch in segment.batches:
            writer.write_batch(batch.replace_schema_metadata(schema.metadata))
    return sink.getvalue()


def read_header(data: pa.Buffer | bytes | memoryview) -> SegmentHeader:
    """The header alone; raises SegmentError where `data` does not begin as a segment."""
    return _open(data)[1]


def decode_segment(data: pa.Buffer | bytes | memoryview) -> Segment:
    """Parse a whole segment; raises SegmentError where it is cut short, or is none at all."""
    reader, header = _open(data)
    try:
        batches = [b.replace_schema_metadata(None) for b in reader]
        for batch in batches:
            batch.validate()
    except (pa.ArrowInvalid, OSError) as e:
        raise SegmentError(f"expected whole Arrow record batches; got {e}") from e
    rows = sum(b.num_rows for b in batches)
    if rows != header.records:
        raise SegmentError(f"expected {header.records} records; got {rows} (cut short?)")
    return Segment(header, batches)


def _open(data: pa.Buffer | bytes | memoryview) -> tuple[pa.RecordBatchStreamReader, SegmentHeader]:
    try:
        reader = pa.ipc.open_stream(data)
    except (pa.ArrowInvalid, OSError) as e:
        raise SegmentError(f"expected an Arrow IPC stream; got {e}") from e
    raw = (reader.schema.metadata or {}).get(_HEADER_KEY)
    if raw is None:
        raise SegmentError("expected the metadata key 'kelp.segment' in the schema; got none")
    if not reader.schema.remove_metadata().equals(RECORD_SCHEMA):
        raise SegmentError(f"expected the record schema; got {reader.schema.names}")
    try:
        header = msgspec.json.decode(raw, type=SegmentHeader)
    except msgspec.ValidationError as e:
        raise SegmentError(f"expected a segment header; got {e}") from e
    if header.version != VERSION:
        raise SegmentError(f"expected segment version {VERSION}; got {header.version}")
    return reader, header
