"""Containers that only /var/log/containers leads to, and those that the pods folder has already."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from kelp.agent.collect import LinkedLogCollector, PodLogCollector
from kelp.agent.collect.metrics import CollectMetrics
from kelp.base.clock import SystemClock
from kelp.base.settings import Agent
from tests.agent.collect.harness import Pipeline
from tests.docker import ID, DockerLog, flat_link
from tests.kubelet import UID, Kubelet
from tests.waiting import wait_until


class Linked(Pipeline):
    """The pipeline over the links alone; beside it, `pods` counts what the pods folder gives."""

    def __init__(self, folder: Path, **settings: object) -> None:
        self.folder = folder
        super().__init__(folder / "pods", containers_dir=str(folder / "containers"), **settings)

    def start(self) -> None:
        super().start()
        self.collector.close()
        self.registry = CollectorRegistry()
        self.collector = LinkedLogCollector(  # type: ignore[assignment]
            self.settings, self.clock, dict(self.checkpoints), CollectMetrics(self.registry)
        )

    def _check_positions(self, losses) -> None:
        self.told = [(loss.labels, loss.size_bytes) for loss in losses]

    def labels(self) -> dict[str, str]:
        (labels,) = {tuple(f.labels.items()) for f in self.files}
        return dict(labels)


@pytest.fixture
def docker(tmp_path):
    return DockerLog(tmp_path / "docker")


@pytest.fixture
def linked(tmp_path):
    made = Linked(tmp_path)
    yield made
    made.collector.close()


def test_dockers_own_folder(tmp_path, docker, linked):
    docker.note()
    link = flat_link(tmp_path / "containers", docker.live)
    docker.lines(3)
    linked.run()
    for compress in (True, False):
        docker.lines(2)
        docker.rotate(compress=compress)
        docker.lines(2)
        linked.run()
    assert bytes(docker.written) == linked.data()
    assert {
        "dataset": "app",
        "namespace": "shop",
        "pod": "web-0",
        "pod_uid": UID,
        "container": "app",
        "restart": "3",
        "node": "node-1",
        "filename": str(link),
    } == linked.labels()


@pytest.mark.parametrize(
    "notes", [None, "", "{}", "[" * 100_000, '{"Config": 5}', '{"Config": {"Labels": null}}']
)
def test_without_dockers_notes_the_name_says_what_it_can(tmp_path, docker, linked, notes):
    if notes is not None:
        (docker.folder / "config.v2.json").write_text(notes)
    flat_link(tmp_path / "containers", docker.live, container="app-2")
    docker.lines(1)
    linked.run()
    labels = linked.labels()
    assert ("shop", "web-0", "app-2") == tuple(labels[n] for n in ("namespace", "pod", "container"))
    assert labels.keys().isdisjoint({"pod_uid", "restart"})


def test_kills_and_rotations(tmp_path, docker, linked):
    flat_link(tmp_path / "containers", docker.live)
    for number in range(5):
        docker.lines(3)
        linked.run()
        docker.lines(2)
        linked.take()
        linked.kill()
        docker.rotate(compress=number % 2 == 0)
        docker.lines(1)
    linked.run()
    assert bytes(docker.written) == linked.data()
    assert [] == linked.losses


def test_what_the_pods_folder_has_is_left_alone(tmp_path, docker, linked):
    app = Kubelet(tmp_path / "pods").start()
    app.lines(2)
    flat_link(tmp_path / "containers", app.live, id="1a" * 32)
    docker.lines(2)
    flat_link(tmp_path / "containers", docker.link_from(tmp_path / "pods", container="side"))
    linked.run()
    assert {} == linked.kept
    assert 0 == len(linked.collector._tree.pods)
    app.close()


def test_the_pods_folder_by_another_way(tmp_path, linked):
    """The link names the node's own path, the setting another one to the same folder."""
    app = Kubelet(tmp_path / "real").start()
    app.lines(2)
    (tmp_path / "pods").symlink_to(tmp_path / "real")
    flat_link(tmp_path / "containers", app.live)
    linked.run()
    assert {} == linked.kept
    app.close()


def test_another_pods_folder(tmp_path, linked):
    app = Kubelet(tmp_path / "elsewhere").start()
    app.lines(2)
    flat_link(tmp_path / "containers", app.live)
    linked.run()
    app.rotate("20261118-000001")
    app.lines(2)
    linked.kill()
    linked.run()
    later = app.after_crash()
    later.lines(1)
    flat_link(tmp_path / "containers", later.live, id="1a" * 32)
    linked.run()
    first, second = linked.kept.values()
    assert (bytes(app.written), bytes(later.written)) == (first, second)
    assert {"0", "1"} == {f.labels["restart"] for f in linked.files}
    assert {UID} == {f.labels["pod_uid"] for f in linked.files}
    later.close()


