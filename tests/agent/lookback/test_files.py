"""Which file on the disk is which of those that an agent knew."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from kelp.agent.collect.fingerprint import fingerprint
from kelp.agent.collect.paths import PodFolder, PodNaming
from kelp.agent.lookback.files import DiskFile, KnownFile, files_of, logs_in, matched, placed
from tests.kubelet import ContainerLog

NAMING = PodNaming(PodFolder("shop", "web-0", "u"), "app", "n1", "")


def disk(log: ContainerLog) -> list[DiskFile]:
    return files_of(log.folder, logs_in(log.folder, NAMING)[str(log.restart)])


def known(log: ContainerLog, *sizes: int) -> list[KnownFile]:
    """Files of these sizes, one after the other; the last one is the live one."""
    out, base = [], 0
    for size in sizes:
        mark = fingerprint(bytes(log.written[base : base + size]))
        out.append(KnownFile(base, size, mark.digest, mark.length))
        base += size
    status = log.live.stat()
    out[-1] = replace(out[-1], device=status.st_dev, inode=status.st_ino)
    return out


@pytest.fixture
def log(tmp_path: Path) -> ContainerLog:
    log = ContainerLog(tmp_path / "app")
    log.lines(40)
    log.rotate("20261120-101112")
    log.lines(30)
    log.compress(log.rotate("20261120-111112"))
    log.lines(20)
    return log


def sizes(log: ContainerLog) -> list[int]:
    return [f.size or 0 for f in disk(log)]


def test_files_are_in_the_order_of_writing_with_the_size_of_their_content(
    log: ContainerLog,
) -> None:
    assert ["0.log.20261120-101112", "0.log.20261120-111112.gz", "0.log"] == [
        f.path.name for f in disk(log)
    ]
    assert sum(sizes(log)) == len(log.written)


def test_runs_are_logs_of_their_own(log: ContainerLog) -> None:
    log.after_crash().lines(1)
    (log.folder / "notes.txt").write_text("no log")
    assert ["0", "1"] == list(logs_in(log.folder, NAMING))


def test_a_file_is_known_by_its_beginning_whatever_its_name(log: ContainerLog) -> None:
    first, second, live = known(log, *sizes(log))
    found = matched(disk(log), [live, first, second])
    assert [first, second, live] == [found[f] for f in disk(log)]


def test_a_file_that_nobody_has_read_is_not_known(log: ContainerLog) -> None:
    files = disk(log)
    first, second, _ = known(log, *sizes(log))
    assert {files[0]: first, files[1]: second} == matched(files, [first, second])
    assert placed(files, [first, second], matched(files, [first, second])) == {}


def test_of_two_copies_one_is_it(log: ContainerLog) -> None:
    path = log.folder / "0.log.20261120-101112"
    log.begin_compress(path)
    log.finish_compress(path)
    files = disk(log)
    found = matched(files, known(log, *[f.size or 0 for f in files if not f.path.name.endswith(
        "101112.gz")]))  # fmt: skip
    assert sorted(f.path.name for f in found) == [
        "0.log", "0.log.20261120-101112", "0.log.20261120-111112.gz",
    ]  # fmt: skip


@pytest.mark.parametrize("at", [0, 2], ids=["oldest", "live"])
def test_a_file_of_another_beginning_is_told_by_its_place(log: ContainerLog, at: int) -> None:
    all_known = known(log, *sizes(log))
    path = disk(log)[at].path
    path.write_bytes(b"X" + path.read_bytes()[1:])
    files = disk(log)
    found = matched(files, all_known)
    assert len(found) == 2
    assert {files[at]: all_known[at]} == placed(files, all_known, found)


def test_a_live_file_that_was_begun_anew_is_no_altered_one(log: ContainerLog) -> None:
    all_known = known(log, *sizes(log))
    log.truncate()
    log.lines(1)
    assert placed(disk(log), all_known, matched(disk(log), all_known)) == {}
    log.rotate("20261120-131313")
    log.lines(100)
    assert placed(disk(log), all_known, matched(disk(log), all_known)) == {}


def test_where_a_file_is_gone_a_place_tells_nothing(log: ContainerLog) -> None:
    all_known = known(log, *sizes(log))
    files = disk(log)
    files[0].path.unlink()
    assert placed(disk(log), all_known, matched(disk(log), all_known)) == {}


def test_what_is_no_file_or_cannot_be_read(log: ContainerLog) -> None:
    (log.folder / "0.log.20261120-121212").mkdir()
    (log.folder / "0.log.20261120-131313").symlink_to("/proc/self/mem")
    (log.folder / "0.log.20261120-141414").symlink_to("nowhere")
    found = {f.path.name: f.error for f in disk(log)}
    assert found["0.log.20261120-131313"] == "Input/output error"
    assert "0.log.20261120-121212" not in found
    assert "0.log.20261120-141414" not in found
