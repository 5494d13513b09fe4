"""How often the kernel has killed, by pod: the `oom_kill` counters of the memory cgroups.

cgroup v2 keeps it in `memory.events`, and a parent's counts for its children, those that are gone
too; v1 in `memory.oom_control`, each cgroup for itself. Where the pods' cgroups lie depends on the
driver, and on what the node itself runs in: the folders named `…kubepods` or `…kubepods.slice`.

Formats: `Documentation/admin-guide/cgroup-v2.rst`, `Documentation/admin-guide/cgroup-v1/memory.rst`
(the counter is there since Linux 4.13).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from kelp.base.cgroup import Place, locate

# Far above what a node runs; a bound against a tree that something else has made.
_MAX_CGROUPS = 20_000
_MAX_DEPTH = 4  # of the pods' cgroups below the hierarchy's root: a node may be a container itself
_NO_WAY_TO_PODS = (".service", ".scope", ".mount", ".socket", ".swap")


class Counts(msgspec.Struct):
    """Counts by cgroup, as the kernel prints its path; `total` of all pods together, v2 only."""

    pods: dict[str, int] = {}
    containers: dict[str, int] = {}
    total: dict[str, int] = {}

    def rises_since(self, before: Counts) -> Iterator[tuple[str, str, str, int]]:
        """(pod uid, container id, cgroup, count) of each kill between the two.

        A cgroup that is new began at zero. What the pods' own counts do not explain of the total
        is of pods that are gone; their uid is empty.
        """
        for path, count in self.pods.items():
            named = list(_rises(self._of_pod(path), before.containers))
            new = max(count - before.pods.get(path, 0), 0)
            for number in range(new):
                place = locate(path)
                container, cgroup = named[number] if number < len(named) else ("", path)
                yield place.pod_uid or "", container, cgroup, count - new + number + 1
        for path, count in self.total.items():
            new = count - before.total.get(path, 0) - self.rise_below(path, before)
            for number in range(new):
                yield "", "", path, count - new + number + 1

    def rise_below(self, root: str, before: Counts) -> int:
        """Kills in the pods of one root between the two."""
        return sum(
            max(count - before.pods.get(path, 0), 0)
            for path, count in self.pods.items()
            if path.startswith(root + "/")
        )

    def _of_pod(self, pod: str) -> dict[str, int]:
        return {p: n for p, n in self.containers.items() if p.startswith(pod + "/")}


def _rises(now: dict[str, int], before: dict[str, int]) -> Iterator[tuple[str, str]]:
    """(container id, cgroup) of each kill in a container."""
    for path, count in now.items():
        for _ in range(count - before.get(path, 0)):
            yield locate(path).container_id or "", path


def read_counts(root: Path, before: Counts) -> Counts | None:
    """The counts of now; None where the kernel has none, or does not show them.

    `before` spares the way through all cgroups where the total of v2 has not risen.
    """
    v2 = (root / "cgroup.controllers").exists()
    hierarchy = root if v2 else root / "memory"
    name = "memory.events" if v2 else "memory.oom_control"
    folders = list(_pod_roots(hierarchy))
    if not folders:
        return None
    total = {}
    if v2:
        for folder in folders:
            count = _oom_kills(folder / name)
            if count is not None:
                total[_path(hierarchy, folder)] = count
        if total == before.total and before.pods:
            return before
    counts = Counts(total=total)
    for folder in folders:
        _walk(hierarchy, folder, name, counts)
    if not v2:
        return _of_containers(counts, before)
    for path, count in counts.total.items():
        # The total was read first: what rose since is told by the pods, and no more by it.
        least = before.total.get(path, 0) + counts.rise_below(path, before)
        counts.total[path] = max(count, least)
    return counts


def _of_containers(counts: Counts, before: Counts) -> Counts:
    """v1: a pod's count is its containers', and what it was by those that are gone."""
    for pod in counts.pods:
        rise = sum(max(n - before.containers.get(p, 0), 0) for p, n in counts._of_pod(pod).items())
        counts.pods[pod] = before.pods.get(pod, 0) + rise
    return counts


def _pod_roots(hierarchy: Path, depth: int = _MAX_DEPTH) -> Iterator[Path]:
    for folder in _folders(hierarchy):
        if folder.name.endswith(("kubepods", "kubepods.slice")):
            yield folder
        elif depth > 1 and not folder.name.endswith(_NO_WAY_TO_PODS):
            yield from _pod_roots(folder, depth - 1)


def _walk(hierarchy: Path, folder: Path, name: str, counts: Counts) -> None:
    """Note the counts of a pod and its containers, or of those below."""
    for child in _folders(folder):
        if len(counts.containers) + len(counts.pods) >= _MAX_CGROUPS:
            return
        path = _path(hierarchy, child)
        place: Place = locate(path)
        if place.scope == "container":
            _note(counts.containers, path, child / name)
        else:
            if place.scope == "pod":
                _note(counts.pods, path, child / name)
            _walk(hierarchy, child, name, counts)


def _note(counts: dict[str, int], path: str, file: Path) -> None:
    count = _oom_kills(file)
    if count is not None:
        counts[path] = count


def _path(hierarchy: Path, folder: Path) -> str:
    return "/" + str(folder.relative_to(hierarchy))


def _folders(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            return [Path(e.path) for e in entries if e.is_dir(follow_symlinks=False)]
    except OSError:
        return []  # gone meanwhile, or nothing for us


def _oom_kills(file: Path) -> int | None:
    try:
        text = file.read_text()
    except (OSError, UnicodeDecodeError):
        return None
    for line in text.splitlines():
        key, _, value = line.partition(" ")
        if key == "oom_kill" and value.isdecimal():
            return int(value)
    return None
