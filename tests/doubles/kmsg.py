"""A /dev/kmsg over a FIFO: who opens it reads from its oldest record on, a record a read.

A FIFO would give what one reader has left to the next one; so whenever a reader goes, all is closed
and begun again. One reader at a time.
"""

from __future__ import annotations

import fcntl
import os
import select
import threading
from pathlib import Path

_LOOK_MS = 10
_PIPE_BYTES = 1 << 20


class KernelLog:
    """Serves in a thread of its own until the process ends."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._records: list[bytes] = []
        os.mkfifo(path)
        threading.Thread(target=self._serve, daemon=True).start()

    def write(self, text: str) -> None:
        """A record of level info; the sequence number is its place."""
        seq = len(self._records)
        self._records.append(b"6,%d,%d,-;%s\n" % (seq, 1_000_000 + seq, text.encode()))

    def _serve(self) -> None:
        while True:
            fd = os.open(self._path, os.O_WRONLY)  # waits for a reader
            try:
                self._serve_one(fd)
            except BrokenPipeError:
                pass
            finally:
                os.close(fd)

    def _serve_one(self, fd: int) -> None:
        flags = fcntl.fcntl(fd, fcntl.F_GETFL)
        fcntl.fcntl(fd, fcntl.F_SETFL, flags | os.O_NONBLOCK | os.O_DIRECT)  # a packet a write
        fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        poll, given = select.poll(), 0
        poll.register(fd, select.POLLERR)
        while True:
            if poll.poll(_LOOK_MS):
                raise BrokenPipeError
            try:
                while given < len(self._records):
                    os.write(fd, self._records[given])
                    given += 1
            except BlockingIOError:
                continue
