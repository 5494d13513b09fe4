"""All node sources through the real pipeline and spool: each record once, over kills."""

from __future__ import annotations

import os
from pathlib import Path

from prometheus_client import CollectorRegistry

from kelp.agent.assemble import CriAssembler
from kelp.agent.collect import PodLogCollector
from kelp.agent.enrich import Enricher
from kelp.agent.parse import Parser
from kelp.agent.pipeline import Pace, Pipeline, Stages
from kelp.agent.segmenter import Segmenter
from kelp.agent.sources import node_sources
from kelp.agent.spool import Spool
from kelp.base.settings import Agent, File, Journal, Kmsg
from kelp.wire.segment import decode_segment
from tests.agent.collect.harness import TurnableClock
from tests.agent.collect.test_journal import Node as JournalNode
from tests.agent.collect.test_journal import entry
from tests.kubelet import Kubelet
from tests.waiting import wait_until


class Node:
    """A node with every source; `records` is what was shipped."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "journal").mkdir()
        self.journal = JournalNode(folder / "journal")
        self.kubelet = Kubelet(folder / "pods")
        self.kmsg = os.pipe2(os.O_DIRECT | os.O_NONBLOCK)
        self.settings = Agent(
            node="n1",
            pods_dir=str(folder / "pods"),
            scan_interval_s=0.0,
            files=[File(path=str(folder / "*.log"))],
            zone="UTC",
            journal=Journal(
                command=self.journal.settings.journal.command, directory=str(folder / "journal")
            ),
            kmsg=Kmsg(path=f"/proc/self/fd/{self.kmsg[0]}"),
        )
        self.records: list[dict[str, object]] = []
        self.start()

    def start(self) -> None:
        clock, registry = TurnableClock(), CollectorRegistry()
        self.spool = Spool(self.folder / "spool", max_bytes=1 << 30, registry=registry)
        pods = PodLogCollector(self.settings, clock, self.spool.checkpoints("collect"), registry)
        self.others = node_sources(self.settings, clock, self.spool.checkpoints, pods.metrics)
        assembler = CriAssembler(1 << 20, 5.0, self.spool.checkpoints("assemble"))
        parser = Parser(self.settings, self.spool.checkpoints("parse"))
        stages = Stages(pods, assembler, parser, Enricher().log_batch, self.others)
        segmenter = Segmenter(self.spool.agent_id, "n1")
        self.pods = pods
        self.pipeline = Pipeline(
            stages, self.spool, segmenter, Pace(1 << 20, 0.0, 0.05), clock, registry
        )

    def take_until(self, count: int) -> None:
        def enough() -> bool:
            self.pipeline.step()
            while parcel := self.spool.next(0):
                segment = decode_segment(parcel.data)
                labels = {s.id: s.labels for s in segment_streams(segment)}
                for batch in segment.batches:
                    for row in batch.to_pylist():
                        self.records.append({**row, "labels": labels[row["stream_id"]]})
                self.spool.acknowledge(parcel.seq)
            return len(self.records) >= count

        wait_until(enough, 20)

    def read_without_commit(self) -> None:
        """As far as a kill lets it come."""
        for source in [*self.pipeline._sources]:
            source.read()

    def kill(self) -> None:
        self.pods.close()
        for source in self.others:
            source.collector.close()
        self.spool.close()
        self.start()


def segment_streams(segment):
    from kelp.model.stream import Stream

    return [Stream(labels) for labels in segment.header.streams]


def test_each_source_gives_each_record_once(tmp_path):
    node = Node(tmp_path)
    log = node.kubelet.start()
    log.lines(3)
    node.journal.write(entry(0), entry(1, PRIORITY=b"4"))
    (tmp_path / "kubelet.log").write_bytes(b'E1120 10:11:12.000000   1 a.go:1] "bad"\nplain\n')
    kernel = [b"3,7,1000,-;error", b"6,8,2000,-;fine"]
    for record in kernel:
        os.write(node.kmsg[1], record + b"\n")
    node.take_until(9)
    node.read_without_commit()
    node.kill()
    node.journal.write(entry(2))
    node.read_without_commit()
    node.kill()
    for record in [*kernel, b"6,9,3000,-;new"]:
        os.write(node.kmsg[1], record + b"\n")
    with (tmp_path / "kubelet.log").open("ab") as out:
        out.write(b"last\n")
    node.take_until(12)
    told = [(r["labels"]["dataset"], r["body"], r["severity_number"]) for r in node.records]
    expected = [
        ("kernel", b"error", 17), ("kernel", b"fine", 9), ("kernel", b"new", 9),
        ("node", b'E1120 10:11:12.000000   1 a.go:1] "bad"', 17), ("node", b"last", 0),
        ("node", b"line 0", 0), ("node", b"line 1", 13), ("node", b"line 2", 0),
        ("node", b"plain", 0),
    ]  # fmt: skip
    assert expected == sorted(t for t in told if t[0] != "app")
    assert 3 == sum(t[0] == "app" for t in told)
    keys = [(r["stream_id"], r["position"]) for r in node.records]
    assert len(keys) == len(set(keys))
    assert not any("stream" in r["labels"] for r in node.records if r["labels"]["dataset"] != "app")
    node.pods.close()
    for source in node.others:
        source.collector.close()
    node.spool.close()
