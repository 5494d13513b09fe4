"""The segment format: what is written is read, and nothing else is read without an error."""

from __future__ import annotations

import struct

import msgspec
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kelp.model.batch import RECORD_SCHEMA
from kelp.model.loss import Loss, SourceFile
from kelp.wire import segment as segment_module
from kelp.wire.segment import (
    Segment,
    SegmentError,
    SegmentHeader,
    decode_segment,
    encode_segment,
    read_header,
)

text = st.text(max_size=20)
labels = st.dictionaries(text, text, max_size=4)
small = st.integers(0, 2**62)
files = st.builds(
    SourceFile, path=text, device=small, inode=small, fingerprint=text, fingerprint_bytes=small,
    base=small, size=small, labels=labels,
)  # fmt: skip
losses = st.builds(
    Loss, labels=labels, position=small, size_bytes=small, start_ns=small, end_ns=small, reason=text
)
row = st.fixed_dictionaries(
    {
        "stream_id": st.integers(0, 2**64 - 1),
        "timestamp": st.integers(-(2**63), 2**63 - 1),
        "observed_timestamp": st.integers(-(2**63), 2**63 - 1),
        "position": st.integers(0, 2**64 - 1),
        "severity_number": st.integers(0, 24),
        "severity_text": text,
        "trace_id": text,
        "span_id": text,
        "body": st.binary(max_size=50),
        "attributes": st.dictionaries(text, text, max_size=2).map(lambda d: list(d.items())),
    }
)


def batch(rows: list[dict]) -> pa.RecordBatch:
    columns = [pa.array([r[f.name] for r in rows], f.type) for f in RECORD_SCHEMA]
    return pa.RecordBatch.from_arrays(columns, schema=RECORD_SCHEMA)


@st.composite
def segments(draw) -> Segment:
    batches = [batch(rows) for rows in draw(st.lists(st.lists(row, max_size=5), max_size=3))]
    header = SegmentHeader(
        agent_id="agent-1",
        seq=draw(st.integers(1, 2**62)),
        node=draw(text),
        created_ns=draw(small),
        records=sum(b.num_rows for b in batches),
        body_bytes=draw(small),
        streams=draw(st.lists(labels, max_size=3)),
        files=draw(st.lists(files, max_size=2)),
        losses=draw(st.lists(losses, max_size=2)),
    )
    return Segment(header, batches)


def simple(rows: int = 3, **changes) -> Segment:
    body = batch(
        [
            {"stream_id": 7, "timestamp": i, "observed_timestamp": i, "position": i,
             "severity_number": 9, "severity_text": "info", "trace_id": "", "span_id": "",
             "body": b"line %d" % i, "attributes": []}
            for i in range(rows)
        ]
    )  # fmt: skip
    header = SegmentHeader(
        agent_id="agent-1", seq=1, node="n", created_ns=1, records=rows, body_bytes=20
    )
    return Segment(msgspec.structs.replace(header, **changes), [body])


@given(segments())
@settings(max_examples=50)
def test_what_is_written_is_read(segment):
    data = encode_segment(segment)
    assert segment.header == read_header(data)
    found = decode_segment(data)
    assert segment.header == found.header
    assert segment.batches == found.batches
    assert found.batches == decode_segment(bytes(data)).batches


def test_a_segment_may_hold_losses_alone():
    segment = Segment(simple().header, [])
    segment = Segment(msgspec.structs.replace(segment.header, records=0), [])
    assert segment.header == decode_segment(encode_segment(segment)).header


WHOLE = bytes(encode_segment(simple(50)))


def test_cut_anywhere_it_is_refused():
    for end in range(len(WHOLE)):
        with pytest.raises(SegmentError):
            decode_segment(WHOLE[:end])


@pytest.mark.parametrize("more", [b"\x00", WHOLE, WHOLE[-8:]])
def test_anything_behind_it_is_refused(more):
    with pytest.raises(SegmentError):
        decode_segment(WHOLE + more)


@given(st.binary(max_size=300))
def test_garbage_is_refused(data):
    for attempt in (data, WHOLE[:8] + data, WHOLE[:700] + data):
        with pytest.raises(SegmentError):
            decode_segment(attempt)
        with pytest.raises(SegmentError):
            read_header(data)


