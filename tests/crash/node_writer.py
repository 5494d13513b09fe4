"""What a node itself writes beside its containers: a journal, the kernel's log, a plain file.

Bodies are as in `writer`: `INSTANCE NUMBER FILLER`. The journal is real where systemd's own tools
are installed (journal files by systemd-journal-remote, read by journalctl), else the double's.
"""

from __future__ import annotations

import json
import lzma
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

from tests.doubles.kmsg import KernelLog

REMOTE = "/lib/systemd/systemd-journal-remote"
DOUBLE = Path(__file__).parents[1] / "doubles" / "journalctl.py"
BOOT, MACHINE = "6c7c6013a26343b29e964691ff25d04c", "a91663387a90b89f185d4e860000001a"
UNITS = ("kubelet", "crio")

# A kubelet keeps five files; here a file lives at least so long, for an agent that is killed, and
# whose server is away, may be that late, on a busy machine above all. What it never had open cannot
# be read later by anybody.
KEPT_S = 90.0


def real_journal() -> bool:
    return Path(REMOTE).exists() and shutil.which("journalctl") is not None


def environ(folder: Path) -> dict[str, str]:
    """The settings of an agent that reads it."""
    journal = folder / "journal"
    journal.mkdir(parents=True, exist_ok=True)
    command = journal / "journalctl"
    if not real_journal():
        command.write_text(f'#!/bin/sh\nexec {sys.executable} -S {DOUBLE} "$@"\n')
        command.chmod(0o755)
    return {
        "KELP_AGENT_JOURNAL_ENABLED": "true",
        "KELP_AGENT_JOURNAL_COMMAND": "journalctl" if real_journal() else str(command),
        "KELP_AGENT_JOURNAL_DIRECTORY": str(journal),
        "KELP_AGENT_JOURNAL_START": "all",
        "KELP_AGENT_KMSG_ENABLED": "true",
        "KELP_AGENT_KMSG_PATH": str(folder / "kmsg"),
        "KELP_AGENT_FILES": json.dumps([{"path": str(folder / "syslog")}]),
    }


def instance_of(labels: dict[str, str]) -> str:
    """The writer's name of an instance, by the labels of its stream."""
    if "pod" in labels:
        return f"{labels['pod']}/{labels['restart']}"
    if "unit" in labels:
        return f"journal/{labels['unit'].removesuffix('.service')}"
    return f"file/{Path(labels['filename']).name}" if "filename" in labels else "kernel/0"


class JournalWriter:
    """Entries of some units, in the export format."""

    def __init__(self, folder: Path) -> None:
        self._number = 0
        self._remote: subprocess.Popen[bytes] | None = None
        if real_journal():
            command = [REMOTE, "-o", str(folder / "a.journal"), "-"]
            self._remote = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            assert self._remote.stdin is not None
            self._out = self._remote.stdin
        else:
            self._out = (folder / "entries.export").open("ab")

    def write(self, unit: str, body: str) -> None:
        self._number += 1
        n = self._number
        cursor = f"s={'7' * 32};i={n:x};b={BOOT};m={n:x};t={n:x};x={n:x}"
        fields = {
            "__CURSOR": cursor if real_journal() else f"n={n}",
            "__REALTIME_TIMESTAMP": time.time_ns() // 1000,
            "__MONOTONIC_TIMESTAMP": n,
            "_BOOT_ID": BOOT,
            "_MACHINE_ID": MACHINE,
            "_SYSTEMD_UNIT": f"{unit}.service",
            "MESSAGE": body,
        }
        entry = "".join(f"{name}={value}\n" for name, value in fields.items())
        self._out.write(entry.encode() + b"\n")
        self._out.flush()

    def close(self) -> None:
        self._out.close()
        if self._remote is not None:
            self._remote.wait()


class PlainLog:
    """A file that logrotate renames, and packs a rotation later."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._packed_later: Path | None = None
        self._old: list[Path] = []
        self._next = time.time() + 3
        self.rotations = 0

    def write(self, line: str) -> None:
        with self._path.open("a") as out:
            out.write(line + "\n")

    def rotate(self) -> None:
        """Where it is time; names are seconds, so more than one has to lie between."""
        if time.time() < self._next:
            return
        self.rotations += 1
        self._next = time.time() + 2.5
        if self._packed_later is not None:
            packed = self._packed_later.with_name(self._packed_later.name + ".xz")
            temporary = packed.with_name(packed.name + ".tmp")
            temporary.write_bytes(lzma.compress(self._packed_later.read_bytes(), preset=0))
            temporary.rename(packed)
            self._packed_later.unlink()
            self._old.append(packed)
        self._packed_later = self._path.with_name(f"{self._path.name}-{int(time.time())}")
        self._path.rename(self._packed_later)
        while self._old and time.time() - self._old[0].stat().st_mtime > KEPT_S:
            self._old.pop(0).unlink()


class NodeWriter:
    """All of them; `counts` says how many records each instance has."""

    def __init__(self, folder: Path, rng: random.Random) -> None:
        self._rng = rng
        self._journal = JournalWriter(folder / "journal")
        self._kernel = KernelLog(folder / "kmsg")
        self._file = PlainLog(folder / "syslog")
        self.counts: dict[str, int] = {}

    def tick(self) -> None:
        """A record of each source."""
        for unit in UNITS:
            self._journal.write(unit, self._body(f"journal/{unit}"))
        self._kernel.write(self._body("kernel/0"))
        self._file.write(self._body("file/syslog"))
        self._file.rotate()

    def _body(self, instance: str) -> str:
        number = self.counts.get(instance, 0)
        self.counts[instance] = number + 1
        return f"{instance} {number} {self._rng.randbytes(self._rng.randint(10, 60)).hex()}"

    @property
    def rotations(self) -> int:
        return self._file.rotations

    def close(self) -> None:
        self._journal.close()
