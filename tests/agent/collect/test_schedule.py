"""Busy logs are looked at, idle ones are watched; nothing falls between the two."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from kelp.agent.collect.instancelog import InstanceLog
from kelp.agent.collect.logfile import LogFile, read_head
from kelp.agent.collect.metrics import CollectMetrics
from kelp.agent.collect.paths import parse_log_name
from kelp.agent.collect.schedule import UNWATCHED_LOOK_S, Schedule
from kelp.agent.collect.watch import Watcher
from kelp.model.raw import Instance


@pytest.fixture
def log(tmp_path: Path) -> Iterator[InstanceLog]:
    path = tmp_path / "0.log"
    path.write_bytes(b"one\n")
    name = parse_log_name(path.name)
    assert name is not None
    file = LogFile(path, name)
    fd = os.open(path, os.O_RDONLY)
    file.open(fd, read_head(fd, gz=False), 0.0)
    log = InstanceLog(Instance("key", {}), tmp_path, "0")
    log.files = [file]
    yield log
    file.close()


def grow(log: InstanceLog) -> None:
    with (log.folder / "0.log").open("ab") as f:
        f.write(b"two\n")


def test_a_log_that_grows_while_its_watch_is_set_stays_busy(log: InstanceLog) -> None:
    def watch_and_grow(path: str, log: InstanceLog) -> bool:
        grow(log)
        return True

    schedule = Schedule(watch_and_grow)
    schedule.wake(log)
    schedule.rest(log)
    assert [log] == schedule.busy()


def test_an_idle_log_with_a_watch_is_not_looked_at(log: InstanceLog) -> None:
    schedule = Schedule(lambda path, log: True)
    schedule.wake(log)
    schedule.rest(log)
    grow(log)
    schedule.look_at_unwatched(0.0)
    assert schedule.busy() == []


def test_an_idle_log_without_a_watch_is_looked_at_once_a_second(log: InstanceLog) -> None:
    schedule = Schedule(lambda path, log: False)
    schedule.wake(log)
    schedule.rest(log)
    schedule.look_at_unwatched(0.0)
    grow(log)
    schedule.look_at_unwatched(UNWATCHED_LOOK_S / 2)
    assert schedule.busy() == []
    schedule.look_at_unwatched(UNWATCHED_LOOK_S)
    assert [log] == schedule.busy()


def test_turns_go_round(log: InstanceLog, tmp_path: Path) -> None:
    other = InstanceLog(Instance("other", {}), tmp_path, "1")
    schedule = Schedule(lambda path, log: True)
    schedule.wake(log)
    schedule.wake(other)
    schedule.served(log)
    assert [other, log] == schedule.busy()


def test_a_files_watch_tells_one_change(log: InstanceLog) -> None:
    watcher: Watcher[str] = Watcher(CollectMetrics(CollectorRegistry()))
    assert watcher.watch_file(str(log.folder / "0.log"), "token")
    grow(log)
    assert watcher.read() == (["token"], False)
    grow(log)
    assert watcher.read() == ([], False)
    watcher.close()


def test_a_watch_on_what_is_gone_is_none(tmp_path: Path) -> None:
    watcher: Watcher[str] = Watcher(CollectMetrics(CollectorRegistry()))
    assert not watcher.watch_folder(str(tmp_path / "nothing"), "token")
    watcher.close()
    disabled: Watcher[str] = Watcher(CollectMetrics(CollectorRegistry()), enabled=False)
    assert not disabled.watch_folder(str(tmp_path), "token")
    assert (disabled.fileno(), disabled.read()) == (-1, ([], False))
