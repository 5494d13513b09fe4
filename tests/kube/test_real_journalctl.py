"""The follower over a real journal, read by the real journalctl with a kubelet's arguments.

Each turn appends to the journal as systemd-journal-remote does; in between the agent may die. The
node's zone is the process's TZ, as it is for a kubelet's journalctl.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from kelp.kube.follow import Follower
from kelp.kube.journal_text import JournalText
from kelp.kube.nodelogs import LogQuery
from tests.wire.test_journal_export import export

REMOTE = "/lib/systemd/systemd-journal-remote"
START_US = 1_795_231_024_000_000  # 2026-11-21T03:17:04Z
BOOTS = (b"6c7c6013a26343b29e964691ff25d04c", b"7c7c6013a26343b29e964691ff25d04c")

pytestmark = pytest.mark.skipif(
    not (shutil.which("journalctl") and shutil.which(REMOTE)),
    reason="no journalctl with systemd-journal-remote here",
)


class Node:
    def __init__(self, folder: Path, zone: str) -> None:
        self.folder = folder
        self.journal = folder / "journal"
        self.journal.mkdir()
        self.zone = zone
        self.count = 0
        self.written: list[bytes] = []
        self.given: list[bytes] = []
        self.follower = Follower(start_us=START_US - 1_000_000)

    def write(self, *entries: tuple[int, bytes]) -> None:
        """(µs after the start, message)."""
        data = b""
        for at_us, message in entries:
            self.count += 1
            fields = {
                "__CURSOR": b"s=1;i=%x;b=1;m=1;t=1;x=1" % self.count,
                "__REALTIME_TIMESTAMP": b"%d" % (START_US + at_us),
                "__MONOTONIC_TIMESTAMP": b"%d" % (at_us + 1),
                "_BOOT_ID": BOOTS[at_us > 7_200_000_000],
                "_MACHINE_ID": BOOTS[0],
                "_HOSTNAME": b"node-1",
                "_SYSTEMD_UNIT": b"kubelet.service",
                "_PID": b"42",
                "SYSLOG_IDENTIFIER": b"kubelet",
                # What the sender says, a little before journald took it.
                "_SOURCE_REALTIME_TIMESTAMP": b"%d" % (START_US + at_us - 300),
                "MESSAGE": message,
            }
            data += export([*fields.items()])
            self.written.append(message)
        source = self.folder / "in"
        source.write_bytes(data)
        words = [REMOTE, f"--output={self.journal}/system.journal", str(source)]
        done = subprocess.run(words, capture_output=True, check=False)
        assert 0 == done.returncode, done.stderr

    def read(self) -> None:
        since_us = self.follower.since_us()
        since = LogQuery([], since_us).since()
        wall = f"{since[:10]} {since[11:19]}"
        words = ["journalctl", f"--directory={self.journal}", "--utc", "--no-pager"]
        words += ["--output=short-precise", f"--since={wall}", "--unit=kubelet"]
        out = subprocess.run(
            words, capture_output=True, check=True, env={**os.environ, "TZ": self.zone}
        ).stdout
        text = JournalText((START_US + 3_600_000_000) * 1000)
        entries = [e for line in out.splitlines() for e in text.feed(line)] + list(text.end())
        assert [] == text.notes
        taken = self.follower.take(entries, since_us)
        assert not taken.lost
        self.given += [e.message for e in taken.entries]


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Kolkata"])
def test_each_entry_once_over_turns_and_restarts(tmp_path, zone):
    if zone != "UTC" and not Path("/usr/share/zoneinfo", zone).exists():
        pytest.skip(f"no zone {zone} here")
    node = Node(tmp_path, zone)
    for turn in range(6):
        base = turn * 1_700_000_000
        node.write(
            (base, b"turn %d" % turn), (base + 10, b"two\nlines"), (base + 10, b"again"),
            (base + 10, b"again"), (base + 4_000_000, b"E1121 x: y [1]: z"),
        )  # fmt: skip
        for _ in range(3):
            node.read()
        node.follower = Follower(node.follower.place)
        node.write((base + 4_000_100, b"again"), (base + 5_000_000, b"last %d" % turn))
        node.read()
    for _ in range(3):
        node.read()
    assert node.written == node.given
