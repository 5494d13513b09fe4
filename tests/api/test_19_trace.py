"""19 /kelp/v1/trace: what is stored of instances, by file and position."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pytest

from kelp.model.batch import RECORD_SCHEMA
from kelp.model.loss import Loss, SourceFile
from kelp.model.stream import Stream
from kelp.wire.segment import Segment, SegmentHeader, encode_segment
from tests.api.running import Api
from tests.waiting import wait_until

TRACE = "/kelp/v1/trace"
INSTANCE = {
    "cluster": "c", "node": "n1", "namespace": "shop", "pod": "web-0", "pod_uid": "u-1",
    "container": "app", "restart": "0",
}  # fmt: skip
FOLDER = "/var/log/pods/shop_web-0_u-1/app"
OUT = {**INSTANCE, "dataset": "app", "stream": "stdout", "filename": f"{FOLDER}/0.log"}
ERR = {**OUT, "stream": "stderr"}
JSON = {**OUT, "format": "json", "dataset": "ingress"}


def source(base: int, size: int, **others: Any) -> SourceFile:
    known: dict[str, Any] = {
        "path": f"{FOLDER}/0.log", "device": 8, "inode": 40 + base % 7, "fingerprint": f"{base:x}",
        "fingerprint_bytes": min(size, 1024), "labels": {**INSTANCE, "dataset": "app"},
    }  # fmt: skip
    return SourceFile(base=base, size=size, **{**known, **others})


Row = tuple[Mapping[str, str], int, bytes]


def sent(
    api: Api, rows: Sequence[Row], files: Sequence[SourceFile] = (), losses: Sequence[Loss] = ()
) -> None:
    """A segment of (labels, position, body); times are positions in ms after an hour ago."""
    now = time.time_ns()
    start = now - 3600 * 10**9
    values = [
        {
            "stream_id": Stream(labels).id,
            "timestamp": start + position * 1_000_000,
            "observed_timestamp": now,
            "position": position,
            "severity_number": 0,
            **dict.fromkeys(("severity_text", "trace_id", "span_id"), ""),
            "body": body,
            "attributes": [],
        }
        for labels, position, body in rows
    ]
    header = SegmentHeader(
        agent_id=f"agent-{now}", seq=1, node="n1", created_ns=now, records=len(rows),
        body_bytes=sum(len(b) for *_, b in rows),
        streams=[dict(x) for x in {tuple(labels.items()) for labels, *_ in rows}],
        files=list(files), losses=list(losses),
    )  # fmt: skip
    batches = [pa.RecordBatch.from_pylist(values, schema=RECORD_SCHEMA)] if rows else []
    data = bytes(encode_segment(Segment(header, batches)))
    before = sizes(api)
    assert api.http.post("/kelp/v1/segments", content=data).json() == {"duplicate": False}
    expected = [n + len(x) for n, x in zip(before, (rows, files, losses), strict=True)]
    wait_until(lambda: sizes(api) == expected)


def found(api: Api, **asked: Any) -> list[dict[str, Any]]:
    answer = api.get(TRACE, **(asked or {"query": '{namespace="shop"}'}))
    assert answer.status_code == 200, answer.text
    instances: list[dict[str, Any]] = answer.json()["instances"]
    return instances


def sizes(api: Api) -> list[int]:
    """How many records, files and losses are stored; an insert makes them visible in turn."""
    instances = found(api)
    return [
        sum(s["records"] for i in instances for s in i["streams"]),
        sum(len(i["files"]) for i in instances),
        sum(len(i["losses"]) for i in instances),
    ]


def records(api: Api, **asked: Any) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    answer = api.get(f"{TRACE}/records", **{"query": '{pod="web-0"}', **asked})
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == "application/vnd.apache.arrow.stream"
    table = pa.ipc.open_stream(answer.content).read_all()
    return table.to_pylist(), json.loads(table.schema.metadata[b"kelp.streams"])


def test_an_instance_is_one_whatever_labels_its_lines_have(api: Api) -> None:
    sent(api, [(OUT, 0, b"a"), (ERR, 60, b"b"), (JSON, 120, b"{}")], [source(0, 180)])
    (instance,) = found(api)
    assert instance["labels"] == INSTANCE
    assert [("app", 0, 1), ("app", 60, 1), ("ingress", 120, 1)] == [
        (s["labels"]["dataset"], s["first_position"], s["records"]) for s in instance["streams"]
    ]
    assert [(0, 180, 3)] == [(f["base"], f["size"], f["records"]) for f in instance["files"]]
    assert (instance["losses"], instance["gaps"], instance["gaps_searched"]) == ([], [], True)


def test_records_are_counted_by_file(api: Api) -> None:
    rows = [(OUT, p, b"x") for p in (0, 50, 100, 150, 200)]
    sent(api, rows, [source(0, 100), source(100, 40), source(140, 90, path=f"{FOLDER}/x")])
    (instance,) = found(api)
    assert [2, 1, 2] == [f["records"] for f in instance["files"]]
    assert instance["files"][2]["path"] == f"{FOLDER}/x"


def test_of_a_file_that_grew_the_latest_word_counts(api: Api) -> None:
    short = source(0, 20, fingerprint="short")
    sent(api, [(OUT, 0, b"x")], [short])
    sent(api, [], [source(0, 5000, fingerprint="long", path=f"{FOLDER}/0.log.1")])
    files = found(api)[0]["files"]
    # Two agents said it: each has its own row.
    assert [("short", 20, 20), ("long", 1024, 5000)] == sorted(
        ((f["fingerprint"], f["fingerprint_bytes"], f["size"]) for f in files),
        key=lambda f: f[1],
    )


def test_a_record_leads_to_its_instance(api: Api) -> None:
    sent(api, [(OUT, 0, b"x"), ({**OUT, "pod": "db-0"}, 0, b"y")])
    wait_until(lambda: len(found(api)) == 2)
    lines = api.get("/kelp/v1/logs", query='{pod="web-0"}').text.splitlines()
    record = json.loads(lines[0])["record"]
    (instance,) = found(api, record=f"{record['stream_id']}:{record['position']}")
    assert instance["labels"] == INSTANCE
    assert found(api, record="17:0") == []


def test_gaps_are_what_no_body_explains(api: Api) -> None:
    rows = [(OUT, 0, b"x" * 9000), (OUT, 9100, b"y"), (ERR, 90_000, b"z"), (OUT, 90_060, b"z")]
    lost = Loss(
        labels=INSTANCE, position=9200, size_bytes=80_000, start_ns=1, end_ns=2, reason="deleted"
    )
    sent(api, rows, losses=[lost])
    (instance,) = found(api)
    assert instance["gaps"] == [{"after": 9100, "until": 90_000}]
    assert [(9200, 80_000, "deleted")] == [
        (x["position"], x["size_bytes"], x["reason"]) for x in instance["losses"]
    ]


def test_records_come_in_the_order_of_positions_across_streams(api: Api) -> None:
    sent(api, [(OUT, 200, b"c"), (ERR, 100, b"b\xff"), (OUT, 0, b"a"), (OUT, 300, b"d")])
    rows, streams = records(api)
    assert [(0, b"a"), (100, b"b\xff"), (200, b"c"), (300, b"d")] == [
        (r["position"], r["body"]) for r in rows
    ]
    assert ["stdout", "stderr", "stdout", "stdout"] == [
        streams[str(r["id"])]["stream"] for r in rows
    ]
    assert [100, 200] == [r["position"] for r in records(api, **{"from": 100, "to": 300})[0]]
    assert [0, 100] == [r["position"] for r in records(api, limit=2)[0]]
    at = rows[2]["time"]
    assert [200] == [r["position"] for r in records(api, start=at, end=at + 1)[0]]
    assert records(api, query='{pod="none"}') == ([], {})


def test_files_without_a_record_are_shown(api: Api) -> None:
    sent(api, [], [source(0, 0)])
    (instance,) = found(api)
    assert (instance["labels"], instance["streams"]) == (INSTANCE, [])


def test_another_tenant_sees_nothing(api: Api, server: Any) -> None:
    sent(api, [(OUT, 0, b"x")], [source(0, 10)])
    other = Api(server)
    try:
        assert found(other) == []
        record = f"{Stream(OUT, api.tenant or '').id}:0"
        assert len(found(api, record=record)) == 1
        assert found(other, record=record) == []
        assert records(other) == ([], {})
    finally:
        other.close()


def test_more_than_asked_for_is_told(api: Api) -> None:
    sent(api, [({**OUT, "restart": str(n)}, 0, b"x") for n in range(3)])
    answer = api.get(TRACE, query='{pod="web-0"}', limit=2).json()
    assert (["0", "1"], True) == (
        [i["labels"]["restart"] for i in answer["instances"]],
        answer["more"],
    )


def test_of_each_container_its_newest_runs(api: Api) -> None:
    sent(api, [({**OUT, "restart": str(n)}, 0, b"x") for n in (9, 10, 11)])
    sent(api, [({**OUT, "container": "proxy"}, 0, b"x")])

    def runs(number: int) -> list[tuple[str, str]]:
        answer = api.get(TRACE, query='{pod="web-0"}', runs=number).json()
        return [(i["labels"]["container"], i["labels"]["restart"]) for i in answer["instances"]]

    assert runs(1) == [("app", "11"), ("proxy", "0")]
    assert runs(2) == [("app", "10"), ("app", "11"), ("proxy", "0")]
    assert len(runs(0)) == 4


@pytest.mark.parametrize(
    ("path", "asked", "says"),
    [
        ("", {}, "expected one of them; got none"),
        ("", {"query": '{a="b"}', "record": "1:2"}, "got both"),
        ("", {"record": "12"}, "STREAM_ID:POSITION"),
        ("", {"record": f"{1 << 64}:1"}, "STREAM_ID:POSITION"),
        ("", {"query": "{"}, "line 1"),
        ("", {"query": '{a=~".*"}'}, "at least one"),
        ("", {"query": '{a="b"}', "limit": "0"}, "from 1 to 1000"),
        ("/records", {}, "'query' is missing"),
        ("/records", {"query": '{a="b"}', "from": "-1"}, "at least 0"),
        ("/records", {"query": '{a="b"}', "start": "x"}, "a time"),
    ],
)
def test_a_wrong_question_is_told(api: Api, path: str, asked: dict[str, str], says: str) -> None:
    answer = api.get(TRACE + path, **asked)
    assert answer.status_code == 400
    error = answer.json()["error"]
    text = f"{error['message']}: expected {error.get('expected')}; got {error.get('got')}"
    assert says in text
