"""Reading /proc and /sys: files that vanish, that need rights, or that this kernel does not have.

The three are different news. What vanished has ended and is no news; what this kernel does not have
is said once where it matters; what this user may not read is counted in the notes, for a list that
is short for want of rights looks like a list that is short.
"""

from __future__ import annotations

import errno
import os
from collections import Counter
from pathlib import Path

from msgspec import Struct

from kelp.base.errors import KelpError

# A file of /proc that is longer than this is no honest one; cmdline can be 2 MiB, shown is less.
MAX_FILE_BYTES = 64 << 20
_PIECE_BYTES = 1 << 16


class Roots(Struct, frozen=True):
    """Where the file systems of the node are; other than the default in a container or a test."""

    proc: Path = Path("/proc")
    sys: Path = Path("/sys")
    pods: Path = Path("/var/log/pods")

    def check(self) -> None:
        """Raise KelpError where `proc` is no proc file system."""
        if not (self.proc / "stat").exists():
            raise KelpError(
                f"{self.proc}: expected a proc file system with the file stat; found none. "
                "Name the place of the node's with --proc"
            )

    @property
    def node_net(self) -> Path:
        """The network files of the node itself: its first process's, where that can be seen.

        /proc/net is a link to the reader's own namespace, which in a container is another.
        """
        first = self.proc / "1" / "net"
        return first if first.is_dir() else self.proc / "net"


class Notes:
    """What a report lacks, as sentences for people; the same thing is counted, not repeated."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._said: dict[str, None] = {}

    def count(self, what: str, number: int = 1) -> None:
        """`what` begins with a noun in the plural: "processes hidden from this user"."""
        if number:
            self._counts[what] += number

    def say(self, sentence: str) -> None:
        """A sentence of its own, given once."""
        self._said[sentence] = None

    def texts(self) -> list[str]:
        """All notes, the sentences first."""
        return [*self._said, *(f"{n} {what}" for what, n in self._counts.items())]


def read_bytes(path: Path, notes: Notes | None = None) -> bytes | None:
    """The file, None where there is none or no right to it (which is noted)."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        return _read_up_to(fd, MAX_FILE_BYTES)
    except PermissionError:
        if notes is not None:
            notes.say(f"{path}: this user may not read it; run as root")
    except OSError as e:
        if not is_absent(e):
            raise KelpError(f"{path}: cannot read: {e.strerror or e}") from e
    return None


def read_text(path: Path, notes: Notes | None = None) -> str | None:
    r"""As read_bytes, as text; bytes that are no UTF-8 are shown as \xNN."""
    data = read_bytes(path, notes)
    return None if data is None else text(data)


def names_in(folder: Path) -> list[str]:
    """The names in a folder, in no order; raises OSError."""
    return [path.name for path in folder.iterdir()]


def text(data: bytes) -> str:
    r"""Bytes that somebody chose (names, paths, arguments) as text that JSON can hold."""
    return data.decode("utf-8", "backslashreplace")


def is_absent(error: OSError) -> bool:
    """Whether a file is not there: ended meanwhile, or not in this kernel, or switched off."""
    return error.errno in _ABSENT


_ABSENT = {
    errno.ENOENT,
    errno.ENOTDIR,
    errno.ESRCH,  # the process has ended
    errno.EINVAL,  # a zombie's network, a cgroup that is being removed
    errno.ENODEV,  # a cgroup that was removed while open
    errno.EOPNOTSUPP,  # PSI, switched off at boot
    errno.ENXIO,
}


class Folder:
    """A folder of /proc held open: should its pid be given to another process, reads find none.

    Raises OSError on opening where the folder is not there. A context manager.
    """

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def __enter__(self) -> Folder:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)

    def read(self, name: str, limit: int = MAX_FILE_BYTES) -> bytes:
        """The file `name`, its first `limit` bytes; raises OSError."""
        return _read_up_to(os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._fd), limit)

    def link(self, name: str) -> str:
        """Where a symbolic link points to; raises OSError."""
        return os.readlink(name, dir_fd=self._fd)

    def links(self, name: str) -> list[tuple[str, str]]:
        """The links in a folder below, (name, target); raises OSError where it cannot be listed."""
        fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self._fd)
        found = []
        try:
            for entry in os.listdir(fd):  # noqa: PTH208 - pathlib knows no descriptors
                try:
                    found.append((entry, os.readlink(entry, dir_fd=fd)))
                except OSError:
                    continue  # closed meanwhile
        finally:
            os.close(fd)
        return found

    def inode(self, name: str) -> int:
        """The inode of a file below; raises OSError."""
        return os.stat(name, dir_fd=self._fd).st_ino


def _read_up_to(fd: int, limit: int) -> bytes:
    """What the descriptor has, in pieces: /proc/sys refuses a read with a large buffer. Closes."""
    pieces, size = [], 0
    try:
        while size < limit and (piece := os.read(fd, min(_PIECE_BYTES, limit - size))):
            pieces.append(piece)
            size += len(piece)
    finally:
        os.close(fd)
    return b"".join(pieces)


def key_values(data: str) -> dict[str, int]:
    """`name value` a line, as memory.stat, cpu.stat and vmstat have it; other lines are skipped."""
    found = {}
    for line in data.splitlines():
        parts = line.split()
        if len(parts) == 2 and parts[1].isdecimal():
            found[parts[0]] = int(parts[1])
    return found
