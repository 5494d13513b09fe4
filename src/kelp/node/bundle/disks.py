"""How full the disks are: bytes and inodes by file system, as `df` and `df -i` have it."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from kelp.node.bundle.entry import Entry
from kelp.node.host.metrics.filesystems import Mount, mounts
from kelp.node.host.reading import Roots
from kelp.node.host.show.table import aligned, short

_COLUMNS = ("MOUNTED ON", "DEVICE", "TYPE", ">SIZE", ">AVAIL", ">USE%", ">INODES", ">FREE", ">USE%")


def disk_entries(roots: Roots) -> Iterator[Entry]:
    """`disks.json` and `disks.txt`: local file systems that are no pods'."""
    yield Entry("disks.json", lambda: msgspec.json.encode([_plain(m) for m in mounts(roots)]))
    yield Entry("disks.txt", lambda: _table(list(mounts(roots))))


def _plain(m: Mount) -> dict[str, object]:
    device, kind, place = m.labels
    return {
        "mountpoint": place,
        "device": device,
        "fstype": kind,
        "size_bytes": int(m.size),
        "free_bytes": int(m.free),
        "available_bytes": int(m.available),
        "inodes": int(m.files),
        "free_inodes": int(m.files_free),
        "read_only": bool(m.read_only),
    }


def _table(found: list[Mount]) -> bytes:
    return "".join(f"{line}\n" for line in aligned(_COLUMNS, map(_row, found))).encode(
        "utf-8", "backslashreplace"
    )


def _row(m: Mount) -> tuple[object, ...]:
    device, kind, place = m.labels
    return (
        place,
        device,
        kind,
        short(m.size),
        short(m.available),
        _used(m.size, m.available),
        int(m.files),
        int(m.files_free),
        _used(m.files, m.files_free),
    )


def _used(of: float, free: float) -> str | None:
    return f"{(of - free) * 100 / of:.0f}" if of else None
