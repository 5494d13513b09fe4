"""The screen of `top`."""

from __future__ import annotations

from collections.abc import Iterator

from kelp.node.host.memory import Memory
from kelp.node.host.process import Process
from kelp.node.host.show.table import aligned, container, fixed, seconds, short, whose
from kelp.node.host.top import TopReport

_COLUMNS = (
    ">PID",
    "USER",
    "S",
    ">%CPU",
    ">%MEM",
    ">RES",
    ">THR",
    ">TIME",
    "POD",
    "CONTAINER",
    "COMMAND",
)


def lines(report: TopReport, width: int | None = None, rows: int | None = None) -> Iterator[str]:
    """The header, and the first `rows` processes (None: all)."""
    yield from header(report)
    yield ""
    yield from aligned(_COLUMNS, map(_row, report.processes[:rows]), width)


def header(report: TopReport) -> Iterator[str]:
    """When, load, tasks, CPU, memory."""
    load, tasks, cpu = report.load, report.tasks, report.cpu
    averages = f"{load.load1:.2f}, {load.load5:.2f}, {load.load15:.2f}" if load else "unknown"
    yield (
        f"{report.time}  up {seconds(report.uptime_s)}, {report.cpus} CPUs, "
        f"load average: {averages}"
    )
    yield (
        f"Tasks: {tasks.total} total, {tasks.running} running, {tasks.sleeping} sleeping, "
        f"{tasks.stopped} stopped, {tasks.zombie} zombie"
    )
    yield (
        f"%Cpu: {cpu.us:.1f} us, {cpu.sy:.1f} sy, {cpu.ni:.1f} ni, {cpu.id:.1f} id, "
        f"{cpu.wa:.1f} wa, {cpu.hi:.1f} hi, {cpu.si:.1f} si, {cpu.st:.1f} st"
    )
    yield from _memory(report.memory)


def _memory(memory: Memory) -> Iterator[str]:
    yield (
        f"Mem: {short(memory.total_bytes)} total, {short(memory.free_bytes)} free, "
        f"{short(memory.used_bytes)} used, {short(memory.buff_cache_bytes)} buff/cache, "
        f"{short(memory.available_bytes)} available"
    )
    yield (
        f"Swap: {short(memory.swap_total_bytes)} total, {short(memory.swap_free_bytes)} free, "
        f"{short(memory.swap_used_bytes)} used"
    )


def _row(process: Process) -> tuple[object, ...]:
    return (
        process.pid,
        user(process),
        process.state,
        fixed(process.cpu_percent),
        fixed(process.memory_percent),
        short(process.rss_bytes),
        process.threads,
        seconds(process.cpu_s),
        whose(process),
        container(process),
        command(process),
    )


def user(process: Process) -> object:
    """The name, else the number."""
    return process.user or process.uid


def command(process: Process) -> str:
    """The arguments; a zombie has none left, and is marked as ps marks it."""
    return f"{process.command} <defunct>" if process.zombie else process.command
