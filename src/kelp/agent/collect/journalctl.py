"""journalctl as a child process that is read without waiting.

The journal's files are read by the node's own journalctl, for only that knows what its journald
writes. The pipe between is the whole flow control: while nobody reads, journalctl waits.

Left out: killing it when the agent is killed. It ends by itself at its next write to the pipe.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
from collections.abc import Sequence

from kelp.agent.collect.cursor import Place
from kelp.base.glob import is_pattern
from kelp.base.settings import Journal

_PIPE_BYTES = 1 << 20
_READ_BYTES = 1 << 18
_STDERR_BYTES = 4096
_STOP_S = 1.0

FIELDS = (
    "MESSAGE", "PRIORITY", "SYSLOG_IDENTIFIER", "SYSLOG_FACILITY", "MESSAGE_ID", "UNIT", "TID",
    "CODE_FILE", "CODE_LINE", "CODE_FUNC", "CONTAINER_ID_FULL", "CONTAINER_NAME",
    "_SYSTEMD_UNIT", "_PID", "_COMM", "_EXE", "_CMDLINE", "_UID", "_TRANSPORT",
    "_SOURCE_REALTIME_TIMESTAMP",
)  # fmt: skip
"""What is made something of; with the place and the times, which journalctl always gives."""

ALWAYS = ("__CURSOR", "__REALTIME_TIMESTAMP", "_BOOT_ID")


def unit_name(text: str) -> str:
    """A unit as systemctl would take it: `kubelet` is `kubelet.service`; patterns stay."""
    return text if is_pattern(text) or "." in text else f"{text}.service"


def arguments(settings: Journal, place: Place, boot_s: int, *, choose_fields: bool) -> list[str]:
    """The command line that goes on from `place`; `boot_s`: when the machine booted."""
    words = [settings.command, "--output=export", "--all", "--no-pager"]
    # Without --merge, --follow leaves out all boots but the present one, without a word.
    words += ["--follow", "--no-tail", "--merge"]
    if settings.directory:
        words.append(f"--directory={settings.directory}")
    if choose_fields:
        words.append(f"--output-fields={','.join(FIELDS)}")
    if place.cursor:
        words.append(f"--cursor={place.cursor}")
    elif place.realtime_us:
        words.append(f"--since=@{place.realtime_us // 1_000_000}")
    elif settings.start == "boot":
        words.append(f"--since=@{boot_s}")
    elif settings.start == "now":
        words.append("--since=now")
    return words + _matches(settings)


def _matches(settings: Journal) -> list[str]:
    """What journalctl finds by its index; nothing where only patterns can tell."""
    units = [unit_name(u) for u in settings.units]
    if any(map(is_pattern, units)):
        return []
    groups = []
    if units:
        groups = [
            [f"_SYSTEMD_UNIT={u}" for u in units],
            ["_PID=1", *(f"UNIT={u}" for u in units)],
        ]
    if settings.kernel:
        groups.append(["_TRANSPORT=kernel"])
    words: list[str] = []
    for group in groups:
        words += ["+", *group] if words else group
    return words


class Journalctl:
    """A running journalctl. Raises OSError where it cannot be started."""

    def __init__(self, words: Sequence[str]) -> None:
        self._stderr = b""
        self._process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "LC_ALL": "C", "SYSTEMD_COLORS": "0"},
            bufsize=0,
        )
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._out, self._err = self._process.stdout.fileno(), self._process.stderr.fileno()
        os.set_blocking(self._out, False)
        os.set_blocking(self._err, False)
        with contextlib.suppress(OSError):  # the user's pipes hold too much already
            fcntl.fcntl(self._out, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)

    def read(self) -> bytes | None:
        """What there is now, empty where there is nothing; None at the end."""
        try:
            return os.read(self._out, _READ_BYTES) or None
        except BlockingIOError:
            return b""

    def complaint(self) -> str:
        """The last lines that it wrote to standard error."""
        with contextlib.suppress(BlockingIOError):
            while more := os.read(self._err, _STDERR_BYTES):
                self._stderr = (self._stderr + more)[-_STDERR_BYTES:]
        return self._stderr.decode(errors="replace").strip()

    def stop(self) -> int:
        """Stop it if it runs; its exit status."""
        self._process.terminate()
        try:
            status = self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            status = self._process.wait()
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()
        return status


def installed(command: str) -> bool:
    """Whether there is such a command."""
    return shutil.which(command) is not None
