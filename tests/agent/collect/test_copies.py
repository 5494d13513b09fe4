"""Which default files are left out, by what else can be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from kelp.agent.collect.copies import OF_JOURNAL, OF_KERNEL, without_copies
from kelp.base.settings import Agent, File, Journal, Kmsg, default_files


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "machine").mkdir()
    (tmp_path / "machine" / "system.journal").touch()
    (tmp_path / "kmsg").touch()
    return tmp_path


def left_out(folder: Path, kmsg: str = "kmsg", journals: str = "", **journal: object) -> set[str]:
    settings = {"command": "true"} | journal
    agent = Agent(journal=Journal(**settings), kmsg=Kmsg(path=str(folder / kmsg)))  # type: ignore[arg-type]
    kept = {f.path for f in without_copies(agent, [folder / journals]).files}
    return {f.path for f in default_files()} - kept


def test_where_all_sources_are_read(folder: Path) -> None:
    assert OF_JOURNAL | OF_KERNEL == left_out(folder)


def test_a_journal_in_a_folder_of_its_own(folder: Path) -> None:
    assert OF_JOURNAL | OF_KERNEL == left_out(folder, journals="x", directory=str(folder))


@pytest.mark.parametrize(
    "without",
    [{"enabled": False}, {"command": "no-such-journalctl"}, {"journals": "nothing"},
     {"directory": "/nothing"}],
)  # fmt: skip
def test_without_a_journal_its_copies_are_read(folder: Path, without: dict[str, str]) -> None:
    assert OF_KERNEL == left_out(folder, **without)


def test_without_the_kernels_log_its_copy_is_read(folder: Path) -> None:
    assert OF_JOURNAL == left_out(folder, kmsg="none")
    assert OF_JOURNAL | OF_KERNEL == left_out(folder, kmsg="none", kernel=True)


def test_files_that_the_user_has_named_are_read(folder: Path) -> None:
    agent = Agent(files=[File(path="/var/log/syslog")], journal=Journal(command="true"))
    assert agent is without_copies(agent, [folder])
