from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from kelp.agent.enrich import Enricher
from kelp.model.batch import RECORD_SCHEMA, LogBatch
from kelp.model.lines import NO_STREAM, STDERR, STDOUT, Lines
from kelp.model.parsed import Parsed
from kelp.model.raw import Instance
from kelp.model.stream import Stream

LABELS = {"dataset": "app", "namespace": "shop", "pod": "web-0", "container": "app"}
ONE = Instance("shop/web-0/1/app/0", LABELS)
TWO = Instance("shop/web-1/2/app/0", LABELS | {"pod": "web-1"})


def make(
    rows: Sequence[tuple[int, int]],
    marks: Mapping[int, Mapping[str, str]] | None = None,
    instances: Sequence[Instance] = (ONE, TWO),
) -> Lines:
    """(instance, stream) of each row."""
    n = len(rows)
    return Lines(
        instances=instances,
        instance=np.array([i for i, _ in rows], np.int32),
        stream=np.array([s for _, s in rows], np.uint8),
        timestamp=np.arange(n, dtype=np.int64) + 1_795_169_472_000_000_007,
        position=np.arange(n, dtype=np.uint64) * 10,
        body=pa.array([b"body %d" % i for i in range(n)], pa.binary()),
        marks=marks or {},
        observed_ns=1_800_000_000_000_000_001,
    )


def enrich(lines: Lines, enricher: Enricher | None = None, formats: Sequence[str] = ()) -> LogBatch:
    numbers = pa.array(np.full(len(lines), 9, np.uint8))
    texts = pa.array(["info"] * len(lines), pa.string())
    return (enricher or Enricher()).log_batch(lines, Parsed(numbers, texts, formats))


def test_a_stream_for_each_instance_and_stream() -> None:
    batch = enrich(make([(0, STDOUT), (1, STDERR), (0, STDOUT), (0, NO_STREAM)]))
    expected = [
        Stream(LABELS | {"app": "web", "stream": "stdout"}),
        Stream(LABELS | {"app": "web", "pod": "web-1", "stream": "stderr"}),
        Stream(LABELS | {"app": "web"}),
    ]
    assert {s.id: s for s in expected} == dict(batch.streams)
    ids = [s.id for s in expected]
    assert [ids[0], ids[1], ids[0], ids[2]] == batch.records["stream_id"].to_pylist()


def test_columns() -> None:
    lines = make([(0, STDOUT), (0, STDOUT)])
    records = enrich(lines).records
    records.validate(full=True)
    assert records.schema == RECORD_SCHEMA
    times = records["timestamp"].cast(pa.int64()).to_pylist()
    observed = records["observed_timestamp"].cast(pa.int64()).to_pylist()
    assert lines.timestamp.tolist() == times
    assert [lines.observed_ns] * 2 == observed
    expected = {
        "position": [0, 10],
        "severity_number": [9, 9],
        "severity_text": ["info", "info"],
        "trace_id": ["", ""],
        "span_id": ["", ""],
        "body": [b"body 0", b"body 1"],
        "attributes": [[], []],
    }
    assert expected == {name: records[name].to_pylist() for name in expected}


def test_marks_become_attributes() -> None:
    marks = {2: {"a": "1", "b": "2"}, 0: {"c": "3"}, 1: {}}
    records = enrich(make([(0, STDOUT)] * 4, marks)).records
    expected = [[("c", "3")], [], [("a", "1"), ("b", "2")], []]
    assert expected == records["attributes"].to_pylist()


def test_no_rows() -> None:
    batch = enrich(make([]))
    batch.records.validate(full=True)
    assert (batch.records.num_rows, dict(batch.streams)) == (0, {})
    assert enrich(make([], instances=())).records.num_rows == 0


def test_pieces_of_one_instance_share_a_stream() -> None:
    batch = enrich(make([(0, STDOUT), (1, STDOUT)], instances=(ONE, ONE)))
    assert len(batch.streams) == 1


def test_an_instance_without_a_pod_has_no_app() -> None:
    plain = Instance("x", {"filename": "/x.log"})
    batch = enrich(make([(0, NO_STREAM)], instances=(plain,)))
    assert [s.labels for s in batch.streams.values()] == [{"filename": "/x.log"}]


def test_an_app_that_is_known_stays() -> None:
    known = Instance("x", LABELS | {"app": "shop-front"})
    batch = enrich(make([(0, NO_STREAM)], instances=(known,)))
    assert [s.labels["app"] for s in batch.streams.values()] == ["shop-front"]


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The streams last seen stay; others are made anew, with the same id."""
    made: list[str] = []

    def counted(pod: str, node: str = "") -> str:
        made.append(pod)
        return pod

    monkeypatch.setattr("kelp.agent.enrich.enricher.workload_of", counted)
    enricher = Enricher(max_streams=2)
    three = [Instance(str(i), LABELS | {"pod": str(i)}) for i in range(3)]
    for index in (0, 1, 0, 2, 0, 1):
        enrich(make([(index, STDOUT)], instances=three), enricher)
    assert made == ["0", "1", "2", "1"]


def test_a_format_is_a_label_and_gives_the_dataset() -> None:
    batch = enrich(make([(0, STDOUT), (0, STDERR), (1, STDOUT)]), formats=FORMATS)
    found = [(s.labels.get("format"), s.labels["dataset"]) for s in batch.streams.values()]
    assert found == [("json", "app"), (None, "app"), (None, "app")]
    assert batch.records.column("stream_id").to_pylist() == list(batch.streams)


# Of two instances: nothing, stdout and stderr of each.
FORMATS = ("", "json", "", "", "", "")


@pytest.mark.parametrize(("told_first", "expected"), [(True, [18, 9, 9]), (False, [18, 17, 9])])
def test_a_severity_is_raised_whoever_told_it(told_first: bool, expected: list[int]) -> None:
    lines = replace(
        make([(0, NO_STREAM)] * 3), told=np.array([5, 9, 9], np.uint8), told_first=told_first
    )
    parsed = Parsed(
        pa.array([9, 17, 0], pa.uint8()), pa.array(["", "", ""]), least_severity={0: 18, 2: 1}
    )
    records = Enricher().log_batch(lines, parsed).records
    assert expected == records.column("severity_number").to_pylist()
