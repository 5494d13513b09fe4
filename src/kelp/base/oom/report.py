"""One OOM report while it is read: what it has said so far, and what it may still say.

A report is a dozen kinds of lines in a fixed order, each at most once (but for rows, counters and
victims). So whether a line belongs to a report is seen from what the report already has; a line
that it cannot take begins another. Lines may be missing anywhere: rate limits, a buffer that went
round, a grep.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kelp.base.oom.calendar import Stamp
from kelp.base.oom.events import (
    Chosen,
    Cpu,
    Cpuset,
    Event,
    Exiting,
    GlobalMemory,
    Group,
    Invoked,
    Killed,
    LimitReached,
    NoVictim,
    ReapedLine,
    Row,
    Sharing,
    Stat,
    StatsOf,
    Summary,
    TableHead,
    TaskIn,
    UsageKind,
    UsageLine,
)
from kelp.base.oom.kill import Reaped, Trigger, Usage
from kelp.base.oom.line import KernelLine
from kelp.base.oom.tasks import TaskTable

_MAX_STATS = 512  # cgroups whose counters are kept (until 4.20 a pod's whole tree is printed)
_MAX_COUNTERS = 128  # of one cgroup; memory.stat has about 60
_MAX_VICTIMS = 16_384  # of one group


class Victim:
    """A process that the report names as killed."""

    def __init__(self, event: Killed | Exiting | Sharing, line: KernelLine) -> None:
        self.event = event
        self.line = line
        self.reaped: Reaped | None = None


class Report:
    """Everything that the lines of one OOM have said; `number` counts reports from 1."""

    def __init__(self, number: int, line: KernelLine) -> None:
        self.number = number
        self.host = line.host
        self.caller = line.caller
        self.last_boot_us = line.boot_us
        self.last_stamp: Stamp | None = line.stamp
        self.last_seen = 0
        self.trigger: Trigger | None = None
        self.kernel: str | None = None
        self.nodemask: str | None = None
        self.mems_allowed: str | None = None
        self.task_in: TaskIn | None = None
        self.limit_reached: LimitReached | None = None
        self.usages: dict[UsageKind, Usage] = {}
        self.global_memory = False
        self.stats: dict[str, dict[str, int]] = {}
        self.open_stats: dict[str, int] | None = None
        self.table = TaskTable()
        self.summary: Summary | None = None
        self.chosen: Chosen | None = None
        self.victims: list[Victim] = []
        self.group: Group | None = None
        self.no_victim: NoVictim | None = None
        # The line that says most: its time is the kill's where no victim's line has one.
        self.telling: KernelLine = line
        self.first_boot_us = line.boot_us
        self.has_beginning = False
        self._pids: set[int] = set()
        self._weight = 0

    @property
    def decided(self) -> bool:
        """Has the kernel said whom it kills, or that it kills none?"""
        return bool(self.victims) or self.no_victim is not None

    def same_source(self, line: KernelLine, *, any_caller: bool = False) -> bool:
        """Can this line be of the same machine and thread?"""
        if self.host is not None and line.host is not None and self.host != line.host:
            return False
        return any_caller or not (self.caller and line.caller and self.caller != line.caller)

    def names(self, pid: int) -> bool:
        """Has the report said that this process is, or may be, the victim?"""
        return (
            pid in self._pids
            or (self.summary is not None and self.summary.pid == pid)
            or (self.chosen is not None and self.chosen.pid == pid)
        )

    def killed(self, pid: int) -> bool:
        """Has the report said that this process was killed?"""
        return pid in self._pids

    def accepts(self, event: Event) -> bool:
        """Can this line be the report's?"""
        return _ACCEPTS[type(event)](self, event)

    def take(self, event: Event, line: KernelLine) -> None:
        """Note what the line says."""
        self.host = self.host or line.host
        self.last_boot_us = line.boot_us if line.boot_us is not None else self.last_boot_us
        self.last_stamp = line.stamp or self.last_stamp
        if not isinstance(event, (Stat, ReapedLine)):
            self.open_stats = None
        if isinstance(event, (Killed, Exiting, Sharing)):
            self._victim(event, line)
        else:
            _TAKE[type(event)](self, event)
        weight = _WEIGHT.get(type(event), 0)
        if weight > self._weight:
            self._weight, self.telling = weight, line

    def absorb(self, other: Report) -> None:
        """Take from a part of the same report, read as one of its own, what is missing here."""
        if self.trigger is None:
            self.trigger, self.kernel = other.trigger, other.kernel
            self.nodemask = self.nodemask or other.nodemask
            self.mems_allowed = self.mems_allowed or other.mems_allowed
            # What came later is the beginning of another printing, not the lost one of this.
            later = (other.first_boot_us or 0) > (self.first_boot_us or 0)
            self.has_beginning = other.has_beginning and not later
        self.table = self.table if self.table.has_rows else other.table
        self.stats = self.stats or other.stats
        self.usages = {**other.usages, **self.usages}
        self.task_in = self.task_in or other.task_in
        self.summary = self.summary or other.summary
        self.chosen = self.chosen or other.chosen

    def _invoked(self, event: Invoked) -> None:
        self.trigger = Trigger(
            process=event.process,
            gfp_mask=event.gfp_mask,
            order=event.order,
            oom_score_adj=event.oom_score_adj,
        )
        self.nodemask = event.nodemask
        self.has_beginning = True

    def _cpuset(self, event: Cpuset) -> None:
        self._trigger().cpuset, self.mems_allowed = event.cpuset, event.mems_allowed

    def _cpu(self, event: Cpu) -> None:
        self._trigger().pid, self.kernel = event.pid, event.kernel

    def _trigger(self) -> Trigger:
        if self.trigger is None:
            self.trigger = Trigger()
        return self.trigger

    def _is_trigger(self, process: str) -> bool:
        return self.trigger is not None and self.trigger.process == process

    def _cpuset_is_open(self) -> bool:
        return self.trigger is not None and self.trigger.cpuset is None and not self._past_usage()

    def _pid_is_open(self) -> bool:
        return self.trigger is not None and self.trigger.pid is None and not self._past_usage()

    def _past_cgroup(self) -> bool:
        return bool(self.usages) or self.global_memory or self._past_usage()

    def _past_usage(self) -> bool:
        return bool(self.stats) or self._past_stats()

    def _past_stats(self) -> bool:
        return self.table.has_rows or self._past_table()

    def _past_table(self) -> bool:
        return self.summary is not None or self.chosen is not None or self.decided

    def _accepts_kill(self, event: Chosen | Killed | Exiting) -> bool:
        if self.decided or (isinstance(event, Chosen) and self.chosen is not None):
            return False
        return self._agrees(event.memcg)

    def _accepts_no_victim(self, event: NoVictim) -> bool:
        return not self.victims and (self.no_victim is None or event.panic)

    def _accepts_summary(self, event: Summary) -> bool:
        if self.summary is not None or self.no_victim is not None:
            return False
        if self.victims:  # tools that sort lines put it after the kill
            return event.pid is not None and self.killed(event.pid)
        return self.chosen is None and self._agrees(not event.global_oom)

    def _agrees(self, memcg: bool | None) -> bool:
        mine = self.memcg
        return mine is None or memcg is None or mine == memcg

    @property
    def memcg(self) -> bool | None:
        """Was a memory cgroup's limit hit? None if nothing has said so or otherwise."""
        if self.summary is not None:
            return not self.summary.global_oom
        if self.task_in or self.limit_reached or "memory" in self.usages:
            return True
        said = [v.event.memcg for v in self.victims if isinstance(v.event, (Killed, Exiting))]
        for memcg in (*said, *(e.memcg for e in (self.chosen, self.no_victim) if e)):
            if memcg is not None:
                return memcg
        return False if self.global_memory else None

    def _stats_of(self, event: StatsOf) -> None:
        if len(self.stats) < _MAX_STATS:
            self.open_stats = self.stats.setdefault(event.cgroup, {})
            self.open_stats.update(event.counters)

    def _stat(self, event: Stat) -> None:
        if self.open_stats is not None and len(self.open_stats) < _MAX_COUNTERS:
            self.open_stats[event.name] = event.value

    def _victim(self, event: Killed | Exiting | Sharing, line: KernelLine) -> None:
        # With memory.oom.group the victim that was chosen is killed, and printed, once more.
        if event.pid not in self._pids and len(self.victims) < _MAX_VICTIMS:
            self._pids.add(event.pid)
            self.victims.append(Victim(event, line))

    def _reaped(self, event: ReapedLine) -> None:
        victim = next(v for v in self.victims if v.event.pid == event.pid)
        victim.reaped = Reaped(
            event.ok, event.anon_rss_bytes, event.file_rss_bytes, event.shmem_rss_bytes
        )


