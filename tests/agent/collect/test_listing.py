"""Whether names that were listed are still the same, without listing for each log."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from kelp.agent.collect.listing import Listing
from kelp.agent.collect.paths import LogName, PodFolder, PodNaming
from kelp.agent.collect.tree import Container
from kelp.base.clock import SystemClock


class Counting(Container):
    """Counts how often it was listed."""

    listed = 0

    def logs(self) -> dict[str, list[LogName]] | None:
        self.listed += 1
        return super().logs()


@pytest.fixture
def container(tmp_path: Path) -> Counting:
    """With two logs, one of them rotated."""
    for name in ("0.log", "0.log.20261118-000001", "1.log"):
        (tmp_path / name).touch()
    return Counting(tmp_path, PodNaming(PodFolder("shop", "web-0", "uid"), "app", "", ""))


def changed_at(folder: Path, ns: int) -> None:
    os.utime(folder, ns=(ns, ns))


def test_the_log_whose_names_changed_has_moved_and_no_other(container: Counting) -> None:
    listing = Listing(container, SystemClock())
    assert [False, False] == [listing.moved(log) for log in "01"]
    (container.path / "0.log").rename(container.path / "0.log.20261118-000002")
    (container.path / "0.log").touch()
    assert [True, False] == [listing.moved(log) for log in "01"]


def test_a_folder_at_rest_is_listed_once(container: Counting) -> None:
    changed_at(container.path, time.time_ns() - 10**9)
    listing = Listing(container, SystemClock())
    assert [False] * 100 == [listing.moved("0") for _ in range(100)]
    assert container.listed == 1


def test_a_folder_that_changed_once_is_listed_once_more(container: Counting) -> None:
    changed_at(container.path, time.time_ns() - 10**9)
    listing = Listing(container, SystemClock())
    (container.path / "2.log").touch()
    changed_at(container.path, time.time_ns() - 10**9 + 1)
    assert [False] * 100 == [listing.moved("0") for _ in range(100)]
    assert container.listed == 2


def test_two_changes_within_one_tick_of_the_clock(container: Counting) -> None:
    tick = time.time_ns() + 10**9  # of a file system whose clock is ahead: never long ago
    changed_at(container.path, tick)
    listing = Listing(container, SystemClock())
    (container.path / "0.log").unlink()
    changed_at(container.path, tick)
    assert listing.moved("0")


def test_a_folder_that_goes_or_cannot_be_listed_has_moved(container: Counting) -> None:
    listing = Listing(container, SystemClock())
    for name in container.path.iterdir():
        name.unlink()
    container.path.rmdir()
    assert listing.moved("0")
    assert container.gone
    assert not Listing(container, SystemClock()).moved("0")


def test_a_change_behind_a_link_is_one(container: Counting, tmp_path: Path) -> None:
    behind = tmp_path / "behind"
    behind.mkdir()
    (behind / "3-json.log").touch()
    (container.path / "3.log").symlink_to(behind / "3-json.log")
    old = time.time_ns() - 10**9
    for folder in (behind, container.path):
        changed_at(folder, old)
    listing = Listing(container, SystemClock())
    assert not listing.moved("3")
    (behind / "3-json.log.1").touch()
    changed_at(behind, old + 1)
    assert listing.moved("3")
