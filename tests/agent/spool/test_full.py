"""A full spool, a full disk: nothing changes, and the same commit goes through later."""

from __future__ import annotations

import errno

import pytest

from kelp.agent.spool import DiskFailedError, DiskFullError, SpoolFullError
from tests.agent.spool.faults import FaultyDisk, FullDisk
from tests.agent.spool.test_spool import opened, payload, waiting
from tests.tmpfs import small_tmpfs

KIB = 1 << 10


def test_at_the_limit_a_commit_waits_and_leaves_no_trace(tmp_path):
    spool = opened(tmp_path / "s", max_bytes=20 * KIB)
    spool.commit([payload("x" * 8 * KIB), payload("y" * 8 * KIB)], {"collect": {"f": b"1"}})
    for _ in range(2):
        with pytest.raises(SpoolFullError, match="16384 of 20480 bytes"):
            spool.commit([payload("z" * 8 * KIB)], {"collect": {"f": b"2"}})
    assert spool.checkpoints("collect") == {"f": b"1"}
    assert spool.next_seq == 3
    assert spool.next(0)
    spool.acknowledge(1)
    spool.commit([payload("z" * 8 * KIB)], {"collect": {"f": b"2"}})
    assert [seq for seq, _ in waiting(spool)] == [2, 3]
    assert spool.checkpoints("collect") == {"f": b"2"}


def test_many_small_segments_fill_it_by_the_blocks_that_they_take(tmp_path):
    spool = opened(tmp_path / "s", max_bytes=40 * KIB)
    with pytest.raises(SpoolFullError):
        for _ in range(11):
            spool.commit([payload("x")], {})
    assert spool.waiting == 10


def test_one_segment_larger_than_the_limit_is_taken_alone(tmp_path):
    spool = opened(tmp_path / "s", max_bytes=4 * KIB)
    spool.commit([payload("x" * 9 * KIB)], {})
    with pytest.raises(SpoolFullError):
        spool.commit([payload("y")], {})
    assert [seq for seq, _ in waiting(spool)] == [1]
    spool.commit([payload("y")], {})


def test_checkpoints_alone_are_taken_also_when_it_is_full(tmp_path):
    spool = opened(tmp_path / "s", max_bytes=4 * KIB)
    spool.commit([payload("x")], {})
    spool.commit([], {"collect": {"f": b"1"}})
    assert spool.checkpoints("collect") == {"f": b"1"}


def test_after_a_new_start_it_is_as_full_as_before(tmp_path):
    spool = opened(tmp_path / "s", max_bytes=8 * KIB)
    spool.commit([payload("x"), payload("y")], {})
    spool.close()
    spool = opened(tmp_path / "s", max_bytes=8 * KIB)
    assert spool.used_bytes == 8 * KIB
    with pytest.raises(SpoolFullError):
        spool.commit([payload("z")], {})


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (errno.ENOSPC, DiskFullError),
        (errno.EDQUOT, DiskFullError),
        (errno.EFBIG, DiskFullError),
        (errno.EIO, DiskFailedError),
        (errno.EROFS, DiskFailedError),
    ],
)
def test_errors_of_the_disk_leave_no_partial_state(tmp_path, code, error):
    disk = FullDisk(code)
    spool = opened(tmp_path / "s", disk=disk)
    spool.commit([payload("one")], {"collect": {"f": b"1"}})
    disk.full = True
    for _ in range(2):
        with pytest.raises(error):
            spool.commit([payload("two")], {"collect": {"f": b"2"}})
        assert [f"{1:020d}.segment"] == [f.name for f in (tmp_path / "s" / "segments").iterdir()]
        assert spool.checkpoints("collect") == {"f": b"1"}
    disk.full = False
    spool.commit([payload("two")], {"collect": {"f": b"2"}})
    assert waiting(spool) == [(1, b"one"), (2, b"two")]


def test_a_file_that_cannot_be_removed_does_not_undo_the_commit(tmp_path):
    """The commit has happened by then: reported as failed, it would be made twice."""
    disk = FaultyDisk()
    spool = opened(tmp_path / "s", disk=disk)
    spool.commit([payload("one")], {})
    spool.next(0)
    spool.acknowledge(1)
    disk.at, disk.fault = len(disk.steps) + 3, OSError(errno.EIO, "I/O error")
    spool.commit([payload("two")], {"collect": {"f": b"2"}})
    assert disk.steps[disk.at - 1] == "remove"
    assert spool.used_bytes == 8 * KIB  # still there
    assert waiting(spool) == [(2, b"two")]
    spool.settle()
    assert spool.used_bytes == 0
    assert list((tmp_path / "s" / "segments").iterdir()) == []


def test_an_index_that_cannot_grow_leaves_no_partial_state(tmp_path):
    spool = opened(tmp_path / "s")
    spool.commit([payload("one")], {"collect": {"f": b"1"}})
    pages = spool._index._db.execute("PRAGMA page_count").fetchone()[0]
    spool._index._db.execute(f"PRAGMA max_page_count = {pages}")
    big = {f"k{i}": b"x" * 500 for i in range(100)}
    for _ in range(2):
        with pytest.raises(DiskFullError, match="the spool's index"):
            spool.commit([payload("two")], {"collect": {"f": b"2"}, "assemble": big})
    assert spool.checkpoints("collect") == {"f": b"1"}
    assert spool.checkpoints("assemble") == {}
    # As if killed now: the file of the commit that never was is no segment.
    spool.close()
    spool = opened(tmp_path / "s")
    assert spool.next_seq == 2
    spool.commit([payload("two")], {"collect": {"f": b"2"}, "assemble": big})
    assert waiting(spool) == [(1, b"one"), (2, b"two")]
    assert big == spool.checkpoints("assemble")


def test_a_disk_filled_to_the_last_byte(tmp_path):
    """A real file system: commits fail, shipping goes on, and its space lets commits succeed."""
    with small_tmpfs(tmp_path / "disk", "2m") as root:
        spool = opened(root / "s")
        done = 0
        with pytest.raises(DiskFullError):
            while True:
                spool.commit([payload("x" * 100 * KIB)], {"collect": {f"f{done}": b"v" * 2000}})
                done += 1
        filler = (root / "filler").open("wb", buffering=0)
        with pytest.raises(OSError, match="No space"):
            while True:
                filler.write(b"x" * KIB)
        with pytest.raises(DiskFullError):
            spool.commit([payload("y" * 100 * KIB)], {"collect": {"g": b"1"}})
        assert done == spool.waiting
        for seq in (1, 2, 3):
            parcel = spool.next(0)
            assert parcel is not None
            assert seq == parcel.seq
            spool.acknowledge(seq)
        spool.commit([payload("y" * 100 * KIB)], {"collect": {"g": b"1"}})
        found = waiting(spool)
        assert list(range(4, done + 2)) == [seq for seq, _ in found]
        spool.close()
        filler.close()


def test_a_start_on_a_full_disk_says_so_and_succeeds_later(tmp_path):
    with small_tmpfs(tmp_path / "disk", "1m") as root:
        (root / "s").mkdir()
        filler = root / "filler"
        with filler.open("wb", buffering=0) as f, pytest.raises(OSError, match="No space"):
            while True:
                f.write(b"x" * 512)
        for _ in range(2):
            with pytest.raises((DiskFullError, DiskFailedError)):
                opened(root / "s")
        filler.unlink()
        spool = opened(root / "s")
        spool.commit([payload("one")], {})
        assert waiting(spool) == [(1, b"one")]
        spool.close()
