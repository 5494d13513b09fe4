"""Cgroups as a table: usage beside limits."""

from __future__ import annotations

from collections.abc import Iterator

from kelp.node.host.cgroups import CgroupReport, CgroupUsage
from kelp.node.host.show.table import NONE, aligned, container, fixed, seconds, short, whose

_COLUMNS = (
    "POD",
    "CONTAINER",
    ">CPU",
    ">LIMIT",
    ">%THROTTLED",
    ">CPU TIME",
    ">MEM",
    ">WORKING",
    ">LIMIT",
    ">%",
    ">OOM",
    ">HITS",
    ">PIDS",
    ">READ",
    ">WRITTEN",
)


def lines(report: CgroupReport, width: int | None = None, rows: int | None = None) -> Iterator[str]:
    """The first `rows` cgroups (None: all)."""
    yield from aligned(_COLUMNS, map(_row, report.cgroups[:rows]), width)


def _row(c: CgroupUsage) -> tuple[object, ...]:
    return (
        whose(c) if c.kind in ("pod", "container") else c.path,
        container(c) if c.kind == "container" else NONE,
        fixed(c.cpu, 3),
        fixed(c.cpu_limit, 2),
        fixed(c.cpu_throttled_percent),
        seconds(c.cpu_s),
        short(c.memory_bytes),
        short(c.memory_working_set_bytes),
        short(c.memory_limit_bytes),
        fixed(c.memory_limit_percent),
        c.oom_kills,
        c.memory_limit_hits,
        c.pids,
        short(c.read_bytes),
        short(c.written_bytes),
    )
