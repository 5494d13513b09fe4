"""Pressure as a table: the node first, then its pods and containers."""

from __future__ import annotations

from collections.abc import Iterator

from kelp.node.host.pressure import CgroupPressure, Pressure, PressureReport
from kelp.node.host.show.table import NONE, aligned, container, fixed, whose

_NODE = ("RESOURCE", "", ">avg10", ">avg60", ">avg300", ">total s")
_PODS = (
    "POD",
    "CONTAINER",
    ">cpu",
    ">cpu full",
    ">memory",
    ">memory full",
    ">io",
    ">io full",
)


def lines(
    report: PressureReport, width: int | None = None, rows: int | None = None
) -> Iterator[str]:
    """The node's table; where there are pods a second with the averages of the last 10 seconds."""
    if report.resources:
        yield from aligned(_NODE, _node(report.resources), width)
    if report.cgroups:
        yield ""
        yield from aligned(_PODS, map(_pod, report.cgroups[:rows]), width)


def _node(resources: dict[str, Pressure]) -> Iterator[tuple[object, ...]]:
    for name, pressure in resources.items():
        for kind, stall in (("some", pressure.some), ("full", pressure.full)):
            if stall is not None:
                averages = (fixed(x, 2) for x in (stall.avg10, stall.avg60, stall.avg300))
                yield (name, kind, *averages, fixed(stall.total_s, 3))


def _pod(cgroup: CgroupPressure) -> tuple[object, ...]:
    figures = []
    for name in ("cpu", "memory", "io"):
        pressure = cgroup.resources.get(name, Pressure())
        figures += [s and fixed(s.avg10, 2) for s in (pressure.some, pressure.full)]
    return (whose(cgroup), NONE if cgroup.kind == "pod" else container(cgroup), *figures)
