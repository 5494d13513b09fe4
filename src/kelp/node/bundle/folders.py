"""What lies in the folders of pods' logs: names, sizes, times, targets of links; no contents."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from kelp.node.bundle.entry import AbsentError, Entry
from kelp.node.host.report import timestamp
from kelp.node.text import printable

# A node with 500 pods has some 5,000.
MAX_NAMES = 50_000
_MAX_DEPTH = 6


def folder_entries(pods: Path) -> Iterator[Entry]:
    """`pods/pods.txt` (/var/log/pods) and `pods/containers.txt` (the links beside it)."""
    yield Entry("pods/pods.txt", lambda: listing(pods))
    yield Entry("pods/containers.txt", lambda: listing(pods.parent / "containers"))


def listing(top: Path) -> bytes:
    """One line a file: size, time of the last change, path below `top`, target of a link.

    Raises AbsentError where there is no such folder.
    """
    if not top.is_dir():
        raise AbsentError(f"there is no folder {top}")
    lines: list[str] = []
    for line in _walk(top):
        if len(lines) == MAX_NAMES:
            lines.append(f"only {MAX_NAMES} are listed")
            break
        lines.append(line)
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "backslashreplace")


def _walk(top: Path) -> Iterator[str]:
    waiting: list[tuple[str, int]] = [("", 0)]
    while waiting:
        below, depth = waiting.pop()
        try:
            with os.scandir(top / below) as entries:
                found = sorted(entries, key=lambda e: e.name)
        except OSError as e:
            yield f"?  {printable(below)}: {e.strerror}"
            continue
        for entry in found:
            path = f"{below}/{entry.name}" if below else entry.name
            yield _line(entry, path)
            if depth < _MAX_DEPTH and entry.is_dir(follow_symlinks=False):
                waiting.append((path, depth + 1))


def _line(entry: os.DirEntry[str], path: str) -> str:
    try:
        status = entry.stat(follow_symlinks=False)
        target = f" -> {Path(entry.path).readlink()}" if entry.is_symlink() else ""
    except OSError as e:
        return f"?  {printable(path)}: {e.strerror}"
    kind = "/" if entry.is_dir(follow_symlinks=False) else ""
    size = f"{status.st_size:>12}  {timestamp(status.st_mtime_ns)}"
    return f"{size}  {printable(path)}{kind}{printable(target)}"
