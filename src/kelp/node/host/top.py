"""`kelp node top`: who uses CPU and memory now, between two looks at all processes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from msgspec import Struct

from kelp.base.clock import Clock
from kelp.node.host.cpu import CpuSplit, KernelStat, read_kernel_stat, split
from kelp.node.host.load import Load, read_load, read_uptime_s
from kelp.node.host.memory import Memory, read_meminfo, summarise
from kelp.node.host.process import Process, Show
from kelp.node.host.processes import list_processes
from kelp.node.host.reading import Notes, Roots
from kelp.node.host.report import Report, timestamp
from kelp.node.host.selection import EVERYTHING, Selection

# `top` counts so: what sleeps, interruptibly or not, or idles.
_STATES = {"R": "running", "T": "stopped", "t": "stopped", "Z": "zombie", "X": "zombie"}

SORTS: dict[str, Callable[[Process], Any]] = {
    "cpu": lambda p: (-(p.cpu_percent or 0.0), -p.cpu_s),
    "memory": lambda p: -p.rss_bytes,
    "time": lambda p: -p.cpu_s,
    "threads": lambda p: -p.threads,
    "pod": lambda p: (not p.known, p.namespace or "", p.pod or p.pod_uid or "", p.pid),
    "pid": lambda p: p.pid,
}


class Tasks(Struct, frozen=True):
    """Processes by state; of the whole node, whatever is selected."""

    total: int
    running: int
    sleeping: int
    stopped: int
    zombie: int


class TopReport(Report, kw_only=True):
    """The header of `top` and its processes, in the order asked for."""

    uptime_s: float | None
    load: Load | None
    tasks: Tasks
    cpu: CpuSplit
    cpus: int
    memory: Memory
    processes: list[Process]


class TopSampler:
    """Each sample tells of the time since the one before; the first since boot."""

    def __init__(
        self,
        roots: Roots,
        clock: Clock,
        selection: Selection = EVERYTHING,
        sort: str = "cpu",
        show: Show | None = None,
    ) -> None:
        self._show = show
        self._roots = roots
        self._clock = clock
        self._selection = selection
        self._sort = SORTS[sort]
        self._before: dict[tuple[int, int], float] = {}
        self._stat = KernelStat()
        self._at: float | None = None

    def sample(self) -> TopReport:
        """Look now. The first sample has no CPU percent for each process."""
        notes = Notes()
        stat, now = read_kernel_stat(self._roots, notes), self._clock.monotonic()
        processes = list_processes(self._roots, notes, show=self._show)
        interval_s = None if self._at is None else now - self._at
        meminfo = read_meminfo(self._roots, notes)
        memory = summarise(meminfo)
        self._rate(processes, interval_s, memory.total_bytes)
        report = TopReport(
            time=timestamp(self._clock.now_ns()),
            interval_s=interval_s,
            uptime_s=read_uptime_s(self._roots, notes),
            load=read_load(self._roots, notes),
            tasks=count_tasks(processes),
            cpu=split(stat.cpu.since(self._stat.cpu)),
            cpus=len(stat.cpus),
            memory=memory,
            processes=sorted(filter(self._selection.takes, processes), key=self._sort),
            notes=notes.texts(),
        )
        self._stat, self._at = stat, now
        self._before = {(p.pid, p.start_ticks): p.cpu_s for p in processes}
        return report

    def _rate(self, processes: list[Process], interval_s: float | None, total: int) -> None:
        for process in processes:
            if total:
                process.memory_percent = round(process.rss_bytes * 100 / total, 1)
            if interval_s:
                # One that was not there before has used all its time since; its pid alone would
                # not tell, for pids come round.
                before = self._before.get((process.pid, process.start_ticks), 0.0)
                used = max(process.cpu_s - before, 0.0)
                process.cpu_percent = round(used * 100 / interval_s, 1)


def count_tasks(processes: list[Process]) -> Tasks:
    """Processes by state, as `top` counts them."""
    by = Counter(_STATES.get(p.state, "sleeping") for p in processes)
    return Tasks(len(processes), by["running"], by["sleeping"], by["stopped"], by["zombie"])
