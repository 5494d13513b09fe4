"""Rotation in every manner, with the agent running and with the agent down."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from kelp.agent.collect.tree import Container
from tests.agent.collect.harness import Pipeline
from tests.kubelet import ContainerLog, Kubelet


@pytest.fixture
def app(kubelet: Kubelet) -> Iterator[ContainerLog]:
    app = kubelet.start()
    yield app
    app.close()


@pytest.fixture(params=[True, False], ids=["inotify", "scan"])
def pipeline(kubelet: Kubelet, request: pytest.FixtureRequest) -> Iterator[Pipeline]:
    pipeline = Pipeline(kubelet.root, inotify=request.param)
    yield pipeline
    pipeline.collector.close()


def test_a_renamed_file_is_read_to_its_end_before_the_new_one(
    app: ContainerLog, pipeline: Pipeline
) -> None:
    app.lines(3)
    pipeline.run()
    app.lines(2)
    app.rename("20261118-000001")
    app.lines(2)  # the runtime has not reopened yet
    pipeline.run()
    app.reopen()
    app.lines(4)
    pipeline.run()
    assert bytes(app.written) == pipeline.data()
    assert not pipeline.losses


def test_a_write_into_the_old_file_after_the_new_one_exists(
    app: ContainerLog, pipeline: Pipeline
) -> None:
    """The runtime drains what it had into the old file when the new one is open already."""
    app.lines(3)
    pipeline.take()
    old = app.rename("20261118-000001")
    app.reopen()
    pipeline.take()
    with old.open("ab") as late:
        late.write(b"late\n")
        app.written += b"late\n"
    app.lines(1)
    pipeline.run()
    assert bytes(app.written) == pipeline.data()


@pytest.mark.parametrize("down", [False, True], ids=["running", "down"])
def test_several_rotations_at_once(app: ContainerLog, pipeline: Pipeline, down: bool) -> None:
    app.lines(3)
    pipeline.run()
    app.lines(3)
    first = app.rotate("20261118-000001")
    app.lines(3)
    second = app.rotate("20261118-000002")
    app.compress(first)
    app.lines(3)
    app.rotate("20261118-000003")
    app.compress(second)
    app.lines(3)
    if down:
        pipeline.kill()
    pipeline.run()
    assert bytes(app.written) == pipeline.data()
    assert not pipeline.losses


def test_a_start_with_compressed_files_and_no_checkpoint(
    app: ContainerLog, kubelet: Kubelet
) -> None:
    for second in range(4):
        app.lines(30)
        rotated = app.rotate(f"20261118-00000{second}")
        if second < 3:
            app.compress(rotated)
    app.lines(5)
    pipeline = Pipeline(kubelet.root)
    pipeline.run()
    assert bytes(app.written) == pipeline.data()
    assert len(pipeline.files) == 5
    pipeline.kill()
    assert pipeline.run() == 0


def test_compressing_a_finished_file_brings_nothing_again(
    app: ContainerLog, pipeline: Pipeline
) -> None:
    app.lines(3)
    rotated = app.rotate("20261118-000001")
    app.lines(3)
    pipeline.run()
    app.begin_compress(rotated)
    pipeline.run()
    app.finish_compress(rotated)
    pipeline.run()
    rotated.unlink()
    pipeline.run()
    pipeline.kill()
    pipeline.run()
    app.delete_oldest()
    pipeline.run()
    app.lines(1)
    pipeline.run()
    assert bytes(app.written) == pipeline.data()
    assert not pipeline.losses


def test_a_deleted_file_is_read_through_its_descriptor(
    app: ContainerLog, pipeline: Pipeline
) -> None:
    app.lines(3)
    pipeline.take()
    app.lines(3)
    app.rotate("20261118-000001").unlink()
    app.lines(3)
    pipeline.run()
    assert bytes(app.written) == pipeline.data()
    assert not pipeline.losses


def test_the_same_inode_is_another_file(app: ContainerLog, pipeline: Pipeline) -> None:
    app.lines(3)
    pipeline.run()
    inode = app.live.stat().st_ino
    pipeline.collector.close()
    for second in range(50):
        app.close()
        app.rename(f"20261118-0000{second:02}").unlink()
        app.reopen()
        if app.live.stat().st_ino == inode:
            break
    else:
        pytest.skip("this file system gives no inode twice")
    app.lines(2)
    pipeline.start()
    pipeline.run()
    assert bytes(app.written) == pipeline.data()
    assert [loss.reason for loss in pipeline.losses] == ["rotated_away"]
    assert pipeline.lost_bytes() == 0


def test_two_rotations_within_one_second(app: ContainerLog, pipeline: Pipeline) -> None:
    """The compressed file of a stamp is older than the plain one that bears the same."""
    app.lines(3)
    app.compress(app.rotate("20261118-000001"))
    app.lines(4)
    app.rotate("20261118-000001")
    app.lines(2)
    pipeline.run()
    assert bytes(app.written) == pipeline.data()
    assert not pipeline.losses


def test_a_second_rename_to_the_same_name_replaces_the_first_file(
    app: ContainerLog, pipeline: Pipeline
) -> None:
    app.lines(3)
    pipeline.take()
    app.rotate("20261118-000001")
    app.lines(4)
    pipeline.take()
    app.rotate("20261118-000001")
    app.lines(2)
    pipeline.run()
    assert bytes(app.written) == pipeline.data()
    assert not pipeline.losses


@pytest.mark.parametrize("down", [False, True], ids=["running", "down"])
@pytest.mark.parametrize("name", ["0.log.1", "0.log-20261118", "0.log.bak"])
def test_copytruncate_with_unread_bytes(
    app: ContainerLog, pipeline: Pipeline, name: str, down: bool
) -> None:
    app.lines(30)
    pipeline.run()
    app.lines(30)
    app.copytruncate(name)
    app.lines(2)
    if down:
        pipeline.kill()
    pipeline.run()
    assert bytes(app.written) == pipeline.data()
    assert not pipeline.losses


def test_copytruncate_that_regrew_beyond_the_old_size(
    app: ContainerLog, pipeline: Pipeline
) -> None:
    app.lines(30)
    pipeline.run()
    app.lines(3)
    app.copytruncate("0.log.1")
    app.lines(300)
    pipeline.run()
    app.lines(3)
    copy = app.live.with_name("0.log.1")
    copy.rename(app.live.with_name("0.log.2"))
    app.copytruncate("0.log.1")
    app.lines(300)
    pipeline.run()
    assert bytes(app.written) == pipeline.data()
    assert not pipeline.losses


def test_truncation_without_a_copy_is_a_loss_of_known_size(
    app: ContainerLog, kubelet: Kubelet
) -> None:
    app.lines(30)
    pipeline = Pipeline(kubelet.root, max_read_bytes=1 << 16)
    app.lines(2000)
    pipeline.collector.poll()
    pipeline.collector.close()
    pipeline.start()
    batch = pipeline.collector.poll()
    assert batch is not None
    size = app.live.stat().st_size
    given = len(batch.data)
    app.live.write_bytes(b"")
    pipeline.commit()
    losses: list[object] = []
    app.lines(1)
    pipeline.settle()
    losses = pipeline.collector.losses()
    assert [(given, size - given, "truncated")] == [
        (loss.position, loss.size_bytes, loss.reason)
        for loss in losses  # type: ignore[attr-defined]
    ]


def test_the_next_instance_in_the_same_folder(app: ContainerLog, pipeline: Pipeline) -> None:
    app.lines(3)
    app.write(b"torn")
    pipeline.run()
    assert not pipeline.data().endswith(b"torn")
    second = app.after_crash()
    second.lines(2)
    pipeline.run()
    app.live.unlink()
    second.lines(2)
    pipeline.run()
    first_key, second_key = sorted(pipeline.kept)
    assert bytes(app.written) == pipeline.data(first_key)
    assert bytes(second.written) == pipeline.data(second_key)
    assert [second_key] == list(pipeline.checkpoints)
    second.close()


def test_a_pod_that_is_deleted_with_unread_bytes(
    app: ContainerLog, pipeline: Pipeline, kubelet: Kubelet
) -> None:
    app.lines(3)
    pipeline.collector.discover()
    app.lines(3)
    app.write(b"torn")
    kubelet.remove_pod()
    pipeline.run()
    assert bytes(app.written) == pipeline.data()
    assert not pipeline.checkpoints
    assert not pipeline.losses


def test_a_pod_that_is_deleted_while_the_agent_is_down(
    app: ContainerLog, pipeline: Pipeline, kubelet: Kubelet
) -> None:
    other = kubelet.start("other-0")
    app.lines(3)
    pipeline.run()
    app.lines(3)
    kubelet.remove_pod()
    pipeline.kill()
    pipeline.run()
    assert [(loss.reason, loss.size_bytes) for loss in pipeline.losses] == [("deleted", 0)]
    assert not pipeline.checkpoints
    pipeline.kill()
    pipeline.run()
    assert len(pipeline.losses) == 1
    other.close()


def test_what_was_rotated_away_while_the_agent_was_down(
    app: ContainerLog, pipeline: Pipeline
) -> None:
    app.lines(3)
    pipeline.run()
    read = len(app.written)
    app.lines(3)
    first = app.rotate("20261118-000001")
    app.lines(3)
    kept = len(app.written)
    app.lines(3)
    first.unlink()
    pipeline.kill()
    pipeline.run()
    gap = slice(read, kept - 3 * len(app.written) // 12)
    assert bytes(app.written[:read] + app.written[gap.stop :]) == pipeline.data()
    assert [("rotated_away", read)] == [(loss.reason, loss.position) for loss in pipeline.losses]


@pytest.mark.parametrize("cut", [False, True])
def test_a_copy_beside_the_live_file_when_the_agent_starts(
    app: ContainerLog, pipeline: Pipeline, cut: bool
) -> None:
    app.lines(30)
    pipeline.run()
    app.lines(5)
    app.copy("0.log.1")
    app.lines(5)
    pipeline.kill()
    pipeline.run()
    if cut:
        app.truncate()
    app.lines(5)
    pipeline.run()
    assert bytes(app.written) == pipeline.data()
    assert not pipeline.losses


@pytest.mark.parametrize("newline", [b"", b"\n"])
def test_a_live_file_keeps_its_last_line_until_it_is_whole(
    app: ContainerLog, pipeline: Pipeline, newline: bytes
) -> None:
    app.write(b"2026-11-18T00:00:00Z stdout F one" + newline)
    pipeline.run()
    assert (bytes(app.written) if newline else b"") == pipeline.data()
    app.write(b" more\n")
    pipeline.run()
    assert bytes(app.written) == pipeline.data()


def test_a_static_pod_that_comes_again_goes_on_with_its_positions(kubelet: Kubelet) -> None:
    uid = "4af2f5b1e0c39ac2f2e1d6e3b7a01f55"
    app = kubelet.start("etcd-node-1", "etcd", uid=uid)
    other = kubelet.start("other-0")
    app.lines(3)
    pipeline = Pipeline(kubelet.root)
    pipeline.run()
    app.close()
    (app.folder / "0.log").unlink()
    app.folder.rmdir()
    app.folder.parent.rmdir()
    pipeline.run()
    for kill in (False, True):
        again = kubelet.start("etcd-node-1", "etcd", uid=uid)
        again.lines(2)
        if kill:
            pipeline.kill()
        pipeline.run()  # positions are checked to go on
        again.close()
        again.live.unlink()
        again.folder.rmdir()
        again.folder.parent.rmdir()
        pipeline.run()
    assert not pipeline.losses
    other.close()


@pytest.fixture
def after_listing(monkeypatch: pytest.MonkeyPatch) -> list[Callable[[], object]]:
    """Moves that are made one by one, each when a container's folder has just been listed."""
    moves: list[Callable[[], object]] = []
    listed = Container.names

    def names(container: Container) -> list[str] | None:
        found = listed(container)
        if moves:
            moves.pop(0)()
        return found

    monkeypatch.setattr(Container, "names", names)
    return moves


