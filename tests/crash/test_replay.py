"""A kubelet's moves made live, with the agent dead after each of them.

The moves are those seen on a real node: rename, reopen, compression a rotation later (a .tmp, then
a .gz beside the original, then the original goes), the oldest deleted, inodes that come back, a
restart in the same folder, a pod folder gone within a second. After each move the collector reads
or does not, commits or does not, and dies or not; whatever the mixture, the bytes that were
committed are those that were written.
"""

from __future__ import annotations

import gzip
import itertools
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.agent.collect.harness import Pipeline
from tests.kubelet import ContainerLog, Kubelet

REAL = Path(__file__).parents[3] / "shared" / "data" / "real-k8s" / "pods"
KEPT_FILES = 3  # live, plain and one .gz, as `containerLogMaxFiles: 3` gives


def rotation(app: ContainerLog, second: int) -> Iterator[str]:
    """The steps of one rotation in the kubelet's order, with writing in between."""
    app.lines(7)
    yield "written"
    rotated = app.rotated()
    if len(rotated) > KEPT_FILES - 2:
        app.delete_oldest()
        yield "oldest deleted"
    for plain in [p for p in app.rotated() if p.suffix != ".gz"]:
        app.begin_compress(plain)
        yield "tmp written"
        app.finish_compress(plain)
        yield "gz beside the original"
        plain.unlink()
        yield "original gone"
    app.rename(f"20261118-0000{second:02}")
    yield "renamed"
    app.lines(2)
    yield "written into the renamed file"
    app.reopen()
    yield "reopened"
    app.lines(1)
    yield "written into the new file"


Death = Callable[[Pipeline, int], None]


def after_commit(pipeline: Pipeline, step: int) -> None:
    pipeline.take()
    pipeline.commit()
    pipeline.kill()


def before_commit(pipeline: Pipeline, step: int) -> None:
    """Every second time what was read is lost with the agent."""
    pipeline.take()
    if step % 2:
        pipeline.commit()
    pipeline.kill()


def between_polls(pipeline: Pipeline, step: int) -> None:
    """Dies with a part of the files read, and time going on."""
    pipeline.take_one()
    pipeline.commit()
    if step % 3 == 0:
        pipeline.clock.sleep(2.0)
        pipeline.take_one()
    pipeline.kill()


def never(pipeline: Pipeline, step: int) -> None:
    pipeline.clock.sleep(1.1)
    pipeline.take()
    pipeline.commit()


def seldom(pipeline: Pipeline, step: int) -> None:
    """Sleeps through some moves, so that several come at once."""
    if step % 4 == 0:
        pipeline.take()
        pipeline.commit()
        pipeline.clock.sleep(1.1)
    if step % 7 == 0:
        pipeline.kill()


@pytest.mark.parametrize("inotify", [True, False], ids=["inotify", "scan"])
@pytest.mark.parametrize("death", [after_commit, before_commit, between_polls, never, seldom])
def test_rotations_with_a_death_at_every_step(tmp_path: Path, death: Death, inotify: bool) -> None:
    kubelet = Kubelet(tmp_path / "pods")
    app = kubelet.start()
    pipeline = Pipeline(kubelet.root, inotify=inotify, max_read_bytes=400)
    inodes = set()
    steps = itertools.count()
    for second in range(12):
        for _ in rotation(app, second):
            inodes.add(app.live.stat().st_ino if app.live.exists() else 0)
            death(pipeline, next(steps))
    pipeline.run()
    assert bytes(app.written) == pipeline.data()
    # Of a file that is read, rotated and deleted while the agent is dead, nobody knows its end.
    assert [loss for loss in pipeline.losses if loss.size_bytes or death is not seldom] == []
    app.close()
    pipeline.collector.close()


def test_the_same_two_inodes_go_round_for_ever(tmp_path: Path) -> None:
    """Live → rotated → deleted, with no .gz: the deleted one's inode is the next live one's."""
    kubelet = Kubelet(tmp_path / "pods")
    app = kubelet.start()
    pipeline = Pipeline(kubelet.root)
    inodes = []
    for second in range(20):
        app.lines(5)
        pipeline.run()
        pipeline.kill()
        if app.rotated():
            app.delete_oldest()
        app.rotate(f"20261118-0000{second:02}")
        inodes.append(app.live.stat().st_ino)
    pipeline.run()
    assert bytes(app.written) == pipeline.data()
    assert not pipeline.losses
    app.close()
    pipeline.collector.close()
    if len(set(inodes)) == len(inodes):
        pytest.skip("read exactly, but this file system gives no inode twice")


