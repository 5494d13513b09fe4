"""What is known of one kill by the kernel's OOM killer: the shape that everything else shares.

A field is None where the kernel did not say. Sizes are bytes, except in a task table, which keeps
the kernel's own columns and units (pages, as its header says). The one place where words are
weighed is `outcome`: a report whose end was lost must not look like a kill that was seen.
"""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, Struct, UnsetType, field

from kelp.base.cgroup import LimitScope, QosClass

Outcome = Literal["killed", "exiting", "no_victim", "panic", "unknown"]

# page_counter's "no limit" (PAGE_COUNTER_MAX pages, in kB) is far above this; so is
# res_counter's of kernels before 3.19 (RES_COUNTER_MAX). 4 PiB is the most that x86-64 maps.
_UNLIMITED_BYTES = 1 << 52


class Usage(Struct, frozen=True):
    """One counter of the cgroup whose limit was hit; `limit_bytes` is None where it had none."""

    usage_bytes: int
    limit_bytes: int | None
    failcnt: int

    @classmethod
    def of_kib(cls, usage: int, limit: int, failcnt: int) -> Usage:
        """Make one from the numbers that the kernel prints (kB, which are KiB)."""
        limit_bytes = limit * 1024
        return cls(usage * 1024, None if limit_bytes >= _UNLIMITED_BYTES else limit_bytes, failcnt)


class Trigger(Struct, kw_only=True):
    """Whose allocation failed: "NAME invoked oom-killer". Rarely the victim in a global OOM."""

    process: str | None = None
    pid: int | None = None
    gfp_mask: str | None = None
    order: int | None = None
    oom_score_adj: int | None = None
    cpuset: str | None = None


class TaskRow(Struct, frozen=True):
    """One row of the kernel's task table; a column that this kernel does not print is left out.

    `total_vm` and `rss*` are pages, `pgtables_bytes` bytes, `nr_ptes`, `nr_pmds` and `nr_puds`
    tables, `swapents` swap entries.
    """

    pid: int
    uid: int | UnsetType = UNSET
    tgid: int | UnsetType = UNSET
    total_vm: int | UnsetType = UNSET
    rss: int | UnsetType = UNSET
    rss_anon: int | UnsetType = UNSET
    rss_file: int | UnsetType = UNSET
    rss_shmem: int | UnsetType = UNSET
    pgtables_bytes: int | UnsetType = UNSET
    nr_ptes: int | UnsetType = UNSET
    nr_pmds: int | UnsetType = UNSET
    nr_puds: int | UnsetType = UNSET
    cpu: int | UnsetType = UNSET
    swapents: int | UnsetType = UNSET
    oom_adj: int | UnsetType = UNSET
    oom_score_adj: int | UnsetType = UNSET
    name: str = ""


class Reaped(Struct, frozen=True):
    """What the oom_reaper kernel thread left of the victim's memory, or that it gave up."""

    ok: bool
    anon_rss_bytes: int | None = None
    file_rss_bytes: int | None = None
    shmem_rss_bytes: int | None = None


class Kill(Struct, kw_only=True):
    """One victim of the kernel, or one OOM that found none (`outcome` says which).

    `time` is RFC 3339 in UTC, `boot_s` seconds since boot. `task_cgroup` is the victim's cgroup,
    `oom_cgroup` the one whose limit was hit (None in a global OOM); pod, container, QoS class and
    runtime follow from the former, and from the latter where the former is unknown. Kills of one
    report share `report`; its task table and counters of cgroups stand with the first of them.
    """

    time: str | None = None
    boot_s: float | None = None
    node: str | None = None
    outcome: Outcome = "unknown"
    constraint: str | None = None
    global_: bool | None = field(default=None, name="global")
    pid: int | None = None
    process: str | None = None
    uid: int | None = None
    oom_score_adj: int | None = None
    score: int | None = None
    total_vm_bytes: int | None = None
    anon_rss_bytes: int | None = None
    file_rss_bytes: int | None = None
    shmem_rss_bytes: int | None = None
    pgtables_bytes: int | None = None
    task_cgroup: str | None = None
    oom_cgroup: str | None = None
    limit_scope: LimitScope | None = None
    pod_uid: str | None = None
    container_id: str | None = None
    qos_class: QosClass | None = None
    runtime: str | None = None
    unit: str | None = None
    oom_group: bool = False
    group_cgroup: str | None = None
    shares_memory_with: int | None = None
    trigger: Trigger | None = None
    memory: Usage | None = None
    memory_swap: Usage | None = None
    kmem: Usage | None = None
    swap: Usage | None = None
    nodemask: str | None = None
    cpuset: str | None = None
    mems_allowed: str | None = None
    kernel: str | None = None
    reaped: Reaped | None = None
    complete: bool = False
    report: int = 0
    file: str | None = None
    cgroup_stats: dict[str, dict[str, int]] = field(default_factory=dict)
    task_table: list[TaskRow] = field(default_factory=list)
