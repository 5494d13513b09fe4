"""What one kernel line of an OOM report says: one type a line, as the grammar gives them.

The order of the types is the order in which the kernel prints them.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from kelp.base.oom.kill import Usage

UsageKind = Literal["memory", "memory+swap", "kmem", "swap"]


class Invoked(Struct, frozen=True):
    """ "X invoked oom-killer": a report begins."""

    process: str
    gfp_mask: str | None
    order: int | None
    oom_score_adj: int | None
    nodemask: str | None


class Cpuset(Struct, frozen=True):
    """ "X cpuset=… mems_allowed=…" of the triggering process (until 4.20)."""

    process: str
    cpuset: str
    mems_allowed: str


class Cpu(Struct, frozen=True):
    """ "CPU: … PID: … Comm: …": the triggering process's pid, and the kernel's release."""

    pid: int
    process: str
    kernel: str | None


class TaskIn(Struct, frozen=True):
    """ "Task in A killed as a result of limit of B" (until 4.20, and some later vendor kernels)."""

    task_cgroup: str
    oom_cgroup: str | None


class LimitReached(Struct, frozen=True):
    """ "Memory limit reached of cgroup B": no victim (3.19 to 4.20)."""

    oom_cgroup: str


class UsageLine(Struct, frozen=True):
    """ "memory: usage …, limit …, failcnt …" and its like: a memory cgroup's limit was hit."""

    kind: UsageKind
    usage: Usage


class GlobalMemory(Struct, frozen=True):
    """ "Mem-Info:": the machine's memory is listed, so no memory cgroup's limit was hit."""


class StatsOf(Struct, frozen=True):
    """ "Memory cgroup stats for A:", counters on this line (bytes) or on those after."""

    cgroup: str
    counters: dict[str, int]


class Stat(Struct, frozen=True):
    """One counter on a line of its own, after StatsOf."""

    name: str
    value: int


class TableHead(Struct, frozen=True):
    """The head of the task table: the names of the columns between pid and name."""

    columns: tuple[str, ...]


class Row(Struct, frozen=True):
    """A row of the task table: `rest` is what follows the pid; the columns depend on the head."""

    pid: int
    rest: str


class Summary(Struct, frozen=True):
    """ "oom-kill:constraint=…" (since 5.0); it may be cut off at any point after the constraint."""

    constraint: str
    nodemask: str | None
    cpuset: str | None
    mems_allowed: str | None
    global_oom: bool
    oom_cgroup: str | None
    task_cgroup: str | None
    process: str | None
    pid: int | None
    uid: int | None


class Chosen(Struct, frozen=True):
    """ "…: Kill process N (x) score S or sacrifice child" (until 5.2): the next line may differ."""

    memcg: bool
    pid: int
    process: str | None
    score: int | None


class Killed(Struct, frozen=True):
    """ "Killed process N (x) total-vm:…": sizes in bytes, None where the line is cut off.

    `memcg` is None where the line does not say which kind of OOM it was (until 5.2).
    """

    memcg: bool | None
    pid: int
    process: str | None
    uid: int | None = None
    total_vm_bytes: int | None = None
    anon_rss_bytes: int | None = None
    file_rss_bytes: int | None = None
    shmem_rss_bytes: int | None = None
    pgtables_bytes: int | None = None
    oom_score_adj: int | None = None


class Sharing(Struct, frozen=True):
    """ "Kill process N (x) sharing same memory" (until 4.6): killed together with the victim."""

    pid: int
    process: str | None


class Group(Struct, frozen=True):
    """ "Tasks in A are going to be killed due to memory.oom.group set" (since 4.19)."""

    cgroup: str


class Exiting(Struct, frozen=True):
    """ "OOM victim N (x) is already exiting": chosen, but not killed (since 6.1)."""

    memcg: bool
    pid: int
    process: str | None


class NoVictim(Struct, frozen=True):
    """ "Out of memory and no killable processes"; or a panic instead of a kill."""

    panic: bool
    memcg: bool | None


class ReapedLine(Struct, frozen=True):
    """ "oom_reaper: …": printed by a thread of its own, some time after the kill."""

    pid: int
    ok: bool
    anon_rss_bytes: int | None
    file_rss_bytes: int | None
    shmem_rss_bytes: int | None


Event = (
    Invoked
    | Cpuset
    | Cpu
    | TaskIn
    | LimitReached
    | UsageLine
    | GlobalMemory
    | StatsOf
    | Stat
    | TableHead
    | Row
    | Summary
    | Chosen
    | Killed
    | Sharing
    | Group
    | Exiting
    | NoVictim
    | ReapedLine
)
