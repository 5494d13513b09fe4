"""Sources elsewhere through the real pipeline and spool: each record once, over kills."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY, CollectorRegistry

from kelp.agent.assemble import CriAssembler
from kelp.agent.assemble.traces import RecordAssembler
from kelp.agent.collect import PodLogCollector
from kelp.agent.elsewhere import sources_elsewhere
from kelp.agent.enrich import Enricher
from kelp.agent.parse import Parser
from kelp.agent.pipeline import Pace, Pipeline, Stages
from kelp.agent.segmenter import Segmenter
from kelp.agent.spool import Spool
from kelp.base.settings import Agent, NodeLogs
from kelp.kube.errors import AccessError
from kelp.model.stream import Stream
from kelp.wire.segment import decode_segment
from tests.agent.assemble.batches import Piece, raw_batch
from tests.agent.collect.harness import TurnableClock
from tests.docker import DockerLog, flat_link
from tests.doubles.kube_api import KubeApi, Written
from tests.kubelet import UID
from tests.waiting import wait_until


class Scene:
    """An agent's reading half; `records` is what was shipped."""

    def __init__(self, folder: Path, api: KubeApi) -> None:
        self.folder = folder
        self.settings = Agent(
            node="agent",
            pods_dir=str(folder / "pods"),
            containers_dir=str(folder / "containers"),
            scan_interval_s=0.0,
            node_logs=NodeLogs(
                enabled=True,
                units=["kubelet"],
                poll_interval_s=1.0,
                kubeconfig=str(api.kubeconfig(folder / "kubeconfig")),
            ),
        )
        (folder / "pods").mkdir()
        self.records: list[dict[str, Any]] = []
        self.start()

    def start(self) -> None:
        self.clock, registry = TurnableClock(), CollectorRegistry()
        self.spool = Spool(self.folder / "spool", max_bytes=1 << 30, registry=registry)
        stored = self.spool.checkpoints
        self.pods = PodLogCollector(self.settings, self.clock, stored("collect"), registry)
        self.others = sources_elsewhere(self.settings, self.clock, stored, self.pods.metrics)
        assembler = RecordAssembler(self.settings, stored("assemble"))
        parser = Parser(self.settings, stored("parse"))
        stages = Stages(self.pods, assembler, parser, Enricher().log_batch, self.others)
        self.pipeline = Pipeline(
            stages, self.spool, Segmenter(self.spool.agent_id, "agent"), Pace(1 << 20, 0.0, 0.05),
            self.clock, registry,
        )  # fmt: skip

    def take_until(self, count: int) -> None:
        def enough() -> bool:
            self.clock.sleep(0.2)
            self.pipeline.step()
            while parcel := self.spool.next(0):
                segment = decode_segment(parcel.data)
                labels = {s.id: s.labels for s in map(Stream, segment.header.streams)}
                for batch in segment.batches:
                    for row in batch.to_pylist():
                        self.records.append({**row, "labels": labels[row["stream_id"]]})
                self.spool.acknowledge(parcel.seq)
            return len(self.records) >= count

        wait_until(enough, 20)

    def read_without_commit(self) -> None:
        for _ in range(5):
            self.clock.sleep(2.0)
            for source in self.pipeline._sources:
                source.read()

    def end(self) -> None:
        self.pods.close()
        for source in self.others:
            source.collector.close()
        self.spool.close()

    def bodies(self, dataset: str) -> list[str]:
        rows = [r for r in self.records if r["labels"]["dataset"] == dataset]
        rows.sort(key=lambda r: r["position"])
        assert len({(r["stream_id"], r["position"]) for r in rows}) == len(rows)
        return [r["body"].decode() for r in rows]


@pytest.fixture
def api() -> Iterator[KubeApi]:
    with KubeApi() as double:
        yield double


def test_each_source_gives_each_record_once(tmp_path, api):
    now_us = time.time_ns() // 1000
    docker = DockerLog(tmp_path / "docker")
    docker.note()
    flat_link(tmp_path / "containers", docker.live)
    scene = Scene(tmp_path, api)
    written = 0
    for turn in range(4):
        docker.lines(3)
        for n in range(3):
            entry = Written(now_us + turn * 1000 + n, "kubelet.service", f"line {turn} {n}")
            api.node("virtual-1").write(entry)
        written += 6
        if turn % 2:
            scene.read_without_commit()
            scene.end()
            scene.start()
            docker.rotate(compress=True)
        scene.take_until(written)
    scene.end()
    assert [f"seq={n}" for n in range(12)] == scene.bodies("app")
    assert [f"line {t} {n}" for t in range(4) for n in range(3)] == scene.bodies("node")
    labels = {json.dumps(r["labels"], sort_keys=True) for r in scene.records}
    node = {"dataset": "node", "node": "virtual-1", "unit": "kubelet.service"}
    (app,) = (json.loads(text) for text in labels if json.loads(text)["dataset"] == "app")
    assert json.dumps(node, sort_keys=True) in labels
    assert ("shop", "web-0", UID, "app", "stdout") == tuple(
        app[n] for n in ("namespace", "pod", "pod_uid", "container", "stream")
    )


def test_nothing_elsewhere_where_nothing_is_wanted():
    agent = Agent(containers_dir="")
    metrics = None
    assert [] == sources_elsewhere(agent, TurnableClock(), lambda _: {}, metrics)  # type: ignore


def test_an_api_server_that_is_wanted_has_to_be_named(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)
    agent = Agent(containers_dir="", node_logs=NodeLogs(enabled=True))
    with pytest.raises(AccessError, match="name a kubeconfig"):
        sources_elsewhere(agent, TurnableClock(), lambda _: {}, None)  # type: ignore[arg-type]


def test_what_waits_in_several_assemblers_is_added_up():
    def waiting() -> float:
        return REGISTRY.get_sample_value("kelp_agent_partial_pending_records") or 0.0

    first = b"2026-11-18T00:00:00.000000000Z stdout P first\n"
    before = waiting()
    assemblers = [CriAssembler(1 << 20, 5.0, {}) for _ in range(2)]
    for assembler in assemblers:
        assembler.assemble(raw_batch([Piece("a", 0, first)]))
    assert before + 2 == waiting()
    for assembler in assemblers:
        assembler.expire(1 << 62)
    assert before == waiting()
