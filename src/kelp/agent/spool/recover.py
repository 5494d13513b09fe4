"""Putting the spool right after a kill or a power loss: files and rows are made to agree.

Names in the folder of segments

    SEQ.segment        counts if the index has a row for it; else it was being written at a kill
    SEQ.acknowledged   delivered, emptied to make room on a full disk, not yet forgotten

Other names are somebody else's and stay untouched.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from kelp.agent.spool.disk import Disk
from kelp.agent.spool.index import Entry, Index

_log = logging.getLogger(__name__)


class Folders:
    """Where things lie in the spool."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.segments = root / "segments"
        self.refused = root / "refused"
        self.damaged = root / "damaged"
        self.index = root / "index.sqlite"
        self.lock = root / "lock"

    def make(self) -> None:
        """Make what is missing; only the owner may look inside, for logs hold secrets."""
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        for folder in (self.segments, self.refused, self.damaged):
            folder.mkdir(mode=0o700, exist_ok=True)

    def segment(self, seq: int) -> Path:
        """The file of a segment; 20 digits, so that names sort as numbers."""
        return self.segments / f"{seq:020d}.segment"

    def emptied(self, seq: int) -> Path:
        """The name of a delivered segment whose space was given back."""
        return self.segments / f"{seq:020d}.acknowledged"

    def aside_sizes(self) -> Iterator[int]:
        """Sizes of what was set aside."""
        for folder in (self.refused, self.damaged):
            with os.scandir(folder) as found:
                yield from (f.stat().st_size for f in found)


@dataclass
class Found:
    """What there was."""

    sizes: list[int] = field(default_factory=list)  # of the segments that count
    lost: list[Entry] = field(default_factory=list)


def recover(folders: Folders, index: Index, disk: Disk) -> Found:
    """Remove files without a row and rows without a file; log and return what was lost."""
    found = Found()
    gone = []
    files = _files(folders.segments)
    for entry in index.entries():
        name = folders.segment(entry.seq).name
        if name in files:
            files.remove(name)
            found.sizes.append(entry.bytes)
            continue
        if not _was_handled(folders, files, entry.seq):
            found.lost.append(entry)
        gone.append(entry.seq)
    if gone:
        index.remove(gone)
    for name in files:
        disk.remove(folders.segments / name)
    if found.lost:
        _log.error(
            "segments are missing in the spool; their records are lost",
            extra={
                "segments": len(found.lost),
                "records": sum(e.records for e in found.lost),
                "first_seq": found.lost[0].seq,
                "last_seq": found.lost[-1].seq,
            },
        )
    return found


def _files(folder: Path) -> set[str]:
    names = os.listdir(folder)  # noqa: PTH208 - plain names: there may be 200,000
    return {n for n in names if n.endswith((".segment", ".acknowledged")) and n[:20].isdigit()}


def _was_handled(folders: Folders, files: set[str], seq: int) -> bool:
    name = folders.segment(seq).name
    return folders.emptied(seq).name in files or any(
        (folder / name).exists() for folder in (folders.refused, folders.damaged)
    )
