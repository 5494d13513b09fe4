"""The segment: Kelp's own wire and spool format, an Arrow IPC stream with zstd-compressed buffers.

A segment is what the agent makes durable, ships and the server acknowledges as a whole. Its name
is (agent_id, seq); an agent numbers its segments from 1 without gaps, so a server that has seen
seq n of an agent knows every repeat. What is not a record (streams, files, losses) stands as JSON
in the metadata of the stream's schema, and can be read without touching the records.

Format: https://arrow.apache.org/docs/format/Columnar.html#ipc-streaming-format
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated

import msgspec
import pyarrow as pa
from msgspec import Meta

from kelp.model.batch import RECORD_SCHEMA, LogBatch
from kelp.model.loss import Loss, SourceFile
from kelp.model.stream import Stream
from kelp.wire.expansion import expanded_bytes

CONTENT_TYPE = "application/vnd.apache.arrow.stream"
VERSION = 1

# An agent closes a segment at some tens of MiB at the most; see kelp.agent.segmenter.
MAX_EXPANDED_BYTES = 512 << 20

_HEADER_KEY = b"kelp.segment"

# How an Arrow IPC stream ends; without it, a stream was cut between two messages.
_END = b"\xff\xff\xff\xff\x00\x00\x00\x00"

Name = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_-]+$")]
Count = Annotated[int, Meta(ge=0)]


class SegmentHeader(msgspec.Struct, frozen=True, kw_only=True):
    """Everything of a segment but its records."""

    version: int = VERSION
    agent_id: Name
    seq: Annotated[int, Meta(ge=1)]
    node: str
    created_ns: int
    records: Count
    body_bytes: Count
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
    with _bad_segment():
        return _open(data)[2]


def decode_segment(
    data: pa.Buffer | bytes | memoryview, max_expanded_bytes: int = MAX_EXPANDED_BYTES
) -> Segment:
    """Parse a whole segment.

    Raises SegmentError where it is cut short, was changed so that it shows, expands to more than
    `max_expanded_bytes`, or is none at all; the batches that are returned are valid to the last
    offset, so that reading them is safe wherever they came from.
    """
    with _bad_segment():
        messages, schema, header = _open(data)
        batches = list(_batches(messages, schema, max_expanded_bytes))
        _check_end(data)
    rows = sum(b.num_rows for b in batches)
    if rows != header.records:
        raise SegmentError(f"expected {header.records} records; got {rows} (cut short?)")
    return Segment(header, batches)


def _open(
    data: pa.Buffer | bytes | memoryview,
) -> tuple[pa.ipc.MessageReader, pa.Schema, SegmentHeader]:
    messages = pa.ipc.MessageReader.open_stream(pa.BufferReader(data))
    first = next(iter(messages), None)
    if first is None or first.type != "schema":
        raise SegmentError(f"expected an Arrow IPC stream; got {first and first.type}")
    schema = pa.ipc.read_schema(first)
    raw = (schema.metadata or {}).get(_HEADER_KEY)
    if raw is None:
        raise SegmentError("expected the metadata key 'kelp.segment' in the schema; got none")
    if not schema.remove_metadata().equals(RECORD_SCHEMA):
        raise SegmentError(f"expected the record schema; got {schema.names}")
    return messages, schema.remove_metadata(), _header(raw)


def _header(raw: bytes) -> SegmentHeader:
    header = msgspec.json.decode(raw, type=SegmentHeader)
    if header.version != VERSION:
        raise SegmentError(f"expected segment version {VERSION}; got {header.version}")
    return header


def _batches(
    messages: pa.ipc.MessageReader, schema: pa.Schema, max_expanded_bytes: int
) -> Iterator[pa.RecordBatch]:
    expanded = 0
    for message in messages:
        if message.type != "record batch":
            raise SegmentError(f"expected a record batch; got a message of type {message.type}")
        expanded += expanded_bytes(memoryview(message.metadata), memoryview(message.body))
        if expanded > max_expanded_bytes:
            raise SegmentError(
                f"expected at most {max_expanded_bytes} bytes uncompressed; got {expanded} or more"
            )
        batch = pa.ipc.read_record_batch(message, schema)
        batch.validate(full=True)
        yield batch


def _check_end(data: pa.Buffer | bytes | memoryview) -> None:
    # Cut between messages, a stream reads as a shorter one; and two in a row read as the first.
    end = bytes(memoryview(data)[-len(_END) :])
    if end != _END or _stream_length(data) != memoryview(data).nbytes:
        raise SegmentError("expected the end of the stream at the end of the data")


def _stream_length(data: pa.Buffer | bytes | memoryview) -> int:
    source = pa.BufferReader(data)
    for _ in pa.ipc.MessageReader.open_stream(source):
        pass
    return int(source.tell())


@contextmanager
def _bad_segment() -> Iterator[None]:
    """What Arrow and msgspec raise over bytes that are no segment, as one error."""
    try:
        yield
    except SegmentError:
        raise
    except (
        pa.ArrowException,
        msgspec.MsgspecError,
        ValueError,
        OSError,
        EOFError,
        OverflowError,
        RecursionError,
    ) as e:
        raise SegmentError(f"expected a segment; got {type(e).__name__}: {e}") from e
