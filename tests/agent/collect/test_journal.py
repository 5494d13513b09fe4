"""journald: every entry once, over deaths of journalctl and of the agent, and told where not."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from kelp.agent.assemble import JournalAssembler
from kelp.agent.collect import JournalCollector
from kelp.agent.collect.metrics import CollectMetrics
from kelp.base.settings import Agent, Journal
from kelp.model.lines import Lines
from kelp.model.loss import Loss
from tests.agent.collect.harness import TurnableClock
from tests.waiting import wait_until
from tests.wire.test_journal_export import export

DOUBLE = Path(__file__).parents[2] / "doubles" / "journalctl.py"
REMOTE = "/lib/systemd/systemd-journal-remote"
FIRST_US = 1_795_231_024_000_000
BOOT_S = 1_795_000_000


def entry(number: int, unit: str = "kubelet.service", **more: bytes) -> bytes:
    fields = {
        "__CURSOR": f"n={number}".encode(),
        "__REALTIME_TIMESTAMP": str(FIRST_US + number).encode(),
        "__MONOTONIC_TIMESTAMP": str(number).encode(),
        "_BOOT_ID": b"6c7c6013a26343b29e964691ff25d04c",
        "_SYSTEMD_UNIT": unit.encode(),
        "MESSAGE": b"line %d" % number,
    }
    return export([*(fields | more).items()])


class Node:
    """A journal, a collector over it, and the commits of the pipeline."""

    def __init__(self, folder: Path, command: str = "", **journal: Any) -> None:
        self.folder = folder
        self.path = folder / "entries.export"
        self.path.touch()
        self.settings = Agent(
            node="n1",
            journal=Journal(command=command or self.script(), directory=str(folder), **journal),
        )
        self.clock = TurnableClock()
        self.stored: dict[str, bytes] = {}
        self.kept: list[tuple[int, bytes]] = []
        self.losses: list[Loss] = []
        self.start()

    def script(self) -> str:
        path = self.folder / "journalctl"
        path.write_text(f'#!/bin/sh\nexec {sys.executable} -S {DOUBLE} "$@"\n')
        path.chmod(0o755)
        return str(path)

    def start(self) -> None:
        self.registry = CollectorRegistry()
        self.collector = JournalCollector(
            self.settings, self.clock, dict(self.stored), CollectMetrics(self.registry),
            lambda: BOOT_S,
        )  # fmt: skip
        self.taken: list[tuple[int, bytes]] = []
        self.lines: list[Lines] = []

    def write(self, *entries: bytes) -> None:
        with self.path.open("ab") as out:
            out.write(b"".join(entries))

    def take(self) -> int:
        batch = self.collector.poll()
        if batch is not None:
            lines = JournalAssembler().assemble(batch)
            self.lines.append(lines)
            self.taken += zip(lines.position.tolist(), lines.body.to_pylist(), strict=True)
        return len(self.taken)

    def take_until(self, count: int) -> list[bytes]:
        wait_until(lambda: self.take() >= count, 20)
        return [body for _, body in self.taken]

    def commit(self) -> None:
        self.stored |= {k: v for k, v in self.collector.changes().items() if v is not None}
        self.losses += self.collector.losses()
        self.kept += self.taken
        self.taken = []

    def kill(self) -> None:
        self.collector.close()
        self.start()

    def calls(self) -> list[str]:
        return (self.folder / "calls").read_text().splitlines()

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"kelp_agent_{name}", labels)


@pytest.fixture
def node(tmp_path):
    node = Node(tmp_path)
    yield node
    node.collector.close()


def bodies(*numbers: int) -> list[bytes]:
    return [b"line %d" % n for n in numbers]


def test_each_entry_is_taken_once_over_a_kill_of_the_agent(node):
    node.write(*map(entry, range(5)))
    assert bodies(*range(5)) == node.take_until(5)
    node.commit()
    node.write(*map(entry, range(5, 8)))
    assert bodies(5, 6, 7) == node.take_until(3)
    node.kill()  # before the commit
    assert bodies(5, 6, 7) == node.take_until(3)
    node.commit()
    assert [(FIRST_US + n, b"line %d" % n) for n in range(8)] == node.kept
    assert node.losses == []


def test_a_journalctl_that_dies_is_started_again_behind_what_it_gave(node):
    node.write(*map(entry, range(3)))
    node.take_until(3)
    (node.folder / "die").touch()
    wait_until(lambda: node.take() and not node.value("source_up", source="journal"), 20)
    node.write(entry(3))
    assert node.take() == 3
    node.clock.turned += 2  # the wait before it is started again
    assert bodies(0, 1, 2, 3) == node.take_until(4)
    assert node.value("source_failures_total", source="journal", reason="ended") == 1
    assert node.value("source_up", source="journal") == 1
    assert node.collector.losses() == []


def test_a_vacuumed_journal_is_a_loss(node):
    node.write(*map(entry, range(3)))
    node.take_until(3)
    node.commit()
    node.path.write_bytes(entry(7) + entry(8))
    node.kill()
    assert bodies(7, 8) == node.take_until(2)
    node.commit()
    (loss,) = node.losses
    expected = (FIRST_US + 3, 0, "rotated_away", (FIRST_US + 2) * 1000, (FIRST_US + 7) * 1000)
    assert expected == (
        loss.position, loss.size_bytes, loss.reason, loss.start_ns, loss.end_ns,
    )  # fmt: skip
    assert loss.labels == {"dataset": "node", "node": "n1"}
    assert [p for p, _ in node.kept[3:]] == [FIRST_US + 3, FIRST_US + 4]


def test_a_cursor_that_journalctl_does_not_take_is_a_loss_and_time_goes_on(node):
    node.write(*map(entry, range(3)))
    node.take_until(3)
    node.commit()
    node.stored = {k: v.replace(b"n=2", b"broken") for k, v in node.stored.items()}
    node.write(entry(3))
    node.kill()
    assert bodies(3) == node.take_until(1)
    node.commit()
    assert [loss.reason for loss in node.losses] == ["rotated_away"]
    assert f"--since=@{FIRST_US // 1_000_000}" in node.calls()[-1]


def test_other_units_are_asked_for_and_that_is_no_loss(tmp_path):
    node = Node(tmp_path)
    node.write(entry(0), entry(1, "crio.service"))
    node.take_until(2)
    node.commit()
    node.settings = Agent(
        node="n1",
        journal=Journal(command=node.script(), directory=str(tmp_path), units=["crio"]),
    )
    node.path.write_bytes(entry(2, "kubelet.service") + entry(3, "crio.service"))
    node.kill()
    assert bodies(3) == node.take_until(1)
    node.commit()
    assert node.losses == []
    node.collector.close()


def test_an_old_journalctl_gives_all_fields(node):
    (node.folder / "old").touch()
    node.write(entry(0))
    assert bodies(0) == node.take_until(1)
    assert node.value("source_failures_total", source="journal", reason="ended") is None
    assert "--output-fields" not in node.calls()[-1]


def test_units_are_matched_by_journalctl_or_by_pattern(tmp_path):
    node = Node(tmp_path, units=["kube*", "crio"], kernel=True)
    node.write(
        entry(0), entry(1, "ssh.service"), entry(2, "crio.service"),
        entry(3, "", _TRANSPORT=b"kernel"),
        entry(4, "init.scope", _PID=b"1", UNIT=b"kubelet.service"),
        entry(5, "init.scope", _PID=b"1"),
    )  # fmt: skip
    assert bodies(0, 2, 3, 4) == node.take_until(4)
    labels = [lines.instances[i].labels for lines in node.lines for i in lines.instance]
    assert labels == [
        {"dataset": "node", "node": "n1", "unit": "kubelet.service"},
        {"dataset": "node", "node": "n1", "unit": "crio.service"},
        {"dataset": "kernel", "node": "n1"},
        {"dataset": "node", "node": "n1", "unit": "kubelet.service"},
    ]
    assert "_SYSTEMD_UNIT" not in node.calls()[0].replace("_SYSTEMD_UNIT,", "")
    node.collector.close()


@pytest.mark.parametrize(
    ("start", "word"), [("boot", f"--since=@{BOOT_S} "), ("now", "--since=now "), ("all", "")]
)
def test_where_the_first_start_begins(tmp_path, start, word):
    node = Node(tmp_path, start=start)
    node.write(entry(0))
    node.take_until(1)
    (call,) = node.calls()
    assert word in call
    assert ("--since" in call) == bool(word)
    assert call.endswith(
        "_SYSTEMD_UNIT=kubelet.service _SYSTEMD_UNIT=containerd.service "
        "_SYSTEMD_UNIT=crio.service _SYSTEMD_UNIT=docker.service + _PID=1 UNIT=kubelet.service "
        "UNIT=containerd.service UNIT=crio.service UNIT=docker.service"
    )
    node.collector.close()


def test_without_journalctl_the_source_is_off(tmp_path):
    node = Node(tmp_path, "no-such-journalctl")
    assert node.take() == 0
    assert node.value("source_up", source="journal") == 0
    assert node.value("source_failures_total", source="journal", reason="absent") == 1


def test_what_becomes_of_the_fields(node):
    node.write(
        entry(
            0, PRIORITY=b"3", _PID=b"42", _COMM=b"kubelet", SYSLOG_IDENTIFIER=b"kubelet",
            SYSLOG_FACILITY=b"3", _SOURCE_REALTIME_TIMESTAMP=str(FIRST_US - 5).encode(),
            MESSAGE=b"caf\xe9\n",
        ),
        entry(1, PRIORITY=b"9", __REALTIME_TIMESTAMP=b"x"),
    )  # fmt: skip
    node.take_until(2)
    told = [int(t) for lines in node.lines for t in lines.told]
    times = [int(t) for lines in node.lines for t in lines.timestamp]
    assert told == [17, 0]
    assert times[0] == (FIRST_US - 5) * 1000
    assert node.lines[-1].observed_ns == times[1]
    assert node.lines[0].marks[0] == {
        "process.pid": "42", "process.executable.name": "kubelet", "syslog.identifier": "kubelet",
        "syslog.facility": "daemon", "boot.id": "6c7c6013a26343b29e964691ff25d04c",
        "kelp.invalid_utf8": "true",
    }  # fmt: skip


@pytest.mark.skipif(
    not (Path(REMOTE).exists() and shutil.which("journalctl")),
    reason="needs journalctl and systemd-journal-remote, which makes journal files",
)
def test_the_real_journalctl_and_real_journal_files(tmp_path):
    real = tmp_path / "journal"
    real.mkdir()

    def append(*entries: bytes) -> None:
        command = [REMOTE, "-o", str(real / "a.journal"), "-"]
        subprocess.run(command, input=b"".join(entries), check=True, capture_output=True)

    def whole(number: int) -> bytes:
        boot = "6c7c6013a26343b29e964691ff25d04c" if number < 3 else "1" * 32
        cursor = f"s={'7' * 32};i={number:x};b={boot};m={number:x};t={number:x};x={number:x}"
        machine = b"a91663387a90b89f185d4e860000001a"
        return entry(
            number, __CURSOR=cursor.encode(), _BOOT_ID=boot.encode(), _MACHINE_ID=machine,
            PRIORITY=b"6", MESSAGE=b"line\n%d \xff" % number + b"x" * 70_000,
        )  # fmt: skip

    append(*map(whole, range(1, 5)), entry(9, "ssh.service", _MACHINE_ID=b"1" * 32))
    node = Node(real, "journalctl", start="all")
    expected = [b"line\n%d \xff" % n + b"x" * 70_000 for n in range(1, 8)]
    assert expected[:4] == node.take_until(4)
    node.commit()
    node.kill()
    append(*map(whole, range(5, 8)))
    assert expected[4:] == node.take_until(3)
    node.commit()
    assert list(range(FIRST_US + 1, FIRST_US + 8)) == [p for p, _ in node.kept]
    assert node.losses == []
    shutil.rmtree(real)
    real.mkdir()
    append(whole(9))
    node.kill()
    assert node.take_until(1)
    assert [loss.reason for loss in node.collector.losses()] == ["rotated_away"]
    node.collector.close()
