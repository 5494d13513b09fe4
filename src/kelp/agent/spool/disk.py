"""The few things the spool does to a file system, behind one small surface.

Every step that can fail or be cut short by a kill is one method, so that tests can let each of them
fail, or die before and after it. Left out: reading, which changes nothing and stands where it is
used.
"""

from __future__ import annotations

import os
from pathlib import Path

from kelp.base.files import fsync_dir


class Disk:
    """The machine's own file system; every method raises OSError."""

    def __init__(self, fsync: bool = True) -> None:
        """`fsync` False leaves it to the machine when to write (the spool's policy `never`)."""
        self.fsync = fsync

    def write(self, path: Path, data: memoryview) -> None:
        """Make `path` hold `data` and nothing else; durable after the folder's `sync` too."""
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            while data:
                data = data[os.write(fd, data) :]
            if self.fsync:
                os.fsync(fd)
        finally:
            os.close(fd)

    def sync(self, folder: Path) -> None:
        """Make the names in a folder durable."""
        if self.fsync:
            fsync_dir(folder)

    def rename(self, old: Path, new: Path) -> None:
        """Give a file another name in the same file system; an existing `new` is replaced."""
        old.replace(new)

    def empty(self, path: Path) -> None:
        """Give a file's space back while its name stays; works on a full disk."""
        os.truncate(path, 0)

    def remove(self, path: Path) -> None:
        """Take a file away; fine where there is none."""
        path.unlink(missing_ok=True)
