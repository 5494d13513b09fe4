"""What cannot be read is told: how much, where, why, and between when."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pytest

from kelp.agent.collect.checkpoint import Checkpoint, CheckpointError, FileMark, decode, encode
from kelp.agent.collect.instancelog import MAX_DONE_MARKS
from kelp.model.loss import LOSS_REASONS
from tests.agent.collect.harness import Pipeline
from tests.kubelet import ContainerLog, Kubelet


@pytest.fixture
def app(kubelet: Kubelet) -> Iterator[ContainerLog]:
    app = kubelet.start()
    yield app
    app.close()


def test_a_gz_cut_short_gives_what_it_has_and_the_next_file_follows(
    app: ContainerLog, kubelet: Kubelet
) -> None:
    app.lines(2000)
    packed = app.compress(app.rotate("20261118-000001"))
    packed.write_bytes(packed.read_bytes()[:-500])
    app.lines(3)
    pipeline = Pipeline(kubelet.root)
    pipeline.run()
    (loss,) = pipeline.losses
    data = pipeline.data()
    assert bytes(app.written[: loss.position]) == data[: loss.position]
    assert data.endswith(bytes(app.written[-200:]))
    assert (loss.reason, loss.size_bytes) == ("unreadable", 0)  # its trailer is gone
    pipeline.kill()
    assert pipeline.run() == 0
    assert len(pipeline.losses) == 1
    pipeline.collector.close()


def test_the_size_of_a_broken_gz_is_known_where_it_was_seen_plain(
    app: ContainerLog, kubelet: Kubelet
) -> None:
    app.lines(1)
    pipeline = Pipeline(kubelet.root, max_read_bytes=1 << 16)
    pipeline.run()
    app.lines(2000)
    pipeline.take_one()
    pipeline.commit()
    plain = app.rotate("20261118-000001")
    size = plain.stat().st_size
    packed = app.compress(plain)
    packed.write_bytes(packed.read_bytes()[:-2000])
    app.lines(1)
    pipeline.kill()
    pipeline.run()
    (loss,) = pipeline.losses
    assert ("unreadable", size) == (loss.reason, loss.position + loss.size_bytes)
    pipeline.collector.close()


def test_a_loss_lies_between_the_times_of_the_lines_around_it(
    app: ContainerLog, kubelet: Kubelet
) -> None:
    app.lines(5)  # 0 … 4 ms
    pipeline = Pipeline(kubelet.root)
    pipeline.run()
    app.lines(5)
    pipeline.collector.close()
    app.rotate("20261118-000001").unlink()
    app.lines(5)  # from 10 ms on
    pipeline.start()
    pipeline.run()
    (loss,) = pipeline.losses
    epoch = 1_794_960_000_000_000_000
    assert (epoch + 4_000_000, epoch + 10_000_000) == (loss.start_ns, loss.end_ns)
    assert loss.labels["container"] == "app"
    assert "stream" not in loss.labels
    pipeline.collector.close()


def test_files_that_waited_and_went_are_told_with_their_sizes(
    app: ContainerLog, kubelet: Kubelet
) -> None:
    """A backlog is known to the checkpoint, so that its loss has a size after a restart too."""
    app.lines(1000)
    first = app.rotate("20261118-000001")
    app.lines(500)
    second = app.rotate("20261118-000002")
    sizes = [first.stat().st_size, second.stat().st_size]
    app.lines(3)
    pipeline = Pipeline(kubelet.root, max_read_bytes=20_000)
    read = pipeline.take_one()
    pipeline.commit()
    pipeline.collector.close()
    first.unlink()
    second.unlink()
    pipeline.start()
    pipeline.run()
    assert [(read, sizes[0] - read), (sizes[0], sizes[1])] == [
        (loss.position, loss.size_bytes) for loss in pipeline.losses
    ]
    assert {"rotated_away"} == {loss.reason for loss in pipeline.losses}
    assert len(app.written) == len(pipeline.data()) + pipeline.lost_bytes()
    pipeline.collector.close()


def test_an_older_file_that_appears_too_late_is_told(app: ContainerLog, kubelet: Kubelet) -> None:
    app.lines(5)
    app.rotate("20261118-000005")
    app.lines(5)
    pipeline = Pipeline(kubelet.root)
    pipeline.run()
    stray = app.live.with_name("0.log.20261118-000001")
    stray.write_bytes(b"2026-11-17T00:00:00Z stdout F restored from a backup\n")
    pipeline.run()
    pipeline.run()
    assert bytes(app.written) == pipeline.data()
    assert [stray.stat().st_size] == [loss.size_bytes for loss in pipeline.losses]
    pipeline.collector.close()


EMPTY = {
    "gz": gzip.compress(b"", mtime=0),
    "bz2": bz2.compress(b""),
    "xz": lzma.compress(b""),
    "zst": bytes(pa.compress(b"", codec="zstd", asbytes=True)),
}


@pytest.mark.parametrize("packing", EMPTY)
def test_a_file_that_was_rotated_empty_is_no_loss_once_it_is_packed(
    app: ContainerLog, kubelet: Kubelet, packing: str
) -> None:
    """Nothing of an empty file is remembered, so each start finds it anew, and always too late."""
    app.lines(5)
    app.rotate("20261118-000001")
    empty = app.rotate("20261118-000002")
    app.lines(5)
    app.rotate("20261118-000003")
    app.lines(5)
    pipeline = Pipeline(kubelet.root)
    pipeline.run()
    empty.with_name(f"{empty.name}.{packing}").write_bytes(EMPTY[packing])
    empty.unlink()
    pipeline.run()
    pipeline.kill()
    pipeline.run()
    assert bytes(app.written) == pipeline.data()
    assert pipeline.losses == []
    pipeline.collector.close()


@pytest.mark.parametrize("packing", EMPTY)
def test_a_packed_file_cut_before_its_content_may_have_held_some(
    app: ContainerLog, kubelet: Kubelet, packing: str
) -> None:
    app.lines(5)
    app.rotate("20261118-000002")
    app.lines(5)
    pipeline = Pipeline(kubelet.root)
    pipeline.run()
    cut = app.live.with_name(f"0.log.20261118-000001.{packing}")
    cut.write_bytes(EMPTY[packing][:8])
    pipeline.run()
    assert [(0, "rotated_away")] == [(loss.size_bytes, loss.reason) for loss in pipeline.losses]
    pipeline.collector.close()


@pytest.mark.parametrize("name", ["0.log.20261118-{0:06}", "0.log.{1}"])
def test_more_finished_files_than_are_remembered_are_no_loss(
    app: ContainerLog, kubelet: Kubelet, name: str
) -> None:
    """A checkpoint names the newest of them alone: what is older was finished before."""
    files = MAX_DONE_MARKS + 6
    for number in range(files):
        app.lines(1)
        app.live.rename(app.live.with_name(name.format(number, files - number)))
        app.reopen()
    app.lines(1)
    pipeline = Pipeline(kubelet.root)
    pipeline.run()
    for _ in range(2):
        pipeline.kill()
        app.lines(1)
        pipeline.run()
    assert bytes(app.written) == pipeline.data()
    assert pipeline.losses == []
    pipeline.collector.close()


def test_bytes_that_come_after_a_file_was_finished_are_told(
    app: ContainerLog, kubelet: Kubelet
) -> None:
    app.lines(5)
    old = app.rotate("20261118-000001")
    app.lines(5)
    pipeline = Pipeline(kubelet.root)
    pipeline.run()
    with old.open("ab") as late:
        late.write(b"too late\n")
    app.rotate("20261118-000002")  # a reason to look
    pipeline.run()
    pipeline.run()
    assert bytes(app.written) == pipeline.data()
    assert [len(b"too late\n")] == [loss.size_bytes for loss in pipeline.losses]
    pipeline.collector.close()


def test_lines_between_the_copy_and_the_truncation(app: ContainerLog, kubelet: Kubelet) -> None:
    """They are in no file afterwards: read in time or, where their size was seen, a loss."""
    pipeline = Pipeline(kubelet.root)
    app.lines(10)
    pipeline.run()
    app.copy("0.log.1")
    app.lines(2)
    pipeline.run()
    app.truncate()
    app.lines(3)
    pipeline.run()
    assert bytes(app.written) == pipeline.data()
    assert not pipeline.losses
    app.live.with_name("0.log.1").rename(app.live.with_name("0.log.2"))
    app.lines(4)
    app.copy("0.log.1")
    app.lines(2)
    pipeline.clock.sleep(2.0)
    pipeline.collector.discover()
    app.truncate()
    app.lines(1)
    pipeline.run()
    (loss,) = pipeline.losses
    assert loss.reason == "truncated"
    assert len(app.written) == len(pipeline.data()) + loss.size_bytes
    pipeline.collector.close()


@pytest.fixture
def unprivileged() -> Iterator[Path]:
    """A folder for a process that may not read everything."""
    root = Path(tempfile.mkdtemp(prefix="kelp-unprivileged-"))
    root.chmod(0o755)
    yield root
    shutil.rmtree(root)


@contextmanager
def without_rights() -> Iterator[None]:
    """Root may read every file: for as long as this lasts we are somebody else."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_file_that_may_not_be_read_is_told_when_it_is_gone(unprivileged: Path) -> None:
    kubelet = Kubelet(unprivileged / "pods")
    app = kubelet.start()
    app.lines(3)
    app.live.chmod(0)
    pipeline = Pipeline(kubelet.root)
    with without_rights():
        pipeline.run()
        assert not pipeline.losses
    app.lines(2)
    with without_rights():
        pipeline.run()
    lost = len(app.written)
    app.rotate("20261118-000001").unlink()
    app.live.chmod(0o644)
    app.lines(3)
    with without_rights():
        pipeline.run()
    assert [(0, lost, "unreadable")] == [
        (loss.position, loss.size_bytes, loss.reason) for loss in pipeline.losses
    ]
    assert bytes(app.written[lost:]) == pipeline.data()
    pipeline.collector.close()
    app.close()


