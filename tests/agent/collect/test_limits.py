"""Descriptors, held disk space, watches, label values: each has an end, and what then happens."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inotify_simple import INotify
from prometheus_client import CollectorRegistry

from kelp.agent.collect import watch
from kelp.agent.collect.batch import fair_shares
from kelp.agent.collect.logfile import MIN_READ_BYTES
from kelp.agent.collect.metrics import MAX_CONTAINERS, CollectMetrics
from kelp.agent.collect.watch import Watcher
from kelp.model.loss import Loss
from tests.agent.collect.harness import Pipeline
from tests.kubelet import ContainerLog, Kubelet


@pytest.fixture
def apps(kubelet: Kubelet) -> Iterator[list[ContainerLog]]:
    apps = [kubelet.start(f"web-{i}") for i in range(30)]
    yield apps
    for app in apps:
        app.close()


def open_logs(root: Path) -> int:
    links = [p for p in Path("/proc/self/fd").iterdir() if p.is_symlink()]
    return sum(p.readlink().is_relative_to(root) for p in links if p.is_symlink())


@pytest.mark.parametrize("inotify", [True, False])
def test_more_files_than_descriptors(
    apps: list[ContainerLog], kubelet: Kubelet, inotify: bool
) -> None:
    pipeline = Pipeline(kubelet.root, inotify=inotify, max_open_files=7)
    for turn in range(3):
        for app in apps[turn::2]:
            app.lines(5)
            if turn == 1:
                app.rotate("20261118-000001")
                app.lines(1)
        pipeline.run()
        assert open_logs(kubelet.root) <= 7 + len(apps)  # the apps' own
    written = {app.folder.parent.name: bytes(app.written) for app in apps if app.written}
    got = {f"shop_{k.split('/')[1]}_{k.split('/')[2]}": v for k, v in pipeline.kept.items() if v}
    assert written == got
    assert not pipeline.losses
    pipeline.collector.close()


def test_deleted_files_hold_no_more_disk_than_they_may(tmp_path: Path) -> None:
    kubelet = Kubelet(tmp_path / "pods")
    app = kubelet.start()
    app.lines(1)
    pipeline = Pipeline(kubelet.root, max_held_bytes=5000)
    pipeline.run()
    sizes = []
    for second in range(6):  # reading waits, as for a spool that is full
        app.lines(20)
        pipeline.collector.discover()
        rotated = app.rotate(f"20261118-00000{second}")
        sizes.append(rotated.stat().st_size)
        rotated.unlink()
        pipeline.collector.discover()
    app.lines(1)
    pipeline.run()
    assert [loss.reason for loss in pipeline.losses] == ["rotated_away"] * 4
    assert len(app.written) == len(pipeline.data()) + pipeline.lost_bytes()
    assert all(0 < loss.start_ns <= loss.end_ns for loss in pipeline.losses)
    pipeline.collector.close()
    app.close()


def test_no_inotify_instance_left_means_scanning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def none_left(*, nonblocking: bool) -> INotify:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(watch, "INotify", none_left)
    kubelet = Kubelet(tmp_path / "pods")
    pipeline = Pipeline(kubelet.root)
    app = kubelet.start()
    app.lines(3)
    pipeline.run()
    assert bytes(app.written) == pipeline.data()
    assert [r.limit for r in caplog.records if hasattr(r, "limit")] == ["max_user_instances"]
    pipeline.collector.wait(0.0)
    pipeline.collector.close()
    app.close()


class FewWatches(INotify):
    """A kernel that has three watches to give."""

    given = 0

    def add_watch(self, path: str, mask: int) -> int:
        self.given += 1
        if self.given > 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return int(super().add_watch(path, mask))


def test_no_watches_left_means_scanning(
    apps: list[ContainerLog],
    kubelet: Kubelet,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(watch, "INotify", FewWatches)
    pipeline = Pipeline(kubelet.root)
    for _ in range(3):
        for app in apps:
            app.lines(2)
        pipeline.run()
    assert sorted(bytes(a.written) for a in apps) == sorted(pipeline.kept.values())
    assert [r.limit for r in caplog.records if hasattr(r, "limit")] == ["max_user_watches"]
    pipeline.collector.close()


def test_a_queue_that_overflowed_means_a_scan(tmp_path: Path) -> None:
    watcher: Watcher[str] = Watcher(CollectMetrics(CollectorRegistry()))
    assert watcher.watch_folder(str(tmp_path), "folder")
    limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    if limit > 20_000:
        pytest.skip(f"{limit} events fit into the queue here")
    for i in range(limit // 2 + 10):
        path = tmp_path / str(i)
        path.touch()
        path.unlink()
    assert watcher.read() == (["folder"], True)
    watcher.close()


def test_containers_beyond_the_limit_share_one_label_set() -> None:
    registry = CollectorRegistry()
    metrics = CollectMetrics(registry)
    for i in range(MAX_CONTAINERS + 5):
        labels = {"namespace": "n", "pod": f"p{i}", "container": "c"}
        metrics.count_loss(
            Loss(labels=labels, position=0, size_bytes=1, start_ns=0, end_ns=0, reason="deleted")
        )
    families = {f.name: f for f in registry.collect()}
    samples = [s for s in families["kelp_agent_lost_bytes"].samples if s.name.endswith("_total")]
    assert len(samples) == MAX_CONTAINERS + 1
    other = [s.value for s in samples if s.labels["pod"] == "other"]
    assert other == [5]


@given(
    st.lists(st.integers(1, 10 * MIN_READ_BYTES), min_size=1, max_size=200),
    st.integers(1, 100 * MIN_READ_BYTES),
)
def test_shares_are_fair(wanted: list[int], budget: int) -> None:
    shares = fair_shares(wanted, budget)
    assert sum(shares) <= budget + len(wanted)
    assert all(0 <= s <= w for s, w in zip(shares, wanted, strict=True))
    assert shares[0] > 0
    served = [(s, w) for s, w in zip(shares, wanted, strict=True) if s]
    least = min((s for s, w in served if s < w), default=None)
    if least is not None:
        assert all(s <= least + len(wanted) for s, _ in served)
