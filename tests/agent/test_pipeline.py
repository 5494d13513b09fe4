"""The pipeline with the real stages and a real spool: when segments close, what commits hold."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from kelp.agent.assemble import CriAssembler
from kelp.agent.collect import PodLogCollector
from kelp.agent.enrich import Enricher
from kelp.agent.parse import Parser
from kelp.agent.pipeline import Pace, Pipeline, Stages
from kelp.agent.segmenter import Segmenter
from kelp.agent.spool import Spool
from kelp.base.settings import Agent
from kelp.wire.segment import Segment, decode_segment
from tests.agent.spool.faults import FullDisk
from tests.kubelet import ContainerLog, Kubelet, cri_line


class FakeClock:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def now_ns(self) -> int:
        return int(self.seconds * 1e9)

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


@dataclass
class Node:
    """A pods folder, and an agent's reading half over it."""

    path: Path
    pace: Pace = field(default_factory=lambda: Pace(100_000, 0.5, 0.25))
    max_bytes: int = 1 << 30
    clock: FakeClock = field(default_factory=FakeClock)
    disk: FullDisk = field(default_factory=FullDisk)
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)

    def __post_init__(self) -> None:
        self.kubelet = Kubelet(self.path / "pods")
        self.start()

    def start(self) -> None:
        self.spool = Spool(
            self.path / "spool", max_bytes=self.max_bytes, disk=self.disk, registry=self.registry
        )
        settings = Agent(pods_dir=str(self.path / "pods"), node="n1", scan_interval_s=0.0)
        self.collector = PodLogCollector(
            settings, self.clock, self.spool.checkpoints("collect"), self.registry
        )
        assembler = CriAssembler(1 << 20, 5.0, self.spool.checkpoints("assemble"))
        parser = Parser(settings, self.spool.checkpoints("parse"))
        self.pipeline = Pipeline(
            Stages(self.collector, assembler, parser, Enricher().log_batch),
            self.spool,
            Segmenter(self.spool.agent_id, "n1"),
            self.pace,
            self.clock,
            self.registry,
        )

    def restart(self) -> None:
        """As after a kill: what is not committed is gone."""
        self.collector.close()
        self.spool.close()
        self.registry = CollectorRegistry()
        self.start()

    def run(self, seconds: float) -> None:
        """Let so much time pass, in the steps that the pipeline asks for."""
        end = self.clock.seconds + seconds
        while self.clock.seconds < end:
            self.clock.seconds += max(self.pipeline.step(), 0.001)

    def shipped(self) -> list[Segment]:
        found = []
        while parcel := self.spool.next(0):
            assert parcel.records == decode_segment(parcel.data).header.records
            found.append(decode_segment(parcel.data))
            self.spool.acknowledge(parcel.seq)
        return found

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"kelp_agent_{name}", labels)


def bodies(segments: list[Segment]) -> list[bytes]:
    return [b for s in segments for batch in s.batches for b in batch.column("body").to_pylist()]


def expected(log: ContainerLog) -> list[bytes]:
    return [line.split(b" ", 3)[3] for line in bytes(log.written).splitlines()]


def test_a_segment_closes_by_age(tmp_path):
    node = Node(tmp_path)
    log = node.kubelet.start()
    log.lines(10)
    node.run(0.4)
    assert node.spool.waiting == 0
    node.run(0.4)
    segments = node.shipped()
    assert len(segments) == 1
    assert bodies(segments) == expected(log)
    header = segments[0].header
    assert (header.agent_id, header.seq, header.node) == (node.spool.agent_id, 1, "n1")
    assert header.created_ns <= node.clock.now_ns()
    assert header.body_bytes == sum(map(len, expected(log)))
    assert [s["pod"] for s in header.streams] == ["web-0"]
    assert [f.path for f in header.files] == [str(log.live)]
    assert node.value("segments_closed_total", reason="age") == 1


def test_a_segment_closes_by_size_before_its_age(tmp_path):
    node = Node(tmp_path, Pace(segment_bytes=5_000, flush_interval_s=60.0, poll_interval_s=0.25))
    log = node.kubelet.start()
    log.lines(200)
    node.run(0.5)
    segments = node.shipped()
    assert bodies(segments) == expected(log)
    assert node.value("segments_closed_total", reason="size") == len(segments)


def test_batches_of_one_segment_are_joined(tmp_path):
    node = Node(tmp_path)
    log = node.kubelet.start()
    log.lines(3)
    node.run(0.2)
    log.lines(3)
    node.run(0.6)
    segments = node.shipped()
    assert [len(s.batches) for s in segments] == [1]
    assert bodies(segments) == expected(log)


def test_an_idle_node_writes_nothing(tmp_path):
    node = Node(tmp_path)
    node.kubelet.start().lines(1)
    node.run(2)
    node.shipped()
    node.run(1)
    before = sorted((p, p.stat().st_mtime_ns) for p in (tmp_path / "spool").rglob("*"))
    node.run(30)
    assert sorted((p, p.stat().st_mtime_ns) for p in (tmp_path / "spool").rglob("*")) == before