@pytest.mark.parametrize(
    ("packed", "losses"),
    [(b"", 0), (gzip.compress(b"some\n", mtime=0), 1)],
    ids=["no bytes", "some"],
)
def test_a_packed_file_that_may_not_be_read_has_no_known_size(
    unprivileged: Path, packed: bytes, losses: int
) -> None:
    kubelet = Kubelet(unprivileged / "pods")
    app = kubelet.start()
    app.live.chmod(0o644)
    app.lines(3)
    old = app.live.with_name("0.log.20261118-000001.gz")
    old.write_bytes(packed)
    old.chmod(0)
    pipeline = Pipeline(kubelet.root)
    with without_rights():
        pipeline.collector.discover()
    old.unlink()
    with without_rights():
        pipeline.run()
    told = [(loss.position, loss.size_bytes, loss.reason) for loss in pipeline.losses]
    assert [(0, 0, "unreadable")] * losses == told
    assert bytes(app.written) == pipeline.data()
    pipeline.collector.close()
    app.close()


def test_a_file_that_may_be_read_at_last_is_read_whole(unprivileged: Path) -> None:
    kubelet = Kubelet(unprivileged / "pods")
    app = kubelet.start()
    app.lines(3)
    app.live.chmod(0)
    pipeline = Pipeline(kubelet.root)
    with without_rights():
        pipeline.run()
    app.live.chmod(0o644)
    app.lines(2)
    app.rotate("20261118-000001")
    app.live.chmod(0o644)
    app.lines(2)
    with without_rights():
        pipeline.run()
    assert bytes(app.written) == pipeline.data()
    assert not pipeline.losses
    pipeline.collector.close()
    app.close()


