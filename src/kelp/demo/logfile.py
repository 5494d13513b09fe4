"""The log of one container as the runtime holds it: one file open at a time, written at its end."""

from __future__ import annotations

import os
from pathlib import Path

from kelp.demo.cri import cri_lines

FILE_MODE = 0o640  # as containerd makes them


class ContainerLog:
    """A container's current file; what the kubelet does to the files is in kelp.demo.kubelet."""

    def __init__(self, folder: Path, restart: int = 0) -> None:
        self.folder = folder
        self.restart = restart
        self._pending = bytearray()
        self._fd = self._open()

    @property
    def path(self) -> Path:
        """The file that is being written."""
        return self.folder / f"{self.restart}.log"

    def write(self, time_ns: int, stream: str, text: str | bytes) -> None:
        """Take what the container printed; every line of it becomes a record."""
        body = text if isinstance(text, bytes) else text.encode()
        for line in body.split(b"\n"):
            self._pending += cri_lines(time_ns, stream, line)

    def flush(self) -> None:
        """Hand what was written to the operating system."""
        while self._pending:
            del self._pending[: os.write(self._fd, self._pending)]

    def size(self) -> int:
        """Bytes in the current file."""
        self.flush()
        return os.fstat(self._fd).st_size

    def reopen(self) -> None:
        """Go on in a new file of the same name, after the old one was renamed."""
        self.close()
        self._fd = self._open()

    def start_again(self) -> None:
        """The container was restarted: its next run has a file of its own."""
        self.close()
        self.restart += 1
        self._fd = self._open()

    def close(self) -> None:
        """Write what is left and let go of the file."""
        self.flush()
        os.close(self._fd)

    def _open(self) -> int:
        return os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, FILE_MODE)
