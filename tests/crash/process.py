"""Processes that are killed and started again, on ports of their own."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import threading
import urllib.error
import urllib.request
from pathlib import Path


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


class Restartable:
    """A command that runs until it is killed, and counts how often it was."""

    def __init__(self, command: list[str], log: Path, environ: dict[str, str] | None = None):
        self.command = command
        self.log = log
        self.kills = 0
        self.environ = {**os.environ, **(environ or {})}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as out:
            self._process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=self.environ
            )

    def kill(self) -> None:
        """SIGKILL; the process must have been alive until then."""
        assert self._process is not None
        assert self._process.poll() is None, f"died by itself: {self.log.read_text()[-3000:]}"
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        self.kills += 1

    def terminate(self, timeout_s: float) -> int:
        """SIGTERM; the exit status."""
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(timeout_s)

    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def end(self) -> None:
        """Whatever happened, leave nothing behind."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()


class Killer:
    """Kills and restarts a process at random moments, in a thread of its own."""

    def __init__(self, target: Restartable, rng: random.Random, low_s: float, high_s: float):
        self._target = target
        self._rng = rng
        self._range = (low_s, high_s)
        self._stop = threading.Event()
        self.failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Killer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        if self.failure is not None:
            raise self.failure

    def _run(self) -> None:
        try:
            while not self._stop.wait(self._rng.uniform(*self._range)):
                self._target.kill()
                self._target.start()
        except BaseException as e:  # noqa: BLE001 - told by the test's own thread
            self.failure = e


def get(url: str) -> tuple[int, str]:
    """Status and text; (0, "") where nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as e:
        return e.code, e.read().decode()
    except OSError:
        return 0, ""
