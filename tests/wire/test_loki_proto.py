"""Loki's push in protobuf: messages built by hand from the format's description."""

from __future__ import annotations

import cramjam
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kelp.wire import loki_proto
from kelp.wire.pushed import PushError, to_log_batch

Entry = tuple[int, bytes, dict[bytes, bytes]]


def varint(number: int) -> bytes:
    number &= (1 << 64) - 1
    out = bytearray()
    while True:
        out.append(number & 127 | (128 if number > 127 else 0))
        number >>= 7
        if not number:
            return bytes(out)


def field(number: int, data: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(data)) + data


def entry(time_ns: int, line: bytes, metadata: dict[bytes, bytes]) -> bytes:
    stamp = varint(8) + varint(time_ns // 10**9) + varint(16) + varint(time_ns % 10**9)
    pairs = [field(3, field(1, k) + field(2, v)) for k, v in metadata.items()]
    return field(2, field(1, stamp) + field(2, line) + b"".join(pairs))


def push(labels: bytes, *entries: Entry) -> bytes:
    # Field 3 is a hash that nobody needs.
    body = field(1, labels) + b"".join(entry(*e) for e in entries) + varint(24) + varint(7)
    return field(1, body)


@given(
    st.lists(
        st.tuples(
            st.integers(-(2**62), 2**62),
            st.binary(max_size=20),
            st.dictionaries(st.sampled_from([b"a", b"b.c"]), st.just(b"v")),
        ),
        max_size=6,
        unique_by=lambda e: (e[0], e[1]),
    )
)
def test_lines_come_through_byte_for_byte(entries: list[Entry]) -> None:
    pushed = loki_proto.decode_snappy(
        bytes(cramjam.snappy.compress_raw(push(b'{app="a"}', *entries))), 1 << 20
    )
    records = to_log_batch(pushed.rows, 0, 0).records
    assert [e[1] for e in entries] == records.column("body").to_pylist()
    assert [e[0] for e in entries] == records.column("timestamp").cast("int64").to_pylist()
    names = [{k.replace(b".", b"_").decode(): "v" for k in e[2]} for e in entries]
    assert names == [dict(m) for m in records.column("attributes").to_pylist()]


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for decode in (loki_proto.decode, lambda d: loki_proto.decode_snappy(d, 1 << 16)):
        try:
            decode(data)
        except PushError as e:
            assert "expected" in str(e)


def test_what_says_that_it_is_huge_is_refused_unread() -> None:
    bomb = bytes(cramjam.snappy.compress_raw(b"\0" * (32 << 20)))
    with pytest.raises(PushError, match="at most 1000 bytes"):
        loki_proto.decode_snappy(bomb, 1000)
    with pytest.raises(PushError):
        loki_proto.decode_snappy(varint(1 << 31) + b"x", 1 << 40)


def test_times_beyond_64_bits_are_refused() -> None:
    with pytest.raises(PushError, match="timestamps"):
        loki_proto.decode(push(b'{a="b"}', (2**63 * 2, b"x", {})))


def test_a_stream_with_labels_that_cannot_be_read_is_rejected_alone() -> None:
    one = (1, b"x", {})
    data = push(b"nonsense", one) + push(b'{a="b"}', one) + push(b"{}", one)
    pushed = loki_proto.decode(data)
    assert ([r.labels for r in pushed.rows], len(pushed.rejected)) == ([{"a": "b"}], 2)


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("{}", {}),
        ('{a="b"}', {"a": "b"}),
        ('{a="b",c="d"}', {"a": "b", "c": "d"}),
        ('{ a = "b" , c="d", }', {"a": "b", "c": "d"}),
        (r'{a="\"\\\n\t"}', {"a": '"\\\n\t'}),
        (r'{a="\u00e4\x41\U0001F600\101"}', {"a": "äA😀A"}),
        ('{a="}"}', {"a": "}"}),
        ("{a=\"ä, b='c'\"}", {"a": "ä, b='c'"}),
    ],
)
def test_label_sets(text: str, labels: dict[str, str]) -> None:
    assert labels == loki_proto.parse_labels(text)


@pytest.mark.parametrize(
    "text", ["", "{", 'a="b"', "{a=b}", "{a}", '{a="b" c="d"}', '{a="b}', '{1="b"}', '{a="b"}}']
)
def test_what_is_no_label_set(text: str) -> None:
    with pytest.raises(ValueError, match="expected labels"):
        loki_proto.parse_labels(text)