def test_another_pods_folder_with_dockers_files_behind(tmp_path, docker, linked):
    link = docker.link_from(tmp_path / "elsewhere")
    flat_link(tmp_path / "containers", link)
    docker.lines(3)
    linked.run()
    docker.rotate(compress=True)
    docker.lines(3)
    linked.run()
    assert bytes(docker.written) == linked.data()
    assert UID == linked.labels()["pod_uid"]


def test_a_container_whose_link_is_gone_is_read_as_long_as_its_folder_is_there(
    tmp_path, docker, linked
):
    link = flat_link(tmp_path / "containers", docker.live)
    docker.lines(2)
    linked.run()
    link.unlink()
    docker.lines(2)
    linked.run()
    assert bytes(docker.written) == linked.data()
    shutil.rmtree(docker.folder)
    linked.run()
    assert {} == linked.checkpoints
    assert {} == linked.collector._tree.pods


def test_a_container_that_vanished_while_nobody_looked(tmp_path, docker, linked):
    flat_link(tmp_path / "containers", docker.live)
    other = DockerLog(tmp_path / "docker", id="1a" * 32)
    flat_link(tmp_path / "containers", other.live, id="1a" * 32)
    docker.lines(2)
    linked.run()
    docker.lines(2)
    linked.collector.discover()
    linked.collector.close()
    shutil.rmtree(docker.folder)
    (tmp_path / "containers" / f"web-0_shop_app-{ID}.log").unlink()
    linked.start()
    linked.run()
    assert not any(ID in key for key in linked.checkpoints)


def test_a_link_that_leads_nowhere_is_looked_at_again(tmp_path, linked):
    flat_link(tmp_path / "containers", tmp_path / "docker" / ID / f"{ID}-json.log")
    linked.run()
    docker = DockerLog(tmp_path / "docker")
    docker.lines(2)
    linked.run()
    assert bytes(docker.written) == linked.data()


def test_what_is_no_link_of_the_kubelets(tmp_path, docker, linked):
    folder = tmp_path / "containers"
    folder.mkdir()
    (folder / "readme.txt").write_text("x")
    (folder / f"a_b_c-{ID}.log").write_text("a file, not a link\n")
    (folder / f"d_e_f-{ID}.log").symlink_to(f"d_e_f-{ID}.log")
    linked.run()
    assert {} == linked.kept
    labels = {"reason": "container_link"}
    assert 1.0 == linked.registry.get_sample_value("kelp_agent_ignored_paths_total", labels)


def test_no_such_folder(linked):
    linked.run()
    assert {} == linked.kept


def test_a_new_container_is_seen_at_once(tmp_path, docker):
    (tmp_path / "containers").mkdir()
    settings = Agent(
        pods_dir=str(tmp_path / "pods"),
        containers_dir=str(tmp_path / "containers"),
        scan_interval_s=3600.0,
    )
    metrics = CollectMetrics(CollectorRegistry())
    collector = LinkedLogCollector(settings, SystemClock(), {}, metrics)
    assert collector.poll() is None
    docker.lines(2)
    flat_link(tmp_path / "containers", docker.live)
    wait_until(lambda: collector.poll() is not None)
    collector.close()


@pytest.mark.parametrize(
    ("pod", "uid", "container"),
    [
        ("etcd-cp-1", "4af2f5b1e0c39ac2f2e1d6e3b7a01f55", "etcd"),  # static
        ("web-0", UID, "init-db"),  # init container
        ("web-0", UID, "debugger-x7k2p"),  # ephemeral
    ],
)
def test_static_init_and_ephemeral_containers(tmp_path, pod, uid, container):
    app = Kubelet(tmp_path / "pods").start(pod, container, uid=uid)
    app.lines(3)
    pipeline = Pipeline(tmp_path / "pods")
    pipeline.run()
    later = app.after_crash()
    later.lines(2)
    pipeline.run()
    keys = [f"shop/{pod}/{uid}/{container}/{n}" for n in (0, 1)]
    assert [bytes(app.written), bytes(later.written)] == [pipeline.data(k) for k in keys]
    labels = {(f.labels["pod"], f.labels["pod_uid"], f.labels["container"]) for f in pipeline.files}
    assert {(pod, uid, container)} == labels
    pipeline.collector.close()
    later.close()


def test_containers_of_one_pod_in_their_order(tmp_path):
    """An init container, the app behind it, and a debugger that comes later: each for itself."""
    kubelet = Kubelet(tmp_path / "pods")
    pipeline = Pipeline(tmp_path / "pods")
    logs = []
    for name in ("init-db", "app", "debugger-x7k2p"):
        log = kubelet.start(container=name)
        log.lines(3)
        pipeline.run()
        logs.append(log)
    for log, name in zip(logs, ("init-db", "app", "debugger-x7k2p"), strict=True):
        assert bytes(log.written) == pipeline.data(f"shop/web-0/{UID}/{name}/0")
        log.close()
    assert PodLogCollector is type(pipeline.collector)
    pipeline.collector.close()