def test_what_cannot_be_looked_into_may_be_what_is_missing(unprivileged: Path) -> None:
    kubelet = Kubelet(unprivileged / "pods")
    app = kubelet.start()
    app.live.chmod(0o644)
    app.lines(3)
    pipeline = Pipeline(kubelet.root)
    with without_rights():
        pipeline.run()
    app.lines(3)
    packed = app.compress(app.rotate("20261118-000001"))
    packed.chmod(0)
    app.live.chmod(0o644)
    app.lines(3)
    with without_rights():
        pipeline.kill()
        pipeline.run()
    assert not pipeline.losses
    packed.chmod(0o644)
    with without_rights():
        pipeline.run()
    assert bytes(app.written) == pipeline.data()
    assert not pipeline.losses
    pipeline.collector.close()
    app.close()


def test_reasons_are_bounded(app: ContainerLog, kubelet: Kubelet) -> None:
    pipeline = Pipeline(kubelet.root)
    app.lines(3)
    pipeline.run()
    app.live.write_bytes(b"")
    pipeline.run()
    assert {"truncated"} == {loss.reason for loss in pipeline.losses} & set(LOSS_REASONS)
    pipeline.collector.close()


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"version":99}', b'{"offset":"x"}', b"\xff"])
def test_a_checkpoint_that_cannot_be_read_means_reading_anew(
    app: ContainerLog, kubelet: Kubelet, data: bytes
) -> None:
    app.lines(3)
    pipeline = Pipeline(kubelet.root)
    pipeline.run()
    pipeline.collector.close()
    pipeline.checkpoints = dict.fromkeys(pipeline.checkpoints, data)
    pipeline.start()
    assert len(app.written) == pipeline.take()
    pipeline.collector.close()
    with pytest.raises(CheckpointError, match="expected"):
        decode(data)


def test_a_key_of_another_kind_is_kept_as_it_is(app: ContainerLog, kubelet: Kubelet) -> None:
    pipeline = Pipeline(kubelet.root)
    pipeline.checkpoints = {"journald": b"cursor", "a/b/c/d/x": b"?"}
    pipeline.kill()
    app.lines(1)
    pipeline.run()
    assert bytes(app.written) == pipeline.data()
    assert pipeline.checkpoints["journald"] == b"cursor"
    pipeline.collector.close()


def test_a_checkpoint_comes_back_as_it_was() -> None:
    mark = FileMark("ab" * 16, "cd" * 16, 1024, 5000, 1, 2, "0.log")
    checkpoint = Checkpoint(
        next_base=9, done=[mark], current=mark, base=3, offset=4, waiting=[mark], stamp=b"\xff\0"
    )
    assert checkpoint == decode(encode(checkpoint))
