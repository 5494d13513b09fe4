"""Docker's logs behind links: through rotations and kills each byte once, in order."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kelp.agent.collect.linked import name_behind
from tests.agent.collect.harness import Pipeline
from tests.docker import DockerLog
from tests.kubelet import UID

KEY = f"shop/web-0/{UID}/app/0"


class Node:
    def __init__(self, folder: Path, **settings: object) -> None:
        self.log = DockerLog(folder / "docker")
        self.link = self.log.link_from(folder / "pods")
        self.pipeline = Pipeline(folder / "pods", **settings)

    def check(self) -> None:
        assert bytes(self.log.written) == self.pipeline.data(KEY)
        assert [] == self.pipeline.losses
        self.pipeline.collector.close()


@pytest.fixture
def node(tmp_path):
    return Node(tmp_path)


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("inotify", [False, True])
def test_a_rotation_behind_the_link_is_followed(tmp_path, inotify, compress):
    node = Node(tmp_path, inotify=inotify, scan_interval_s=5.0)
    for _ in range(4):
        node.log.lines(5)
        node.pipeline.run()
        node.log.lines(3)  # unread when the file is renamed
        node.log.rotate(compress=compress)
    node.log.lines(2)
    node.pipeline.run()
    node.check()


def test_a_rotation_is_seen_at_once(tmp_path):
    node = Node(tmp_path, scan_interval_s=3600.0)
    node.log.lines(2)
    node.pipeline.take()
    node.log.rotate()
    node.log.lines(3)
    node.pipeline.collector.wait(5.0)
    node.pipeline.run()
    node.check()


def test_what_was_rotated_while_nobody_looked_is_read_from_its_beginning(node):
    for compress in (True, True, False):
        node.log.lines(4)
        node.log.rotate(compress=compress)
    node.log.lines(1)
    node.pipeline.run()
    node.check()
    paths = {f.path for f in node.pipeline.files}
    assert str(node.link) in paths
    assert f"{node.log.live}.1" in paths


@pytest.mark.parametrize("compress", [False, True])
def test_a_kill_in_between_loses_nothing(node, compress):
    for _ in range(3):
        node.log.lines(5)
        node.pipeline.run()
        node.log.lines(2)
        node.pipeline.take()
        node.pipeline.kill()
        node.log.rotate(compress=compress)
        node.log.lines(1)
        node.log.rotate(compress=compress)
    node.pipeline.run()
    node.check()


def test_the_next_instance_has_a_link_of_its_own(tmp_path, node):
    node.log.lines(3)
    second = DockerLog(tmp_path / "docker", id="5e" * 32)
    second.link_from(tmp_path / "pods", restart=1)
    second.lines(2)
    node.pipeline.run()
    assert bytes(second.written) == node.pipeline.data(KEY[:-1] + "1")
    node.log.rotate()
    second.rotate()
    second.lines(2)
    node.pipeline.run()
    assert bytes(second.written) == node.pipeline.data(KEY[:-1] + "1")
    node.check()


def test_a_container_that_is_removed_is_read_to_its_end(tmp_path, node):
    node.log.lines(5)
    node.pipeline.take()
    node.log.lines(5)
    node.pipeline.collector.discover()
    shutil.rmtree(tmp_path / "pods" / f"shop_web-0_{UID}")
    shutil.rmtree(node.log.folder)
    node.pipeline.run()
    node.check()


def test_a_link_that_leads_nowhere_is_no_log_yet(tmp_path):
    node = Node(tmp_path)
    shutil.rmtree(node.log.folder)
    node.pipeline.run()
    node.log = DockerLog(tmp_path / "docker")
    node.log.lines(3)
    node.pipeline.run()
    node.check()


def test_links_in_a_circle(tmp_path):
    folder = tmp_path / "pods" / f"shop_web-0_{UID}" / "app"
    folder.mkdir(parents=True)
    (folder / "0.log").symlink_to(folder / "1.log")
    (folder / "1.log").symlink_to(folder / "0.log")
    pipeline = Pipeline(tmp_path / "pods")
    pipeline.run()
    assert {} == pipeline.kept
    pipeline.collector.close()


MOVES = st.lists(
    st.sampled_from(["lines", "rotate", "compress", "run", "take", "kill"]), max_size=25
)  # fmt: skip


@given(moves=MOVES)
@settings(max_examples=60)
def test_any_moves(tmp_path_factory, moves):
    node = Node(tmp_path_factory.mktemp("docker"))
    unread = 0
    for move in moves:
        if move == "lines":
            node.log.lines(2)
        elif move in ("rotate", "compress"):
            unread += 1
            if unread > 4:  # docker would delete what is unread
                node.pipeline.run()
                unread = 0
            node.log.rotate(compress=move == "compress")
        elif move == "kill":
            node.pipeline.kill()
        else:
            getattr(node.pipeline, move)()
            unread = 0 if move == "run" else unread
    node.pipeline.run()
    node.check()


@pytest.mark.parametrize(
    ("name", "packed"),
    [("/d/x-json.log.1", False), ("/d/x-json.log.12", False), ("/d/x-json.log.1.gz", True)],
)
def test_names_out_of_checkpoints(name, packed):
    found = name_behind(name, "0")
    assert (name, "0", packed, False) == (found.name, found.restart, found.gz, found.live)
