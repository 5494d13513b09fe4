"""`kelp node pressure`: how long work stood still for want of CPU, memory or I/O (PSI).

`some`: at least one task waited; `full`: all that could have run did. The averages are percent of
the last 10, 60 and 300 seconds, the total is microseconds since boot.

Format: https://docs.kernel.org/accounting/psi.html
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

from msgspec import Struct, field

from kelp.base.clock import Clock
from kelp.base.podnames import PodNames
from kelp.node.host.cgroups import CgroupKind, kind_of
from kelp.node.host.hierarchy import Hierarchy, walk
from kelp.node.host.owner import Owner, Owners, owned
from kelp.node.host.reading import Notes, Roots, text
from kelp.node.host.report import Report, timestamp
from kelp.node.host.selection import EVERYTHING, Selection

RESOURCES = ("cpu", "memory", "io", "irq")

_NO_PSI = (
    "this kernel tells no pressure: it was built without CONFIG_PSI (before 4.20 there is none)"
)
_PSI_OFF = (
    "pressure is switched off in this kernel: boot it with psi=1 (its configuration has "
    "CONFIG_PSI_DEFAULT_DISABLED)"
)
_NO_CGROUP_PSI = "pressure by pod needs cgroup v2; this node's pods are in cgroup v1"


class Stall(Struct, frozen=True):
    """One line of PSI: percent of the last 10, 60, 300 seconds; total in seconds."""

    avg10: float
    avg60: float
    avg300: float
    total_s: float


class Pressure(Struct, frozen=True):
    """One resource. `full` is None where the kernel has no such line (cpu before 5.13)."""

    some: Stall | None = None
    full: Stall | None = None


class CgroupPressure(Owner, kw_only=True):
    """The pressure within one cgroup, by resource."""

    path: str
    kind: CgroupKind
    resources: dict[str, Pressure]


class PressureReport(Report, kw_only=True):
    """The whole node's by resource (empty: the kernel has none, the notes say why), and by pod."""

    resources: dict[str, Pressure]
    cgroups: list[CgroupPressure] = field(default_factory=list)


def _worst(resource: str) -> Callable[[CgroupPressure], Any]:
    def key(cgroup: CgroupPressure) -> object:
        some = cgroup.resources.get(resource, Pressure()).some
        return -(some.avg10 if some else 0.0)

    return key


SORTS: dict[str, Callable[[CgroupPressure], Any]] = {
    "pod": lambda c: (c.namespace or "~", c.pod or c.pod_uid or "~", c.path),
    "cpu": _worst("cpu"),
    "memory": _worst("memory"),
    "io": _worst("io"),
}


class PressureSampler:
    """Looks at the node, and with `by_pod` at each pod and container."""

    def __init__(
        self,
        roots: Roots,
        clock: Clock,
        selection: Selection = EVERYTHING,
        sort: str = "pod",
        *,
        by_pod: bool = True,
    ) -> None:
        self._roots = roots
        self._clock = clock
        self._selection = selection
        self._key = SORTS[sort]
        self._by_pod = by_pod

    def sample(self) -> PressureReport:
        """Look now."""
        notes = Notes()
        resources = read_pressure(self._roots, notes)
        cgroups = self._cgroups(notes) if self._by_pod and resources else []
        return PressureReport(
            time=timestamp(self._clock.now_ns()),
            resources=resources,
            cgroups=sorted(cgroups, key=self._key),
            notes=notes.texts(),
        )

    def _cgroups(self, notes: Notes) -> list[CgroupPressure]:
        hierarchy = Hierarchy.of(self._roots.sys)
        if hierarchy.unified is None:
            notes.say(_NO_CGROUP_PSI)
            return []
        owners = Owners(PodNames(self._roots.pods))
        found = []
        for path in walk(hierarchy.unified, notes):
            owner, kind = owners.of_path(path), kind_of(path)
            if kind in ("pod", "container") and self._selection.takes(owner):
                resources = _read_all(hierarchy.unified / path[1:], "{}.pressure", Notes())
                if resources:
                    found.append(owned(CgroupPressure(path=path, kind=kind, resources=resources),
                                       owner))  # fmt: skip
        if not found and hierarchy.controllers:
            notes.say(_NO_CGROUP_PSI)
        owners.tell(notes)
        return found


def read_pressure(roots: Roots, notes: Notes) -> dict[str, Pressure]:
    """The node's by resource; empty with a note where the kernel has none."""
    if not (roots.proc / "pressure").is_dir():
        notes.say(_NO_PSI)
        return {}
    return _read_all(roots.proc / "pressure", "{}", notes)


def parse_pressure(data: str) -> Pressure:
    """`some avg10=0.00 avg60=0.00 avg300=0.00 total=0`, and `full` likewise."""
    stalls = {}
    for line in data.splitlines():
        kind, *words = line.split() or [""]
        pairs = dict(word.split("=", 1) for word in words if "=" in word)
        try:
            stalls[kind] = Stall(
                float(pairs["avg10"]),
                float(pairs["avg60"]),
                float(pairs["avg300"]),
                int(pairs["total"]) / 1e6,
            )
        except (KeyError, ValueError):
            continue
    return Pressure(stalls.get("some"), stalls.get("full"))


def _read_all(folder: Path, name: str, notes: Notes) -> dict[str, Pressure]:
    found = {}
    for resource in RESOURCES:
        pressure = _read(folder / name.format(resource), notes)
        if pressure is not None and (pressure.some or pressure.full):
            found[resource] = pressure
    return found


def _read(path: Path, notes: Notes) -> Pressure | None:
    try:
        return parse_pressure(text(path.read_bytes()))
    except OSError as e:
        if e.errno == errno.EOPNOTSUPP:
            notes.say(_PSI_OFF)
        elif isinstance(e, PermissionError):
            notes.say(f"{path}: this user may not read it; run as root")
        return None
