from __future__ import annotations

import base64
import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from kelp.cli.main import run
from kelp.cli.parse import parse

STAMP = b"2026-11-20T10:11:12.5Z"


def shown(*arguments: str, stdin: bytes = b"") -> list[dict]:
    result = CliRunner().invoke(parse, list(arguments), input=stdin, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout_bytes.splitlines()]


@pytest.fixture
def pods(tmp_path: Path) -> Path:
    folder = tmp_path / "pods" / "shop_web-6d4cf56db6-x7x9p_1234" / "app"
    folder.mkdir(parents=True)
    return folder


def test_a_record_of_a_pods_file(pods: Path) -> None:
    path = pods / "0.log"
    path.write_bytes(STAMP + b" stderr F 10:00 ERROR broken\n")
    expected = {
        "timestamp": "2026-11-20T10:11:12.500000000Z",
        "stream": "stderr",
        "severity": "error",
        "severity_number": 17,
        "severity_text": "ERROR",
        "body": "10:00 ERROR broken",
        "position": 0,
        "attributes": {},
        "labels": {
            "app": "web",
            "container": "app",
            "dataset": "app",
            "filename": str(path),
            "namespace": "shop",
            "pod": "web-6d4cf56db6-x7x9p",
            "pod_uid": "1234",
            "restart": "0",
        },
        "format": "",
        "fields": {},
    }
    assert [expected] == shown(str(path))


def test_rotated_files_are_one_log(pods: Path) -> None:
    first, second = pods / "0.log.20261120-101112.gz", pods / "0.log"
    head = STAMP + b" stdout F a\n" + STAMP + b" stdout P one \n"
    first.write_bytes(gzip.compress(head))
    second.write_bytes(STAMP + b" stdout F two\n" + STAMP + b" stdout F b\n")
    records = shown(str(first), str(second))
    assert [r["body"] for r in records] == ["a", "one two", "b"]
    line = len(STAMP) + len(" stdout F ")
    expected = [0, line + 2, len(head) + line + 4]
    assert expected == [r["position"] for r in records]
    assert {str(second)} == {r["labels"]["filename"] for r in records}


TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
KLOG = (
    b'I0102 10:11:12.123456       7 reconciler.go:181] "started it" volume="x"\n'
    b"E0102 10:11:13.000000       7 x.go:1] boom trace_id=" + TRACE.encode() + b"\n"
)


def test_a_plain_file_is_read_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "kubelet.log"
    path.write_bytes(KLOG)
    for records in (shown(str(path)), shown("--as", "klog", str(path)), shown("-", stdin=KLOG)):
        first, second = records
        assert [r["severity"] for r in records] == ["info", "error"]
        assert first["timestamp"][4:] == "-01-02T10:11:12.123456000Z"
        assert first["format"] == first["labels"]["format"] == "klog"
        assert first["attributes"] == {}
        assert first["fields"] == {
            "level": "I",
            "time": "0102 10:11:12.123456",
            "thread": "7",
            "file": "reconciler.go",
            "line": "181",
            "message": "started it",
            "volume": "x",
            "event_time": first["timestamp"],
        }
        assert second["position"] == KLOG.index(b"\n") + 1
        assert second["fields"]["trace_id"] == TRACE