# For each kind of line: can a report with what it has still take one?
_ACCEPTS: dict[type, Callable[[Report, Any], bool]] = {
    Invoked: lambda r, e: False,
    Cpuset: lambda r, e: r._is_trigger(e.process) and r._cpuset_is_open(),
    Cpu: lambda r, e: r._is_trigger(e.process) and r._pid_is_open(),
    TaskIn: lambda r, e: not (r._past_cgroup() or r.task_in or r.limit_reached),
    LimitReached: lambda r, e: not (r._past_cgroup() or r.task_in or r.limit_reached),
    UsageLine: lambda r, e: not r._past_usage() and e.kind not in r.usages,
    GlobalMemory: lambda r, e: not r._past_usage() and not r.usages,
    StatsOf: lambda r, e: not r._past_stats(),
    Stat: lambda r, e: r.open_stats is not None,
    TableHead: lambda r, e: not r._past_stats() and r.table.columns is None,
    Row: lambda r, e: not r._past_table(),
    Summary: Report._accepts_summary,
    Chosen: Report._accepts_kill,
    Killed: Report._accepts_kill,
    Exiting: Report._accepts_kill,
    Sharing: lambda r, e: bool(r.victims or r.chosen),
    Group: lambda r, e: r.group is None and (bool(r.victims) or r.summary is not None),
    NoVictim: Report._accepts_no_victim,
    ReapedLine: lambda r, e: r.killed(e.pid),
}

