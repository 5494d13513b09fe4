"""A name found in a container's folder, and the file behind it."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from pathlib import Path

from kelp.agent.collect.paths import LogName


@dataclass(frozen=True, eq=False, slots=True)
class Found:
    """A name in the folder and the file behind it."""

    name: LogName
    path: Path
    device: int
    inode: int
    size: int  # on the disk
    mtime_ns: int
    settled_ns: int

    @property
    def id(self) -> tuple[int, int, int]:
        """Good enough to know a file again that nobody writes to."""
        return self.device, self.inode, self.mtime_ns


def find(path: Path, name: LogName) -> Found | None:
    """What is at `path`; None where it is no regular file. Raises OSError."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        return None
    settled = max(status.st_mtime_ns, status.st_ctime_ns)
    return Found(
        name, path, status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, settled
    )
