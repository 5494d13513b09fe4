"""Where the cgroup file systems are, v1, v2 or both, and the cgroups in them.

Told by what lies in /sys/fs/cgroup and not by a table of mounts, which in a container names the
host's places: `cgroup.controllers` at the top is v2; otherwise each folder is a hierarchy of v1
(`cpu,cpuacct` with links `cpu` and `cpuacct`), and `unified` beside them is v2 without controllers.

https://systemd.io/CGROUP_DELEGATION (unified, hybrid, legacy)
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from kelp.node.host.reading import Notes, names_in, read_text

# kubelet's four levels, a node in a container's as many before, and what a container makes itself.
_MAX_DEPTH = 16
# A node with 500 pods has some 3,000.
MAX_CGROUPS = 65_536

_V1 = ("memory", "cpu", "cpuacct", "pids", "blkio")


class Hierarchy(Struct, frozen=True):
    """The tops: of v2 (None where there is none), and of v1 by controller."""

    unified: Path | None
    controllers: dict[str, Path]

    @classmethod
    def of(cls, sys: Path) -> Hierarchy:
        """What is mounted under a root of /sys."""
        top = sys / "fs" / "cgroup"
        if (top / "cgroup.controllers").exists():
            return cls(top, {})
        v1 = {c: top / c for c in _V1 if (top / c).is_dir()}
        for name in _listed(top):
            # Distributions that do not make the links.
            v1 |= {c: top / name for c in name.split(",") if c in _V1 and c not in v1}
        unified = top / "unified"
        return cls(unified if (unified / "cgroup.controllers").exists() else None, v1)

    @property
    def version(self) -> str | None:
        """v1, v2, hybrid (both; resources are v1's), or None where no cgroup is to be seen."""
        if self.controllers:
            return "hybrid" if self.unified else "v1"
        return "v2" if self.unified else None

    def tops(self) -> list[Path]:
        """The tops under which cgroups with resources are."""
        if self.controllers:
            return list(dict.fromkeys(self.controllers.values()))
        return [self.unified] if self.unified else []

    def has(self, controller: str) -> bool:
        """Whether there are figures of this controller at all."""
        if self.controllers:
            return controller in self.controllers
        top = read_text(self.unified / "cgroup.controllers") if self.unified else ""
        return controller in (top or "").split()


def walk(top: Path, notes: Notes) -> Iterator[str]:
    """The paths of all cgroups below `top`, `/` first, each as the kernel writes it."""
    waiting, seen = [""], 0
    while waiting:
        path = waiting.pop()
        seen += 1
        if seen > MAX_CGROUPS:
            notes.say(f"only {MAX_CGROUPS} cgroups were looked at")
            return
        yield path or "/"
        if path.count("/") < _MAX_DEPTH:
            waiting += [f"{path}/{name}" for name in _folders(top / path[1:], notes)]


def _folders(path: Path, notes: Notes) -> list[str]:
    try:
        with os.scandir(path) as entries:
            names = [e.name for e in entries if e.is_dir(follow_symlinks=False)]
    except PermissionError:
        notes.count("cgroups may not be listed by this user; run as root")
        return []
    except OSError:
        return []  # removed meanwhile
    return sorted((n for n in names if _is_text(n)), reverse=True)


def _is_text(name: str) -> bool:
    return name.isprintable()


def _listed(path: Path) -> list[str]:
    try:
        return sorted(names_in(path))
    except OSError:
        return []