# And what it notes of it. (A victim's line is kept whole, for its time.)
_TAKE: dict[type, Callable[[Report, Any], None]] = {
    Invoked: Report._invoked,
    Cpuset: Report._cpuset,
    Cpu: Report._cpu,
    TaskIn: lambda r, e: setattr(r, "task_in", e),
    LimitReached: lambda r, e: setattr(r, "limit_reached", e),
    UsageLine: lambda r, e: r.usages.__setitem__(e.kind, e.usage),
    GlobalMemory: lambda r, e: setattr(r, "global_memory", True),
    StatsOf: Report._stats_of,
    Stat: Report._stat,
    TableHead: lambda r, e: setattr(r.table, "columns", e.columns),
    Row: lambda r, e: r.table.add(e.pid, e.rest),
    Summary: lambda r, e: setattr(r, "summary", e),
    Chosen: lambda r, e: setattr(r, "chosen", e),
    Group: lambda r, e: setattr(r, "group", e),
    NoVictim: lambda r, e: setattr(r, "no_victim", e),
    ReapedLine: Report._reaped,
}

# How much a line says of the decision.
_WEIGHT: dict[type, int] = {
    Invoked: 1,
    LimitReached: 2,
    NoVictim: 3,
    TaskIn: 4,
    Summary: 5,
    Chosen: 6,
}
