"""Kelp's own processes under measurement: started as a user starts them, their costs from /proc."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE_KIB = os.sysconf("SC_PAGE_SIZE") // 1024


class Process:
    """A running `kelp …`; use as a context manager, it is stopped at the end."""

    def __init__(self, *args: str, log: Path, environment: Mapping[str, str] | None = None) -> None:
        self._log = log.open("ab")
        given = {k: v for k, v in os.environ.items() if not k.startswith("KELP_")}
        # What the machine itself logs is no part of what is measured.
        given |= {"KELP_AGENT_JOURNAL_ENABLED": "false", "KELP_AGENT_KMSG_ENABLED": "false"}
        given |= {"KELP_AGENT_FILES": "[]", **(environment or {})}
        self._popen = subprocess.Popen(
            [sys.executable, "-m", "kelp", *args],
            stdout=self._log,
            stderr=subprocess.STDOUT,
            env=given,
        )

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """SIGTERM, and SIGKILL if it does not go."""
        if self._popen.poll() is None:
            self._popen.send_signal(signal.SIGTERM)
            try:
                self._popen.wait(20)
            except subprocess.TimeoutExpired:
                self._popen.kill()
                self._popen.wait()
        self._log.close()

    def cpu_seconds(self) -> float:
        """User and system time of all its threads so far."""
        fields = Path(f"/proc/{self._popen.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def rss_mib(self) -> float:
        """Resident memory now."""
        pages = int(Path(f"/proc/{self._popen.pid}/statm").read_text().split()[1])
        return pages * _PAGE_KIB / 1024

    def peak_rss_mib(self) -> float:
        """Resident memory at its highest."""
        for line in Path(f"/proc/{self._popen.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
        raise RuntimeError("expected VmHWM in /proc/PID/status; got none")

    def check(self) -> None:
        """Raise where the process is gone."""
        if self._popen.poll() is not None:
            raise RuntimeError(f"kelp ended with {self._popen.returncode}; see {self._log.name}")


def wait_for(what: str, ready: Callable[[], bool], process: Process, timeout_s: float) -> None:
    """Poll until `ready`; raises TimeoutError, or RuntimeError where the process is gone."""
    deadline = time.monotonic() + timeout_s
    while not ready():
        process.check()
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {timeout_s} s")
        time.sleep(0.1)
