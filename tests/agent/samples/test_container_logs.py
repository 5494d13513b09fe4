"""What other collectors expect of CRI and Docker lines, and a kubelet's own files."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import pytest

from kelp.agent.assemble import CriAssembler
from kelp.model.batch import ATTR_MALFORMED, ATTR_PARTIAL
from tests.agent.assemble.batches import Piece, raw_batch, records
from tests.agent.assemble.reference import Record, parse_time
from tests.agent.samples.samples import DATA, assembled

SAMPLES = DATA / "container-logs"
PODS = DATA / "real-k8s" / "pods"
KUBERNETES = SAMPLES / "fluent-bit-kubernetes"

CASES = [
    p
    for folder in ("filebeat", "loki", "vector", "fluent-bit-multiline")
    for p in sorted((SAMPLES / folder).glob("*.json"))
]

OUTPUTS = sorted((KUBERNETES / "out").glob("*/*.out"))
TAILED = sorted((SAMPLES / "fluent-bit-tail").glob("dockermode*.out"))

needs_samples = pytest.mark.skipif(not CASES, reason="no ../shared/data/container-logs here")
needs_pods = pytest.mark.skipif(not PODS.is_dir(), reason="no ../shared/data/real-k8s here")

# Where an option of the other collector is meant that Kelp has not, or no file can be so.
OTHERWISE = {
    "cri-tags-tag-P-multi-stream-with-maxPartialLines-exceeded": "gives up at a count of streams",
    "cri-multi-line-pass": "one line with a newline in it: no file has such a thing",
    "docker-split-partial-disabled": "partial: false leaves the parts as they are",
    "options_keep-log-disabled_json": "Keep_Log off: the log is replaced by its fields",
    "dockermode_firstline_detection": "Docker_Mode_Parser: a pattern that joins further lines",
    "dockermode_splitted_multiple_lines": "Docker_Mode_Parser: a pattern that joins further lines",
}


def lines_of(case: dict) -> list[bytes]:
    lines = [line["line"] if isinstance(line, dict) else line for line in case["input"]]
    return [line.rstrip("\n").replace("\n", "\\n").encode() for line in lines]


@needs_samples
@pytest.mark.parametrize("path", CASES, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_expected_records_of_other_collectors(path: Path) -> None:
    case = json.loads(path.read_text(encoding="utf-8", errors="surrogateescape"))
    if path.stem in OTHERWISE:
        pytest.skip(OTHERWISE[path.stem])
    found = assembled(lines_of(case))
    if case.get("expect_error"):
        # What others refuse is kept and marked, or still open where its first part was good.
        assert found
        assert all(ATTR_MALFORMED in r.marks or ATTR_PARTIAL in r.marks for r in found)
        return
    options = case.get("options") or {}
    if stream := options.get("stream"):
        found = [r for r in found if ("", "stdout", "stderr")[r.stream] == stream]
    assert len(case["expected"]) == len(found)
    for expected, record in zip(case["expected"], found, strict=True):
        compare(expected, record)


def compare(expected: str | dict, record: Record) -> None:
    text = expected if isinstance(expected, str) else expected["message"]
    # Others keep the newline that ends a line of Docker's.
    assert text.removesuffix("\n") == record.body.decode(errors="surrogateescape")
    if isinstance(expected, str):
        return
    assert expected["stream"] == ("", "stdout", "stderr")[record.stream]
    assert parse_time(expected["timestamp"].encode()) == record.timestamp
    for key, value in expected.get("attrs", {}).items():
        assert value == record.marks["docker.attrs." + key]


@needs_samples
@pytest.mark.parametrize("path", OUTPUTS, ids=lambda p: p.stem)
def test_records_that_a_filter_gave_out(path: Path) -> None:
    """`out/GROUP/NAME[_STREAM].out` is one record of `log/GROUP/NAME.log`, with a pod's names."""
    name, _, stream = path.stem.rpartition("_")
    if stream not in ("stdout", "stderr"):
        name, stream = path.stem, ""
    if name in OTHERWISE:
        pytest.skip(OTHERWISE[name])
    time, expected = json.loads(path.read_text(), strict=False)
    source = KUBERNETES / "log" / path.parent.name / f"{name}.log"
    if not source.exists():
        pytest.skip("its log is not here")
    found = [r for r in assembled(source.read_bytes().splitlines()) if _stream(r)]
    mine = [r for r in found if stream in ("", _stream(r))]
    assert expected["stream"] == _stream(mine[0])
    log = expected.get("log", "").removesuffix("\n").encode()
    if path.parent.name == "annotations-parser":
        assert log in mine[0].body  # a pattern named in an annotation has taken the log apart
        return
    assert abs(time * 10**9 - mine[0].timestamp) < 1000
    assert log == mine[0].body


def _stream(record: Record) -> str:
    return ("", "stdout", "stderr")[record.stream]


@needs_samples
@pytest.mark.parametrize("path", TAILED, ids=lambda p: p.stem)
def test_files_of_docker_without_times(path: Path) -> None:
    if path.stem in OTHERWISE:
        pytest.skip(OTHERWISE[path.stem])
    expected = [json.loads(line)["log"] for line in path.read_text().splitlines()]
    found = assembled(path.with_suffix(".log").read_bytes().splitlines())
    assert [e.removesuffix("\n").encode() for e in expected] == [r.body for r in found]


@needs_samples
def test_a_line_of_cri_os() -> None:
    lines = (SAMPLES / "openshift-logsamples" / "raw_container.log").read_bytes().splitlines()
    found = assembled(lines)
    assert [line.split(b" ", 3)[3] for line in lines] == [r.body for r in found]
    assert [parse_time(line.split(b" ")[0]) for line in lines] == [r.timestamp for r in found]


@needs_pods
def test_every_line_of_a_kubelets_files() -> None:
    """Joined bodies against a join by hand, over all files of each container in their order."""
    files = [p for p in PODS.rglob("*.log*") if p.is_file()]
    assert files
    for path in files:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        assembler = CriAssembler(1 << 24, 60.0, {})
        found = records(assembler.assemble(raw_batch([Piece("i", 0, data)])))
        expected, parts = [], {"stdout": b"", "stderr": b""}
        for line in data.split(b"\n")[:-1]:
            match = re.fullmatch(rb"\S+ (stdout|stderr) ([PF]) (.*)", line, re.DOTALL)
            assert match is not None
            stream = match[1].decode()
            parts[stream] += match[3]
            if match[2] == b"F":
                expected.append(parts[stream])
                parts[stream] = b""
        assert expected == [r.body for r in found]
        assert not any(r.marks for r in found)


@needs_pods
def test_a_sequence_without_gap_over_rotated_files() -> None:
    folder = next(iter(PODS.glob("shop_orders-api*/*")))
    rotated = sorted(p for p in folder.glob("0.log.*"))
    assembler = CriAssembler(1 << 24, 60.0, {})
    found: list[int] = []
    for path in [*rotated, folder / "0.log"]:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        for record in records(assembler.assemble(raw_batch([Piece("i", 0, data)]))):
            found += [int(n) for n in re.findall(rb'"?seq"?[=:] ?(\d+)', record.body)]
    assert found
    assert list(range(found[0], found[0] + len(found))) == found
