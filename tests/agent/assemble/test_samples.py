"""What other collectors expect of CRI and Docker lines, and a kubelet's own files."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import pytest

from kelp.agent.assemble import CriAssembler
from kelp.model.batch import ATTR_MALFORMED, ATTR_PARTIAL
from tests.agent.assemble.batches import OBSERVED_NS, Piece, raw_batch, records
from tests.agent.assemble.reference import Record, parse_time

SHARED = Path(__file__).parents[3].parent / "shared" / "data"
SAMPLES = SHARED / "container-logs"
PODS = SHARED / "real-k8s" / "pods"

CASES = [
    p
    for folder in ("filebeat", "loki", "vector", "fluent-bit-multiline")
    for p in sorted((SAMPLES / folder).glob("*.json"))
]

needs_samples = pytest.mark.skipif(not CASES, reason="no ../shared/data/container-logs here")
needs_pods = pytest.mark.skipif(not PODS.is_dir(), reason="no ../shared/data/real-k8s here")

# Where Kelp decides otherwise, with its reason.
OTHERWISE = {
    # An option of that agent that Kelp has not; nothing is ever given up for a count of streams.
    "cri-tags-tag-P-multi-stream-with-maxPartialLines-exceeded",
    # One line with a newline in it: no file has such a thing.
    "cri-multi-line-pass",
    # A line in between that is no Docker's does not end a record that is still open: Docker's
    # files have such a line only where one was torn by a crash.
    "docker",
}


def lines_of(case: dict) -> list[bytes]:
    lines = [line["line"] if isinstance(line, dict) else line for line in case["input"]]
    return [line.rstrip("\n").replace("\n", "\\n").encode() for line in lines]


def run(lines: list[bytes]) -> list[Record]:
    """The records, those that never ended behind the others."""
    assembler = CriAssembler(1 << 20, 60.0, {})
    data = b"".join(line + b"\n" for line in lines)
    found = records(assembler.assemble(raw_batch([Piece("i", 0, data)])))
    return found + records(assembler.expire(OBSERVED_NS + 60_000_000_000))


@needs_samples
@pytest.mark.parametrize("path", CASES, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_expected_records_of_other_collectors(path: Path) -> None:
    case = json.loads(path.read_text(encoding="utf-8", errors="surrogateescape"))
    if path.stem in OTHERWISE:
        pytest.skip("Kelp decides otherwise; see OTHERWISE")
    found = run(lines_of(case))
    if case.get("expect_error"):
        # What others refuse is kept and marked, or still open where its first part was good.
        assert found
        assert all(ATTR_MALFORMED in r.marks or ATTR_PARTIAL in r.marks for r in found)
        return
    options = case.get("options") or {}
    if options.get("partial") is False:
        return  # splits left apart: an option that Kelp has not
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
