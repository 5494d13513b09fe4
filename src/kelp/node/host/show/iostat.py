"""The table of `iostat -x`."""

from __future__ import annotations

from collections.abc import Iterator

from kelp.node.host.disks import Disk, IostatReport
from kelp.node.host.show.table import aligned, fixed

_COLUMNS = (
    "DEVICE",
    ">r/s",
    ">w/s",
    ">rkB/s",
    ">wkB/s",
    ">rrqm/s",
    ">wrqm/s",
    ">d/s",
    ">f/s",
    ">r_await",
    ">w_await",
    ">await",
    ">aqu-sz",
    ">%util",
)


def lines(report: IostatReport, width: int | None = None, rows: int | None = None) -> Iterator[str]:
    """The first `rows` devices (None: all)."""
    yield from aligned(_COLUMNS, map(_row, report.devices[:rows]), width)


def _row(disk: Disk) -> tuple[object, ...]:
    figures = (
        disk.reads_per_s,
        disk.writes_per_s,
        disk.read_kb_per_s,
        disk.written_kb_per_s,
        disk.reads_merged_per_s,
        disk.writes_merged_per_s,
        disk.discards_per_s,
        disk.flushes_per_s,
        disk.read_await_ms,
        disk.write_await_ms,
        disk.await_ms,
        disk.aqu_sz,
        disk.util_percent,
    )
    return (disk.device, *(fixed(f, 2) for f in figures))
