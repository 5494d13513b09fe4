"""What assemble, parse and enrich cost over a corpus of CRI files, each in zu.

    python benchmarks/agent_stages.py CORPUS_DIR [--batch-bytes N] [--small] [--docker]

One thread; CPU seconds (user + system) of each stage, summed over the batches. A zu (see
`yardstick.py`) is measured in the same run. `--small` adds the fixed cost: 2,500 lines from 100
files in one batch. `--docker` assembles the same records once more as Docker's json-file driver
writes them, apart for files without escapes and with them, beside what they cost as CRI.
"""

from __future__ import annotations

# ruff: noqa: E402
from kelp.agent.memory import stay_small

stay_small()  # before numpy and pyarrow are loaded, as the agent does

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from kelp.agent.assemble import CriAssembler
from kelp.agent.enrich import Enricher
from kelp.agent.parse import Parser
from kelp.base.settings import Agent
from kelp.model.raw import Instance, RawBatch
from yardstick import zstd_seconds

STAGES = ("assemble", "parse", "enrich")
BLOCK = 4 << 20
TARGET_ZU = 1.0
SMALL_LINES, SMALL_PIECES = 2_500, 100


def instance_of(path: Path) -> Instance:
    namespace, pod, uid = path.parts[-3].split("_")
    labels = {"namespace": namespace, "pod": pod, "pod_uid": uid, "container": path.parts[-2]}
    return Instance("/".join(path.parts[-3:]), labels)


def raw_batch(pieces: list[tuple[Instance, bytes]]) -> RawBatch:
    sizes = np.array([len(data) for _, data in pieces], np.int64)
    ends = np.cumsum(sizes)
    return RawBatch(
        data=np.frombuffer(b"".join(data for _, data in pieces), np.uint8),
        starts=ends - sizes,
        ends=ends,
        positions=np.zeros(len(pieces), np.uint64),
        cut_bytes=np.zeros(len(pieces), np.int64),
        instances=[instance for instance, _ in pieces],
        observed_ns=0,
    )


def blocks(corpus: Path, size: int) -> Iterator[tuple[Instance, bytes]]:
    """Whole lines of every file, at most about `size` bytes at a time."""
    for path in sorted(corpus.rglob("*.log")):
        rest = b""
        with path.open("rb") as file:
            while data := file.read(size):
                data = rest + data
                end = data.rfind(b"\n") + 1
                rest = data[end:]
                if end:
                    yield instance_of(path), data[:end]


class Stages:
    """The three stages, and what each has spent."""

    def __init__(self) -> None:
        self.assembler = CriAssembler(16 << 20, 60.0, {})
        self.parser = Parser(Agent(), {})
        self.enricher = Enricher()
        self.spent = dict.fromkeys(STAGES, 0.0)
        self.records = 0

    def run(self, raw: RawBatch) -> None:
        """One batch through all of them."""
        times = [time.process_time()]
        lines = self.assembler.assemble(raw)
        times.append(time.process_time())
        parsed = self.parser.parse(lines)
        times.append(time.process_time())
        self.enricher.log_batch(lines, parsed)
        times.append(time.process_time())
        for stage, begin, end in zip(STAGES, times, times[1:], strict=False):
            self.spent[stage] += end - begin
        self.records += len(lines)


def small_batch(corpus: Path) -> RawBatch:
    """A little from each of many files, as on a quiet node; files are repeated where too few."""
    pieces: list[tuple[Instance, bytes]] = []
    each = SMALL_LINES // SMALL_PIECES
    files = sorted(corpus.rglob("*.log"))
    for number in range(SMALL_PIECES):
        path = files[number % len(files)]
        with path.open("rb") as file:
            lines = b"".join(file.readline() for _ in range(each))
        instance = instance_of(path)
        pieces.append((Instance(f"{instance.key}/{number}", instance.labels), lines))
    return raw_batch(pieces)


def as_docker(data: bytes) -> bytes:
    """The same lines as dockerd writes them; times without the zeros at their end."""
    out = []
    for line in data.splitlines():
        stamp, stream, tag, body = line.split(b" ", 3)
        text = body.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
        for byte in b"<>&":
            text = text.replace(bytes([byte]), b"\\u%04x" % byte)
        end = b"\\n" if tag == b"F" else b""
        time_text = stamp.removesuffix(b"Z").rstrip(b"0").rstrip(b".") + b"Z"
        out.append(b'{"log":"%s%s","stream":"%s","time":"%s"}\n' % (text, end, stream, time_text))
    return b"".join(out)


def docker(corpus: Path, size: int) -> Iterator[tuple[str, float, float, int]]:
    """(kind of file, CPU s as Docker's, CPU s as CRI, records) of blocks of the corpus."""
    for instance, data in blocks(corpus, size):
        other = as_docker(data)
        kind = "escapes" if b'\\"' in other else "plain"
        spent = []
        for form in (other, data):
            raw = raw_batch([(instance, form)])
            assembler = CriAssembler(16 << 20, 60.0, {})
            begin = time.process_time()
            records = len(assembler.assemble(raw))
            spent.append(time.process_time() - begin)
        yield kind, spent[0], spent[1], records


def print_docker(corpus: Path, size: int) -> None:
    total: dict[str, list[float]] = {}
    for kind, as_json, as_cri, records in docker(corpus, size):
        sums = total.setdefault(kind, [0.0, 0.0, 0.0])
        for i, value in enumerate((as_json, as_cri, records)):
            sums[i] += value
    print("assemble, ns/record: json-file, CRI")
    for kind, (as_json, as_cri, count) in total.items():
        print(f"{kind:10} {as_json / count * 1e9:8.0f} {as_cri / count * 1e9:6.0f}")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("corpus", type=Path)
    arguments.add_argument("--batch-bytes", type=int, default=BLOCK)
    arguments.add_argument("--small", action="store_true")
    arguments.add_argument("--docker", action="store_true")
    options = arguments.parse_args()
    pa.set_cpu_count(1)
    zu = zstd_seconds(sorted(options.corpus.rglob("*.log")))
    stages = Stages()
    for instance, data in blocks(options.corpus, options.batch_bytes):
        stages.run(raw_batch([(instance, data)]))
    print(f"{'stage':10} {'CPU s':>8} {'zu':>6} {'ns/record':>10}")
    total = sum(stages.spent.values())
    for name, spent in [*stages.spent.items(), ("all", total)]:
        print(f"{name:10} {spent:8.3f} {spent / zu:6.2f} {spent / stages.records * 1e9:10.0f}")
    print(f"records {stages.records:,}; 1 zu = {zu:.3f} s; target {TARGET_ZU:.1f} zu")
    if options.docker:
        print_docker(options.corpus, options.batch_bytes)
    if options.small:
        raw, small = small_batch(options.corpus), Stages()
        for _ in range(20):
            small.run(raw)
        print(f"a batch of {SMALL_LINES:,} lines from {SMALL_PIECES} files, ms:")
        for name, spent in small.spent.items():
            print(f"{name:10} {spent / 20 * 1e3:8.2f}")


if __name__ == "__main__":
    main()