def test_a_name_that_is_another_files_by_the_time_it_is_opened(
    app: ContainerLog, pipeline: Pipeline, after_listing: list[Callable[[], object]]
) -> None:
    """The new live file is opened under the listed name; the renamed one was not listed."""
    app.lines(5)

    def rotate() -> None:
        app.rotate("20261118-000001")
        app.lines(5)

    after_listing.append(rotate)
    pipeline.take()
    pipeline.run()
    assert bytes(app.written) == pipeline.data()
    assert pipeline.losses == []


def test_a_new_file_that_is_packed_when_it_has_just_been_listed(
    app: ContainerLog, pipeline: Pipeline, after_listing: list[Callable[[], object]]
) -> None:
    """It is found under neither name, and a newer one must not be read before it."""
    app.lines(5)
    old = app.rotate("20261118-000001")
    app.lines(5)
    after_listing.append(lambda: app.compress(old))
    pipeline.take()
    pipeline.run()
    assert bytes(app.written) == pipeline.data()
    assert pipeline.losses == []


def test_every_move_of_a_rotation_hides_something_from_the_start_of_an_agent(
    app: ContainerLog, pipeline: Pipeline, after_listing: list[Callable[[], object]]
) -> None:
    app.lines(5)
    old = app.rotate("20261118-000001")
    app.lines(5)
    pipeline.run()
    packed = app.begin_compress(old)
    after_listing += [
        lambda: app.finish_compress(old),
        old.unlink,
        lambda: app.rename("20261118-000002"),
        app.reopen,
        lambda: app.lines(5),
    ]
    pipeline.kill()
    pipeline.run()
    assert not packed.exists()
    assert bytes(app.written) == pipeline.data()
    assert pipeline.losses == []
