"""One server for one embedded store: the engine would not notice a second one in time."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from kelp.base.errors import KelpError


class StoreLock:
    """Holds DIRECTORY/kelp.lock until closed; the system lets go of it when the process dies."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._path = directory / "kelp.lock"
        self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as e:
            holder = os.pread(self._fd, 20, 0).decode(errors="replace").strip() or "unknown"
            os.close(self._fd)
            raise KelpError(
                f"expected the store {directory} for this server alone; it is open in process "
                f"{holder}: stop that one, or give this one its own --data-dir"
            ) from e
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, str(os.getpid()).encode(), 0)

    def close(self) -> None:
        """Let the next one in."""
        os.close(self._fd)
