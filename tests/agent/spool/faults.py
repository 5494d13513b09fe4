"""A disk that fails or dies at a chosen step, with the real file system beneath."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from kelp.agent.spool import Disk


class Killed(BaseException):
    """As if the process had got SIGKILL: nothing may catch it but the test."""


class FaultyDisk(Disk):
    """Counts its steps; at step `at` (from 1) it raises, before or after having done it.

    `written` is how much of the data a `write` still writes when it fails.
    """

    def __init__(self, at: int = 0, fault: BaseException | None = None, after: bool = False):
        super().__init__(fsync=False)
        self.at = at
        self.fault = fault or Killed()
        self.after = after
        self.steps: list[str] = []

    def write(self, path: Path, data: memoryview) -> None:
        self._step("write", lambda: super(FaultyDisk, self).write(path, data), path, data)

    def sync(self, folder: Path) -> None:
        self._step("sync", lambda: super(FaultyDisk, self).sync(folder))

    def rename(self, old: Path, new: Path) -> None:
        self._step("rename", lambda: super(FaultyDisk, self).rename(old, new))

    def empty(self, path: Path) -> None:
        self._step("empty", lambda: super(FaultyDisk, self).empty(path))

    def remove(self, path: Path) -> None:
        self._step("remove", lambda: super(FaultyDisk, self).remove(path))

    def _step(self, name, action, path: Path | None = None, data: memoryview | None = None) -> None:
        self.steps.append(name)
        if len(self.steps) != self.at:
            action()
            return
        if self.after:
            action()
        elif path is not None and data is not None:
            path.write_bytes(data[: len(data) // 2])
        raise self.fault


class FullDisk(Disk):
    """Writes fail with ENOSPC while `full` is set."""

    def __init__(self, code: int = errno.ENOSPC):
        super().__init__(fsync=False)
        self.code = code
        self.full = False

    def write(self, path: Path, data: memoryview) -> None:
        if self.full:
            path.write_bytes(data[:3])
            raise OSError(self.code, os.strerror(self.code), str(path))
        super().write(path, data)