def test_after_a_kill_every_line_comes_once(tmp_path):
    node = Node(tmp_path)
    log = node.kubelet.start()
    segments = []
    for i in range(10):
        log.lines(5)
        node.run(0.3 + 0.1 * i)
        if i % 2:
            node.restart()
        segments += node.shipped()
    node.run(1)
    segments += node.shipped()
    assert bodies(segments) == expected(log)
    assert [s.header.seq for s in segments] == list(range(1, len(segments) + 1))


def test_a_pending_fragment_survives_a_kill(tmp_path):
    node = Node(tmp_path)
    log = node.kubelet.start()
    log.write(cri_line(1, "first", tag="P"))
    node.run(1)
    assert bodies(node.shipped()) == []
    node.restart()
    log.write(cri_line(2, "last"))
    node.run(1)
    assert bodies(node.shipped()) == [b"seq=1 firstseq=2 last"]


def test_a_fragment_whose_rest_never_comes_is_given_out(tmp_path):
    node = Node(tmp_path)
    log = node.kubelet.start()
    log.write(cri_line(1, "alone", tag="P"))
    node.run(4)
    assert bodies(node.shipped()) == []
    node.run(4)
    assert bodies(node.shipped()) == [b"seq=1 alone"]


def test_a_stop_commits_what_was_read(tmp_path):
    node = Node(tmp_path, Pace(1 << 20, 60.0, 0.25))
    log = node.kubelet.start()
    log.lines(10)
    node.run(1)
    assert node.spool.waiting == 0
    node.pipeline.finish()
    assert bodies(node.shipped()) == expected(log)
    assert node.value("segments_closed_total", reason="stop") == 1


@pytest.mark.parametrize("state", ["full", "disk_full"])
def test_while_the_spool_cannot_take_more_nothing_is_read_and_nothing_lost(tmp_path, state):
    node = Node(tmp_path, max_bytes=8192)
    log = node.kubelet.start()
    log.lines(10)
    node.run(1)
    if state == "full":
        for _ in range(3):
            log.lines(10)
            node.run(1)
    else:
        node.disk.full = True
        log.lines(10)
        node.run(1)
    assert node.pipeline.state == state
    assert node.value("blocked", reason=state) == 1
    read = node.value("read_bytes_total")
    log.lines(100)
    node.run(10)
    assert node.value("read_bytes_total") == read
    assert node.clock.seconds - node.pipeline.beat < 5  # it waits, and lives
    # What is rotated away meanwhile, and deleted, is still read: it was opened in time.
    rotated = log.rotate("20261120-101112")
    node.run(5)
    rotated.unlink()
    log.lines(10)
    node.disk.full = False
    segments = []
    for _ in range(10):
        segments += node.shipped()
        node.run(3)
    segments += node.shipped()
    assert node.pipeline.state == ""
    assert node.value("blocked", reason=state) == 0
    assert bodies(segments) == expected(log)


def test_waiting_is_told_once_a_change(tmp_path, caplog):
    node = Node(tmp_path)
    node.disk.full = True
    node.kubelet.start().lines(1)
    node.run(30)
    node.disk.full = False
    node.run(3)
    told = [r.getMessage() for r in caplog.records if r.name == "kelp.agent.pipeline"]
    assert len([t for t in told if t.startswith("reading waits")]) == 1


def test_losses_travel_in_a_segment_of_their_own_where_there_are_no_records(tmp_path):
    node = Node(tmp_path)
    log = node.kubelet.start()
    log.lines(10)
    node.run(1)
    node.shipped()
    node.collector.close()
    node.spool.close()
    # While the agent is away, a whole file is written, rotated and deleted.
    log.lines(50)
    log.rotate("20261120-101112").unlink()
    node.registry = CollectorRegistry()
    node.start()
    node.run(15)
    segments = node.shipped()
    losses = [loss for s in segments for loss in s.header.losses]
    assert losses
    assert {loss.labels["pod"] for loss in losses} == {"web-0"}


def test_a_long_segment_is_divided(tmp_path, monkeypatch):
    monkeypatch.setattr("kelp.agent.segmenter.MAX_BODY_BYTES", 300)
    node = Node(tmp_path)
    log = node.kubelet.start()
    log.lines(20)
    log.write(cri_line(99, "y" * 1000))
    log.number = 100
    log.lines(3)
    node.run(1)
    segments = node.shipped()
    assert bodies(segments) == expected(log)
    assert len(segments) > 5
    assert all(s.header.body_bytes <= 300 or s.header.records == 1 for s in segments)
    assert [bool(s.header.files) for s in segments] == [True] + [False] * (len(segments) - 1)
    node.restart()
    node.run(1)
    assert node.shipped() == []
