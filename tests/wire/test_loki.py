"""Loki's push in JSON, and the columns that are made of it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kelp.model.batch import RECORD_SCHEMA
from kelp.model.stream import Stream
from kelp.wire import loki
from kelp.wire.pushed import PushError, metadata_name, to_log_batch, why_refused

NAMES = st.text("aZ_9", min_size=1, max_size=4).map(lambda name: f"n{name}")
TEXTS = st.text(max_size=8).filter(lambda t: t.encode("utf-8", "ignore").decode() == t)
LABELS = st.dictionaries(NAMES, st.text('ä"{', min_size=1, max_size=3), min_size=1, max_size=3)
ENTRIES = st.lists(
    st.tuples(
        st.integers(-(2**63) + 1, 2**63 - 1), TEXTS, st.dictionaries(NAMES, TEXTS, max_size=2)
    ),
    max_size=5,
)


def encoded(streams: list[tuple[dict[str, str], list[tuple[int, str, dict[str, str]]]]]) -> bytes:
    return json.dumps(
        {
            "streams": [
                {"stream": labels, "values": [[str(t), line, m] for t, line, m in entries]}
                for labels, entries in streams
            ]
        }
    ).encode()


@given(st.lists(st.tuples(LABELS, ENTRIES), max_size=3))
def test_every_entry_comes_through_once_and_in_order(
    streams: list[tuple[dict[str, str], list[tuple[int, str, dict[str, str]]]]],
) -> None:
    batch = to_log_batch(loki.decode_json(encoded(streams)).rows, 7, 100)
    expected = []
    for labels, entries in streams:
        unique = dict.fromkeys((t, line, tuple(sorted(m.items()))) for t, line, m in entries)
        expected += [(Stream(labels).id, t, line.encode(), dict(m)) for t, line, m in unique]
    records = batch.records
    assert RECORD_SCHEMA.equals(records.schema)
    times = records.column("timestamp").cast("int64").to_pylist()
    found = list(
        zip(
            records.column("stream_id").to_pylist(),
            times,
            records.column("body").to_pylist(),
            map(dict, records.column("attributes").to_pylist()),
            strict=True,
        )
    )
    assert expected == found
    assert list(range(100, 100 + len(found))) == records.column("position").to_pylist()
    assert {Stream(labels).id for labels, entries in streams if entries} == set(batch.streams)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        loki.decode_json(data)
    except PushError as e:
        assert "expected" in str(e)


@given(st.binary(max_size=30))
def test_lines_of_any_bytes_come_through_as_text(line: bytes) -> None:
    shown = line.replace(b"\\", b"").replace(b'"', b"")
    shown = bytes(b for b in shown if b >= 0x20)
    data = b'{"streams": [{"stream": {"a": "b"}, "values": [["1", "%b"]]}]}' % shown
    (rows,) = loki.decode_json(data).rows
    assert [shown.decode("utf-8", "replace").encode()] == rows.lines.to_pylist()


@given(st.text(st.characters(codec=None) | st.sampled_from('\ud800\udcff\\"u'), max_size=12))
def test_lines_with_half_characters_come_through_as_text(line: str) -> None:
    whole = line.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    (rows,) = loki.decode_json(encoded([({"a": "b"}, [(1, line, {"m": line})])])).rows
    assert [whole.encode()] == rows.lines.to_pylist()


def test_half_characters_and_broken_bytes_in_one_push() -> None:
    data = b'{"streams": [{"stream": {"a": "b"}, "values": [["1", "\\ud800\xff\\\\ud800"]]}]}'
    (rows,) = loki.decode_json(data).rows
    assert ["\ufffd\ufffd\\ud800".encode()] == rows.lines.to_pylist()


def test_a_push_of_half_characters_alone_is_refused_soon() -> None:
    data = (
        b'{"streams": [{"stream": {"a": "b"}, "values": [["1", "' + rb"\udcff" * 300_000 + b'"]]}]}'
    )
    with pytest.raises(PushError, match="surrogate"):
        loki.decode_json(data)


@pytest.mark.parametrize(
    ("labels", "text"),
    [
        ({}, "at least one label"),
        ({"a": ""}, "at least one label"),
        ({"a-b": "c"}, "label names like"),
        ({"1a": "c"}, "label names like"),
        ({"ä": "c"}, "label names like"),
        ({"a" * 1025: "c"}, "label names like"),
        ({"a": "c" * 2049}, "2048 bytes"),
        ({f"l{n}": "c" for n in range(65)}, "at most 64"),
    ],
)
def test_labels_that_are_not_allowed(labels: dict[str, str], text: str) -> None:
    assert text in why_refused(labels)
    pushed = loki.decode_json(encoded([(labels, [(1, "x", {})]), ({"a": "b"}, [(1, "x", {})])]))
    assert ([r.labels for r in pushed.rows], len(pushed.rejected)) == ([{"a": "b"}], 1)


def test_what_the_sender_says_of_severity_counts_the_row_before_the_stream() -> None:
    rows = [(1, "x", {"level": "ERROR"}), (2, "x", {}), (3, "x", {"severity": "nonsense"})]
    pushed = loki.decode_json(encoded([({"a": "b", "level": "warn"}, rows)]))
    severity = to_log_batch(pushed.rows, 0, 0).records.column("severity_number")
    assert severity.to_pylist() == [17, 13, 13]


def test_a_word_that_is_not_known_is_passed_over() -> None:
    rows = [(1, "x", {"level": "7", "lvl": "debug"}), (2, "x", {"level": "7"})]
    pushed = loki.decode_json(encoded([({"a": "b"}, rows)]))
    severity = to_log_batch(pushed.rows, 0, 0).records.column("severity_number")
    assert [5, 0] == severity.to_pylist()


def test_what_no_sender_says_the_lines_do_if_asked() -> None:
    unsaid = [(1, '{"level":"Error"}', {}), (2, "plain", {}), (3, "level=warn", {"level": "info"})]
    said = [(4, "[error] x", {})]
    more = [(5, "WARN: x", {"k": "v"})]
    streams = [({"a": "1"}, unsaid), ({"a": "2", "severity": "debug"}, said), ({"a": "3"}, more)]
    pushed = loki.decode_json(encoded(streams))

    def severities(**how: bool) -> list[tuple[int, str]]:
        records = to_log_batch(pushed.rows, 0, 0, **how).records
        names = ("severity_number", "severity_text")
        return list(zip(*(records.column(n).to_pylist() for n in names), strict=True))

    assert [(0, ""), (0, ""), (9, ""), (5, ""), (0, "")] == severities()
    expected = [(17, "Error"), (0, ""), (9, ""), (5, ""), (13, "WARN")]
    assert expected == severities(severity_of_lines=True)


def test_lines_of_an_empty_push() -> None:
    assert to_log_batch([], 0, 0, severity_of_lines=True).records.num_rows == 0


def test_nothing_pushed_is_an_empty_batch() -> None:
    batch = to_log_batch(loki.decode_json(b'{"streams": []}').rows, 0, 0)
    assert (batch.records.num_rows, dict(batch.streams)) == (0, {})


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a", "a"), ("a.b-c", "a_b_c"), ("2x", "key_2x"), ("", ""), ("ü", "_"), ("_a", "_a")],
)
def test_names_that_logql_can_write(name: str, expected: str) -> None:
    assert expected == metadata_name(name)
