"""Reports as text for people: one module a subject, each with a function `lines`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from kelp.node.host.show import cgroups, iostat, pressure, ps, route, ss, top, vmstat


def text_of(name: str, report: Any) -> Iterator[str]:
    """All of a report, by its name of `kelp node`, without a terminal's width."""
    return _LINES[name](report)


def _vmstat(report: Any) -> Iterator[str]:
    yield vmstat.heading()
    yield vmstat.line(report)


def _ss(report: Any) -> Iterator[str]:
    return ss.lines(report, processes=True, timers=True)


_LINES: dict[str, Callable[[Any], Iterator[str]]] = {
    "top": top.lines,
    "ps": ps.lines,
    "iostat": iostat.lines,
    "vmstat": _vmstat,
    "ss": _ss,
    "route": route.lines,
    "pressure": pressure.lines,
    "cgroups": cgroups.lines,
}
