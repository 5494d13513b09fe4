"""The table of `ps`."""

from __future__ import annotations

from collections.abc import Iterator

from kelp.node.host.ps import Listed, PsReport
from kelp.node.host.show.table import aligned, container, seconds, short, whose
from kelp.node.host.show.top import command, user

_COLUMNS = (
    "USER",
    ">PID",
    ">PPID",
    "S",
    ">RSS",
    "STARTED",
    ">TIME",
    "POD",
    "CONTAINER",
    "COMMAND",
)
_MAX_INDENT = 40  # deeper ones would push their commands out of sight


def lines(report: PsReport, width: int | None = None, rows: int | None = None) -> Iterator[str]:
    """The first `rows` processes (None: all)."""
    yield from aligned(_COLUMNS, map(_row, report.processes[:rows]), width)


def _row(process: Listed) -> tuple[object, ...]:
    return (
        user(process),
        process.pid,
        process.ppid,
        process.state,
        short(process.rss_bytes),
        process.started and process.started[:19] + "Z",
        seconds(process.cpu_s),
        whose(process),
        container(process),
        " " * min(2 * process.depth, _MAX_INDENT) + command(process) + _neglected(process),
    )


def _neglected(process: Listed) -> str:
    """Who has not asked how a zombie ended: that process has the fault."""
    if not process.zombie:
        return ""
    return f" (parent {process.ppid} {process.parent or 'unknown'} does not wait for it)"
