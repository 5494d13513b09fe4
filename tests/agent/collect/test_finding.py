"""How files are found, and how soon; and what is no log."""

from __future__ import annotations

import os
import re
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from kelp.agent.collect import PodLogCollector
from kelp.base.clock import SystemClock
from kelp.base.settings import Agent
from tests.agent.collect.harness import Pipeline
from tests.kubelet import Kubelet
from tests.waiting import wait_until


@pytest.fixture
def collector(kubelet: Kubelet) -> Iterator[PodLogCollector]:
    settings = Agent(pods_dir=str(kubelet.root), scan_interval_s=3600.0)
    collector = PodLogCollector(settings, SystemClock(), {})
    yield collector
    collector.close()


def read_within(collector: PodLogCollector, size: int, timeout_s: float) -> None:
    """Wait as the pipeline does, but by events alone."""
    left = [size]

    def read() -> bool:
        collector.wait(timeout_s)
        batch = collector.poll()
        left[0] -= 0 if batch is None else len(batch.data)
        return left[0] <= 0

    wait_until(read, timeout_s)


def test_a_new_pod_is_seen_at_once(kubelet: Kubelet, collector: PodLogCollector) -> None:
    assert collector.poll() is None
    app = kubelet.start()
    app.lines(1)
    read_within(collector, len(app.written), 0.5)
    app.close()


def test_an_idle_file_wakes_the_collector(kubelet: Kubelet, collector: PodLogCollector) -> None:
    app = kubelet.start()
    app.lines(1)
    os.utime(app.live, (0, 0))
    pipeline = Pipeline(kubelet.root, scan_interval_s=3600.0)
    pipeline.settle()
    for _ in range(3):
        app.lines(1)
        pipeline.collector.wait(60.0)
        assert pipeline.take() == len(app.written) // app.number
        pipeline.settle()
    pipeline.collector.close()
    app.close()


def test_a_busy_file_sends_no_event_for_each_line(
    kubelet: Kubelet, collector: PodLogCollector
) -> None:
    app = kubelet.start()
    app.lines(1)
    assert collector.poll() is not None
    collector.poll()
    start = time.monotonic()
    app.lines(100)
    collector.wait(0.05)
    assert time.monotonic() - start >= 0.05
    app.close()


def test_wake_ends_a_wait(collector: PodLogCollector) -> None:
    collector.poll()
    waiter = threading.Thread(target=collector.wait, args=(60.0,))
    waiter.start()
    collector.wake()
    waiter.join(10.0)
    assert not waiter.is_alive()
    collector.wake()
    collector.wait(60.0)  # a wake before the wait counts too


def test_symlinked_folders_are_followed(tmp_path: Path) -> None:
    real = Kubelet(tmp_path / "elsewhere")
    app = real.start()
    app.lines(3)
    pods = tmp_path / "pods"
    pods.mkdir()
    (pods / app.folder.parent.name).symlink_to(app.folder.parent)
    (tmp_path / "link").symlink_to(pods)
    pipeline = Pipeline(tmp_path / "link")
    pipeline.run()
    app.rotate("20261118-000001")
    app.lines(2)
    pipeline.run()
    assert bytes(app.written) == pipeline.data()
    expected = f"{tmp_path}/link/{app.folder.parent.name}/app/0.log"
    assert {expected} == {f.labels["filename"] for f in pipeline.files}
    pipeline.collector.close()
    app.close()


def test_a_symlinked_file_is_followed(tmp_path: Path) -> None:
    """As dockershim had it: N.log is a link to the runtime's own file."""
    target = tmp_path / "id-json.log"
    target.write_bytes(b"one\n")
    folder = Kubelet(tmp_path / "pods").pod_folder() / "app"
    folder.mkdir(parents=True)
    (folder / "0.log").symlink_to(target)
    pipeline = Pipeline(tmp_path / "pods")
    pipeline.run()
    assert pipeline.data() == b"one\n"
    pipeline.collector.close()


def test_a_pods_folder_that_comes_later(tmp_path: Path) -> None:
    pipeline = Pipeline(tmp_path / "pods")
    pipeline.run()
    app = Kubelet(tmp_path / "pods").start()
    app.lines(3)
    pipeline.run()
    assert bytes(app.written) == pipeline.data()
    pipeline.collector.close()
    app.close()


def test_a_pods_folder_that_is_away_for_a_while_is_no_loss(tmp_path: Path) -> None:
    app = Kubelet(tmp_path / "pods").start()
    app.lines(3)
    pipeline = Pipeline(tmp_path / "pods")
    pipeline.run()
    (tmp_path / "pods").rename(tmp_path / "unmounted")
    pipeline.run()
    pipeline.kill()
    pipeline.run()
    (tmp_path / "unmounted").rename(tmp_path / "pods")
    app.lines(2)
    pipeline.run()
    assert bytes(app.written) == pipeline.data()
    assert not pipeline.losses
    pipeline.collector.close()
    app.close()


def test_an_empty_folder_in_its_place_is_no_loss(tmp_path: Path) -> None:
    """Started before the node's disk is mounted: nothing is there, and nothing is lost."""
    app = Kubelet(tmp_path / "pods").start()
    app.lines(3)
    pipeline = Pipeline(tmp_path / "pods")
    pipeline.run()
    pipeline.collector.close()
    (tmp_path / "pods").rename(tmp_path / "unmounted")
    (tmp_path / "pods").mkdir()
    pipeline.start()
    pipeline.run()
    assert pipeline.checkpoints
    assert not pipeline.losses
    pipeline.collector.close()
    app.close()


def test_what_is_no_log_is_left_alone_and_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = tmp_path / "pods"
    app = Kubelet(root).start()
    app.lines(1)
    (root / "lost+found").mkdir()
    (root / "a_b_c").write_bytes(b"a file, not a folder\n")
    (root / os.fsdecode(b"a_b_\xff")).mkdir()
    (app.folder.parent / "stray.log").write_bytes(b"not in a container's folder\n")
    (app.folder / "notes.txt").write_bytes(b"no log\n")
    (app.folder / "1.log").mkdir()
    os.mkfifo(app.folder / "2.log")
    registry = CollectorRegistry()
    pipeline = Pipeline(root)
    pipeline.collector.close()
    pipeline.collector = PodLogCollector(pipeline.settings, pipeline.clock, {}, registry)
    pipeline.run()
    pipeline.run()
    assert bytes(app.written) == pipeline.data()
    assert (
        registry.get_sample_value("kelp_agent_ignored_paths_total", {"reason": "pod_folder"}) == 3
    )
    assert len([r for r in caplog.records if "NAMESPACE_POD_UID" in r.message]) == 3
    pipeline.collector.close()
    app.close()


def test_the_same_folder_made_anew_is_watched_anew(kubelet: Kubelet) -> None:
    pipeline = Pipeline(kubelet.root)
    pipeline.run()
    uid = "4af2f5b1e0c39ac2f2e1d6e3b7a01f55"  # of a static pod: no other comes again
    for turn in range(3):
        app = kubelet.start(uid=uid)
        app.number = 10 * turn
        app.lines(2)
        pipeline.take()
        app.close()
        shutil.rmtree(app.folder.parent)
        pipeline.take()
        pipeline.clock.sleep(2.0)
    pipeline.run()
    assert re.findall(rb"seq=(\d+)", pipeline.data()) == [b"0", b"1", b"10", b"11", b"20", b"21"]
    pipeline.collector.close()
