"""Where the Kelp of this user runs just now, left in a small file by `kelp up`.

It lets plain `kelp logs` in the next terminal find a server that listens on another port, or keeps
its token in a temporary folder (`kelp up --demo`), and `kelp trace` its node's logs. A file whose
process is gone says nothing.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from kelp.base.files import write_durably


class Instance(msgspec.Struct, frozen=True):
    """A running `kelp up`."""

    url: str
    token_file: str
    pid: int
    # Where its agent reads and keeps its state; empty where an older Kelp wrote the file.
    pods_dir: str = ""
    data_dir: str = ""


def instance_path(environ: Mapping[str, str]) -> Path:
    """$XDG_RUNTIME_DIR/kelp/current.json, or kelp/current.json in $XDG_CACHE_HOME (~/.cache)."""
    folder = environ.get("XDG_RUNTIME_DIR") or environ.get("XDG_CACHE_HOME")
    base = Path(folder) if folder else Path(environ.get("HOME") or "/tmp", ".cache")
    return base / "kelp" / "current.json"


def announce(instance: Instance, path: Path) -> None:
    """Say that this instance runs; the newest one counts. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_durably(path, msgspec.json.encode(instance))


def withdraw(instance: Instance, path: Path) -> None:
    """Take the word back, where it is still this instance's."""
    if _read(path) == instance:
        path.unlink(missing_ok=True)


def find_instance(path: Path) -> Instance | None:
    """The instance that runs; None where none does, or none can be read."""
    instance = _read(path)
    return instance if instance is not None and _alive(instance.pid) else None


def _read(path: Path) -> Instance | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Instance)
    except (OSError, msgspec.MsgspecError):
        return None


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    except OverflowError:
        return False
    return pid > 0