@given(st.data())
@settings(max_examples=400)
def test_changed_bytes_give_an_error_or_a_valid_segment(data):
    changed = bytearray(WHOLE)
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = decode_segment(bytes(changed), max_expanded_bytes=1 << 20)
    except SegmentError:
        return
    for b in found.batches:
        b.validate(full=True)
        b.to_pylist()


ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"


def bomb(claimed: int) -> bytes:
    """A segment whose longest buffer claims to become `claimed` bytes."""
    body = batch([{**simple(1).batches[0].to_pylist()[0], "body": bytes(4 << 20)}])
    data = bytearray(encode_segment(Segment(simple(1).header, [body])))
    at = data.index(struct.pack("<q", 4 << 20) + ZSTD_MAGIC)
    data[at : at + 8] = struct.pack("<q", claimed)
    return bytes(data)


def test_a_bomb_is_refused_by_its_claim():
    with pytest.raises(SegmentError, match="expected at most 1048576 bytes uncompressed; got"):
        decode_segment(bomb(4 << 20), max_expanded_bytes=1 << 20)
    with pytest.raises(SegmentError, match="bytes uncompressed"):
        decode_segment(bomb(1 << 60))


@pytest.mark.parametrize("claimed", [0, 1, (4 << 20) - 1, (4 << 20) + 1, -2, -(2**63)])
def test_a_claim_that_is_wrong_is_refused(claimed):
    with pytest.raises(SegmentError):
        decode_segment(bomb(claimed))


def test_expansion_counts_every_buffer():
    segment = simple(50)
    exact = 0
    for column in segment.batches[0].columns:
        exact += sum(b.size for b in column.buffers() if b)
    with pytest.raises(SegmentError):
        decode_segment(WHOLE, max_expanded_bytes=500)
    assert decode_segment(WHOLE, max_expanded_bytes=2 * exact)


@pytest.mark.parametrize(
    "changes",
    [
        {"version": 2},
        {"records": 2},
        {"records": -1},
        {"seq": 0},
        {"agent_id": ""},
        {"agent_id": "../../etc"},
        {"agent_id": "x" * 65},
    ],
)
def test_headers_that_cannot_be_are_refused(changes):
    with pytest.raises(SegmentError):
        decode_segment(encode_segment(simple(**changes)))


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"\xff", b"[" * 100_000, b"{}"])
def test_headers_that_are_no_header_are_refused(raw):
    with pytest.raises(SegmentError):
        decode_segment(with_metadata({segment_module._HEADER_KEY: raw}))


def test_a_stream_without_header_or_with_other_columns_is_refused():
    with pytest.raises(SegmentError, match=r"expected the metadata key 'kelp\.segment'"):
        decode_segment(with_metadata({}))
    header = msgspec.json.encode(simple().header)
    with pytest.raises(SegmentError, match="expected the record schema"):
        decode_segment(
            with_metadata({segment_module._HEADER_KEY: header}, pa.schema({"a": "int8"}))
        )


def with_metadata(metadata: dict, schema: pa.Schema = RECORD_SCHEMA) -> bytes:
    sink = pa.BufferOutputStream()
    pa.ipc.new_stream(sink, schema.with_metadata(metadata)).close()
    return bytes(sink.getvalue())


def test_offsets_that_lead_outside_are_refused():
    """Nothing may read outside a buffer, whatever the offsets of a body say."""
    sink = pa.BufferOutputStream()
    header = msgspec.json.encode(simple(2).header)
    schema = RECORD_SCHEMA.with_metadata({segment_module._HEADER_KEY: header})
    good = pa.RecordBatch.from_arrays(simple(2).batches[0].columns, schema=schema)
    with pa.ipc.new_stream(sink, schema) as writer:
        writer.write_batch(good)
    data = bytes(sink.getvalue())
    at = data.index(struct.pack("<3i", 0, 6, 12))
    changed = data[:at] + struct.pack("<3i", 0, 6, 1 << 30) + data[at + 12 :]
    assert decode_segment(data)
    with pytest.raises(SegmentError):
        decode_segment(changed)
