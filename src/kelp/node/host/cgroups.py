"""`kelp node cgroups`: what each pod and container uses, against its limits, by the kernel's books.

The figures by which the kernel throttles and kills are those of cgroups, not of processes: page
cache and tmpfs count there. Cgroups are found by their paths (both drivers, all runtimes).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal

from msgspec import structs

from kelp.base.cgroup import locate
from kelp.base.clock import Clock
from kelp.base.podnames import PodNames
from kelp.node.host.cgroupstat import Counters, read_counters
from kelp.node.host.hierarchy import Hierarchy, walk
from kelp.node.host.owner import Owners, owned
from kelp.node.host.reading import Notes, Roots
from kelp.node.host.report import Report, timestamp
from kelp.node.host.selection import EVERYTHING, Selection

CgroupKind = Literal["container", "pod", "qos", "kubepods", "unit", "other"]

_CONMON = ("crio-conmon-", "libpod-conmon-")

_NO_CGROUPS = "no cgroup file system under --sys: nothing is known of pods' limits and usage"
_NO_PODS = "no pod's or container's cgroup on this node; --all shows services"


class CgroupUsage(Counters, kw_only=True):
    """A cgroup's counters (see Counters), and its rates over the report's interval.

    `cpu` is CPUs used on average; `cpu_throttled_percent` the part of the scheduler's periods in
    which it was made to wait; both None where no interval was asked for.
    """

    path: str
    kind: CgroupKind
    cpu: float | None = None
    cpu_throttled_percent: float | None = None
    memory_limit_percent: float | None = None
    read_bytes_per_s: float | None = None
    written_bytes_per_s: float | None = None


class CgroupReport(Report, kw_only=True):
    """`version` is v1, v2 or hybrid; None where no cgroup is to be seen."""

    version: str | None
    cgroups: list[CgroupUsage]


def _falling(value: Callable[[CgroupUsage], float | None]) -> Callable[[CgroupUsage], Any]:
    return lambda c: (-(value(c) or 0.0), c.path)


SORTS: dict[str, Callable[[CgroupUsage], Any]] = {
    "pod": lambda c: (c.namespace or "~", c.pod or c.pod_uid or "~", c.path),
    "cpu": _falling(lambda c: c.cpu if c.cpu is not None else c.cpu_s),
    "throttled": _falling(lambda c: c.cpu_throttled_s),
    "memory": _falling(lambda c: c.memory_working_set_bytes),
    "limit": _falling(lambda c: c.memory_limit_percent),
    "oom": _falling(lambda c: c.oom_kills),
    "pids": _falling(lambda c: c.pids),
    "io": _falling(lambda c: (c.read_bytes or 0) + (c.written_bytes or 0)),
}


class CgroupSampler:
    """Rates are of the time since the sample before; the first has none."""

    def __init__(
        self,
        roots: Roots,
        clock: Clock,
        selection: Selection = EVERYTHING,
        sort: str = "pod",
        *,
        everything: bool = False,
    ) -> None:
        """`everything` takes QoS classes and services in too."""
        self._roots = roots
        self._clock = clock
        self._selection = selection
        self._key = SORTS[sort]
        self._kinds = _ALL_KINDS if everything else ("pod", "container")
        self._before: dict[str, CgroupUsage] = {}
        self._at: float | None = None

    def sample(self) -> CgroupReport:
        """Look now."""
        notes = Notes()
        hierarchy = Hierarchy.of(self._roots.sys)
        now = self._clock.monotonic()
        interval_s = None if self._at is None else now - self._at
        cgroups = list(self._cgroups(hierarchy, notes))
        if hierarchy.version is None:
            notes.say(_NO_CGROUPS)
        elif not cgroups and self._selection.all:
            notes.say(_NO_PODS)
        for cgroup in cgroups:
            _rate(cgroup, self._before.get(cgroup.path), interval_s)
        self._before, self._at = {c.path: c for c in cgroups}, now
        return CgroupReport(
            time=timestamp(self._clock.now_ns()),
            interval_s=interval_s,
            version=hierarchy.version,
            cgroups=sorted(cgroups, key=self._key),
            notes=notes.texts(),
        )

    def _cgroups(self, hierarchy: Hierarchy, notes: Notes) -> Iterator[CgroupUsage]:
        owners = Owners(PodNames(self._roots.pods))
        paths = dict.fromkeys(p for top in hierarchy.tops() for p in walk(top, notes))
        for path in paths:
            kind = kind_of(path)
            if kind not in self._kinds:
                continue
            owner = owners.of_path(path)
            if self._selection.takes(owner):
                counters = structs.asdict(read_counters(hierarchy, path, notes))
                yield owned(CgroupUsage(path=path, kind=kind, **counters), owner)
        owners.tell(notes)


_ALL_KINDS = ("pod", "container", "qos", "kubepods", "unit")


def kind_of(path: str) -> CgroupKind:
    """What a cgroup itself is; `other` for one within a container, and for what is nobody's."""
    place, name = locate(path), path.rpartition("/")[2]
    if name.startswith(_CONMON):
        return "other"  # the runtime's monitor, named by the container that it watches
    if place.scope in ("container", "pod"):
        return place.scope if place != locate(path.rpartition("/")[0]) else "other"
    if place.scope in ("qos", "kubepods"):
        return place.scope
    return "unit" if name.endswith(".service") else "other"


def _rate(now: CgroupUsage, before: CgroupUsage | None, interval_s: float | None) -> None:
    if now.memory_limit_bytes and now.memory_working_set_bytes is not None:
        now.memory_limit_percent = round(
            now.memory_working_set_bytes * 100 / now.memory_limit_bytes, 1
        )
    if before is None or not interval_s:
        return
    now.cpu = _per_s(now.cpu_s, before.cpu_s, interval_s)
    now.read_bytes_per_s = _per_s(now.read_bytes, before.read_bytes, interval_s)
    now.written_bytes_per_s = _per_s(now.written_bytes, before.written_bytes, interval_s)
    periods = _per_s(now.cpu_periods, before.cpu_periods, 1.0)
    throttled = _per_s(now.cpu_throttled_periods, before.cpu_throttled_periods, 1.0)
    if periods is not None and throttled is not None:
        now.cpu_throttled_percent = round(throttled * 100 / periods, 1) if periods else 0.0


def _per_s(now: float | None, before: float | None, seconds: float) -> float | None:
    """None where it is not counted; 0 where it went back (a container's cgroup made anew)."""
    if now is None or before is None:
        return None
    return max(now - before, 0) / seconds