@pytest.mark.parametrize("seen", ["listed", "read", "read and committed"])
def test_a_pod_folder_that_is_gone_within_a_second(tmp_path: Path, seen: str) -> None:
    kubelet = Kubelet(tmp_path / "pods")
    pipeline = Pipeline(kubelet.root)
    pipeline.take()
    app = kubelet.start("job-7xk2p", "main")
    app.lines(3)
    pipeline.collector.discover()
    app.lines(2)
    if seen != "listed":
        pipeline.take()
    if seen == "read and committed":
        pipeline.commit()
    app.lines(1)
    app.close()
    kubelet.remove_pod("job-7xk2p")
    pipeline.run()
    assert bytes(app.written) == pipeline.data()
    assert (pipeline.losses, pipeline.checkpoints) == ([], {})
    pipeline.collector.close()


def test_restarts_of_which_only_the_newest_file_stays(tmp_path: Path) -> None:
    """A crash loop: N.log comes, the container dies, N+1.log comes, N.log goes."""
    kubelet = Kubelet(tmp_path / "pods")
    pipeline = Pipeline(kubelet.root)
    instances = [kubelet.start()]
    for _ in range(5):
        instances[-1].lines(4)
        instances[-1].write(b"panic without a newline")
        pipeline.take()
        pipeline.commit()
        instances.append(instances[-1].after_crash())
        pipeline.kill()
        pipeline.take()
        pipeline.commit()
        instances[-2].live.unlink()
        instances[-1].lines(1)
    pipeline.run()
    keys = {key.rpartition("/")[2]: key for key in pipeline.kept}
    torn = b"panic without a newline"
    for instance in instances:
        got = pipeline.data(keys[str(instance.restart)])
        assert bytes(instance.written) == got or bytes(instance.written) == got + torn
    assert [loss for loss in pipeline.losses if loss.size_bytes > len(torn)] == []
    pipeline.collector.close()


needs_real = pytest.mark.skipif(not REAL.is_dir(), reason="no samples of a real node beside it")


def real_logs() -> dict[str, bytes]:
    """Content of each instance's files, oldest to newest, by the collector's key."""
    logs: dict[str, bytes] = {}
    files = [p for p in REAL.glob("*/*/*") if re.search(r"\.log(\.|$)", p.name)]
    for path in sorted(files, key=lambda p: (p.parent, p.suffix == ".log", p.name)):
        pod, container = path.parts[-3:-1]
        key = "/".join((*pod.split("_"), container, path.name.split(".")[0]))
        data = path.read_bytes()
        logs[key] = logs.get(key, b"") + (gzip.decompress(data) if path.suffix == ".gz" else data)
    return logs


@needs_real
@pytest.mark.parametrize("share", [1 << 16, 4 << 20])
def test_a_real_nodes_tree_byte_for_byte_with_a_death_after_each_poll(share: int) -> None:
    pipeline = Pipeline(REAL, max_read_bytes=share)
    polls = 0
    while pipeline.take_one():
        pipeline.commit()
        polls += 1
        if polls % 7 == 0:
            pipeline.kill()
    pipeline.run()
    assert real_logs() == dict(pipeline.kept)
    assert not pipeline.losses
    pipeline.collector.close()


@needs_real
def test_a_real_pods_numbers_have_no_gap() -> None:
    pipeline = Pipeline(REAL)
    pipeline.run()
    data = next(v for k, v in pipeline.kept.items() if "/orders-api-" in k)
    messages = [line.split(b" ", 3)[3] for line in data.splitlines()]
    numbers = [json.loads(m)["seq"] for m in messages if m.startswith(b"{")]
    assert list(range(numbers[0], numbers[0] + len(numbers))) == numbers
    assert len(numbers) > 1000
    pipeline.collector.close()
