"""How full the file systems on the node's own disks are.

Only those: asking a network file system whose server is away blocks for ever, and what pods mount
comes and goes with them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct
from prometheus_client.metrics_core import Metric

from kelp.node.host.metrics.family import gauges
from kelp.node.host.reading import Roots, read_text

MAX_MOUNTS = 256

_TYPES = frozenset(
    {"bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "tmpfs", "vfat", "xfs", "zfs"}
)
_OF_PODS = re.compile(
    r"/(?:dev|proc|sys|run/credentials/.+|run/containerd/.+|run/netns|var/lib/docker/.+"
    r"|var/lib/containers/storage/.+|var/lib/containerd/.+|var/lib/kubelet/pods/.+)(?:$|/.*)"
)
_ESCAPE = re.compile(r"\\([0-7]{3})")

_LABELS = ("device", "fstype", "mountpoint")


class Mount(Struct, frozen=True):
    """A mounted file system with its figures, bytes and counts of inodes."""

    labels: tuple[str, str, str]
    size: float
    free: float
    available: float
    files: float
    files_free: float
    read_only: float


def filesystems(roots: Roots) -> Iterator[Metric]:
    """node_filesystem_*."""
    found = list(mounts(roots))
    for name, field, text in (
        ("size_bytes", "size", "Size"),
        ("free_bytes", "free", "Free, what is kept for root included"),
        ("avail_bytes", "available", "Free for everyone"),
        ("files", "files", "Inodes"),
        ("files_free", "files_free", "Free inodes"),
        ("readonly", "read_only", "Whether it is mounted read-only"),
    ):
        samples = ((m.labels, getattr(m, field)) for m in found)
        yield gauges(f"node_filesystem_{name}", text, _LABELS, samples)


def mounts(roots: Roots) -> Iterator[Mount]:
    """Each device at each of its places once: of two mounts at one place the upper answers."""
    root, table = _view(roots)
    seen: set[tuple[str, str]] = set()
    for device, place, kind, options in parse_mounts(table):
        wanted = kind in _TYPES and not _OF_PODS.fullmatch(place)
        if not wanted or len(seen) >= MAX_MOUNTS or (device, place) in seen:
            continue
        found = _ask(root + place, (device, kind, place), "ro" in options.split(","))
        if found is not None:
            seen.add((device, place))
            yield found


def _view(roots: Roots) -> tuple[str, str]:
    """The node's root folder as its first process sees it, where it may be seen, and its mounts."""
    first = roots.proc / "1"
    root = first / "root"
    if os.access(root, os.R_OK | os.X_OK):
        return str(root), read_text(first / "mounts") or ""
    return "", read_text(roots.proc / "self" / "mounts") or ""


def parse_mounts(table: str) -> Iterator[tuple[str, str, str, str]]:
    """Device, place, type and options of each line of /proc/mounts; blanks in it are octal."""
    for line in table.splitlines():
        words = line.split()
        if len(words) >= 4:
            yield _plain(words[0]), _plain(words[1]), words[2], words[3]


def _plain(word: str) -> str:
    return _ESCAPE.sub(lambda m: chr(int(m[1], 8)), word)


def _ask(path: str, labels: tuple[str, str, str], read_only: bool) -> Mount | None:
    try:
        s = os.statvfs(Path(path))
    except OSError:
        return None  # unmounted meanwhile, or no right
    unit = s.f_frsize
    return Mount(
        labels=labels,
        size=float(s.f_blocks * unit),
        free=float(s.f_bfree * unit),
        available=float(s.f_bavail * unit),
        files=float(s.f_files),
        files_free=float(s.f_ffree),
        read_only=float(read_only),
    )