def test_a_trace_in_a_plain_file_is_one_record(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    body = (
        'Traceback (most recent call last):\n  File "a.py", line 1, in <module>\n    x()\n'
        "ValueError: no"
    )
    path.write_text(f"starting\n{body}\ndone\n")
    assert [r["body"] for r in shown(str(path))] == ["starting", body, "done"]


def test_a_broken_line_does_not_make_a_containers_log_a_plain_one(tmp_path: Path) -> None:
    path = tmp_path / "copied.log"
    path.write_bytes(b"torn\n" + (STAMP + b" stdout F x\n") * 2)
    assert [r["attributes"] for r in shown(str(path))] == [{"kelp.malformed": "cri"}, {}, {}]
    path.write_bytes(b'{"log":"y\\n","stream":"stderr","time":"2026-11-20T10:11:12.5Z"}\n')
    assert [(r["body"], r["stream"]) for r in shown(str(path))] == [("y", "stderr")]


def test_fields_of_a_containers_log(pods: Path) -> None:
    line = '{"ts":"2026-11-20T10:00:00Z","msg":"hi","a":{"b":1},"traceId":"' + TRACE + '"}'
    (pods / "0.log").write_bytes((STAMP + b" stdout F " + line.encode() + b"\n") * 3)
    record = shown(str(pods / "0.log"))[-1]
    assert record["format"] == "json"
    assert record["fields"] == {
        "ts": "2026-11-20T10:00:00Z",
        "msg": "hi",
        "a_b": "1",
        "traceId": TRACE,
        "message": "hi",
        "timestamp": "2026-11-20T10:00:00Z",
        "trace_id": TRACE,
        "event_time": "2026-11-20T10:00:00.000000000Z",
    }


def test_of_a_format_that_is_not_the_lines_own_there_are_ids_alone(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    path.write_bytes(KLOG)
    records = shown("--as", "ingress-nginx", str(path))
    assert [r["fields"] for r in records] == [{}, {"trace_id": TRACE}]
    assert {r["format"] for r in shown("--as", "text", str(path))} == {""}


def test_a_line_of_another_format_than_its_stream_is_read_by_its_own(tmp_path: Path) -> None:
    path = tmp_path / "kubelet.log"
    path.write_bytes(b'I1120 10:11:12.000000       1 a.go:1] "x"\n' * 9 + b'{"a":1}\n')
    records = shown(str(path))
    assert ["klog"] * 9 + ["json"] == [r["format"] for r in records]
    assert {"a": "1"} == records[-1]["fields"]
    assert {} == shown("--as", "klog", str(path))[-1]["fields"]


def test_standard_input_plain_and_compressed() -> None:
    data = STAMP + b" stdout F x\n"
    expected = [("x", {})]
    assert expected == [(r["body"], r["labels"]) for r in shown("-", stdin=data)]
    assert expected == [(r["body"], r["labels"]) for r in shown("-", stdin=gzip.compress(data))]


def test_bytes_that_are_not_utf8_are_shown_both_ways(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    path.write_bytes(STAMP + b" stdout F caf\xe9\n")
    (record,) = shown(str(path))
    assert (record["body"], base64.b64decode(record["body_base64"])) == ("caf\ufffd", b"caf\xe9")
    assert record["attributes"] == {"kelp.invalid_utf8": "true"}


def test_what_is_no_cri_in_a_containers_log_is_shown_marked(pods: Path) -> None:
    path = pods / "0.log"
    path.write_bytes(b"plain\nno newline at the end")
    records = shown(str(path))
    expected = [("plain", 0, ""), ("no newline at the end", 6, "")]
    assert expected == [(r["body"], r["position"], r["stream"]) for r in records]
    assert all(r["attributes"] == {"kelp.malformed": "cri"} for r in records)
    assert {str(path)} == {r["labels"]["filename"] for r in records}


def test_a_record_without_its_end_is_shown_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    path.write_bytes(STAMP + b" stdout P half\n" + STAMP + b" stderr F other\n")
    records = shown(str(path))
    expected = [("other", {}), ("half", {"kelp.partial": "true"})]
    assert expected == [(r["body"], r["attributes"]) for r in records]


@pytest.mark.parametrize("size", [100, 5 << 20, 17 << 20])
def test_a_long_line_is_cut_and_the_next_one_is_whole(tmp_path: Path, size: int) -> None:
    path = tmp_path / "x.log"
    long = STAMP + b" stdout F " + b"x" * size + b"\n"
    path.write_bytes(long + STAMP + b" stdout F next\n")
    cut, after = shown("--max-record-bytes", "50", str(path))
    missing = int(cut["attributes"]["kelp.truncated_bytes"])
    assert cut["body"] == ("x" * 50 + "... [truncated by kelp]")
    assert size - 50 == missing
    assert ("next", len(long)) == (after["body"], after["position"])


def test_files_that_cannot_be_read_are_told_and_the_others_shown(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    good, torn = tmp_path / "good.log", tmp_path / "torn.log.gz"
    good.write_bytes(STAMP + b" stdout F x\n")
    torn.write_bytes(gzip.compress(STAMP + b" stdout F y\n" * 10_000)[:-20])
    missing = str(tmp_path / "missing.log")
    assert run(["parse", missing, str(tmp_path), str(torn), str(good)]) == 1
    out, err = capfdbinary.readouterr()
    assert json.loads(out.splitlines()[-1])["body"] == "x"
    said = err.decode().splitlines()
    assert f"kelp: cannot read {missing}: No such file" in said[0]
    assert f"kelp: cannot read {tmp_path}: Is a directory" in said[1]
    assert f"kelp: expected {torn} to be whole gzip data" in said[2]


def test_standard_input_can_be_read_once(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert run(["parse", "-", "-"]) == 2
    assert b"expected - once" in capfdbinary.readouterr().err


def test_a_closed_pipe_ends_it_quietly(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    path.write_bytes((STAMP + b" stdout F x\n") * 100_000)
    command = f"'{sys.executable}' -m kelp.cli.main parse '{path}' | head -n 1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, timeout=60, check=True)
    assert done.stderr == b""
    assert json.loads(done.stdout)["body"] == "x"
