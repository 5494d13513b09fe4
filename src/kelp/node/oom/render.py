"""Kills as lines for people: one line a kill, and below it what else the kernel said.

Names of processes and cgroups are chosen by whoever runs them, so what a terminal would obey is
written as text.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from msgspec import UNSET

from kelp.base.oom.kill import Kill, TaskRow, Usage
from kelp.node.text import printable, size

_OUTCOMES = {
    "exiting": "was exiting, not killed",
    "no_victim": "no process could be killed",
    "panic": "the kernel panicked",
    "unknown": "the report's end is missing",
}
_LIMITS = {
    "container": "container's",
    "pod": "pod's",
    "qos": "QoS class's",
    "kubepods": "kubepods'",
}


def summary(kill: Kill) -> str:
    """One line: when, node, what kind of OOM with limit and usage, victim, pod and container."""
    parts = (_when(kill), printable(kill.node), _kind(kill), _victim(kill), _owner(kill))
    return "  ".join(p for p in parts if p)


def details(kill: Kill) -> Iterator[str]:
    """What the line leaves out, one fact a line; nothing that the kernel did not say."""
    for label, value in _facts(kill):
        if value:
            yield f"    {label:<13}{printable(value)}"


def tasks(kill: Kill) -> Iterator[str]:
    """The task table, aligned, with the columns that this kernel prints."""
    if not kill.task_table:
        return
    columns = [c for c in TaskRow.__struct_fields__ if _is_printed(kill.task_table[0], c)]
    cells = [columns, *([printable(getattr(r, c)) for c in columns] for r in kill.task_table)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(columns))]
    for row in cells:
        numbers = (c.rjust(w) for c, w in zip(row[:-1], widths[:-1], strict=True))
        yield "    " + "  ".join((*numbers, row[-1]))


def json_line(kill: Kill) -> bytes:
    """One JSON object without a line end."""
    return msgspec.json.encode(kill)


def _is_printed(row: TaskRow, column: str) -> bool:
    return getattr(row, column) is not UNSET


def _when(kill: Kill) -> str:
    if kill.time:
        return kill.time
    return f"boot+{kill.boot_s:.3f}s" if kill.boot_s is not None else "time unknown"


def _kind(kill: Kill) -> str:
    if kill.global_ is None:
        return "OOM"
    if kill.global_:
        return {
            "CONSTRAINT_CPUSET": "OOM in a cpuset",
            "CONSTRAINT_MEMORY_POLICY": "OOM in a memory policy's nodes",
        }.get(kill.constraint or "", "global OOM")
    whose = _LIMITS.get(kill.limit_scope or "", "cgroup's")
    return f"OOM at the {whose} limit{_of(kill.memory)}"


def _of(usage: Usage | None) -> str:
    return f" ({size(usage.usage_bytes)} of {_limit(usage)})" if usage else ""


def _limit(usage: Usage) -> str:
    return "no limit" if usage.limit_bytes is None else size(usage.limit_bytes)


def _victim(kill: Kill) -> str:
    what = _OUTCOMES.get(kill.outcome, "killed")
    if kill.pid is None:
        return what if kill.outcome != "killed" else "killed a process"
    name = printable(kill.process) or "?"
    adj = "" if kill.oom_score_adj is None else f", oom_score_adj {kill.oom_score_adj}"
    rss = _rss(kill)
    of = "" if rss is None else f", rss {size(rss)}"
    if kill.outcome == "killed":
        return f"killed {name}[{kill.pid}]{of}{adj}"
    return f"{name}[{kill.pid}] {what}{adj}"


def _rss(kill: Kill) -> int | None:
    known = [s for s in (kill.anon_rss_bytes, kill.file_rss_bytes, kill.shmem_rss_bytes) if s]
    return sum(known) if known or kill.anon_rss_bytes is not None else None


def _owner(kill: Kill) -> str:
    parts = (
        f"pod {kill.pod_uid}" if kill.pod_uid else "",
        f"container {kill.container_id[:12]}" if kill.container_id else "",
        kill.qos_class or "",
        kill.unit or "",
    )
    return printable(" ".join(p for p in parts if p))


def _facts(kill: Kill) -> Iterator[tuple[str, str | None]]:
    yield (
        "container",
        kill.container_id
        and " ".join(p for p in (kill.container_id, kill.runtime and f"({kill.runtime})") if p),
    )
    yield "victim in", kill.task_cgroup
    yield "limit of", kill.oom_cgroup
    for label, usage in (
        ("memory", kill.memory),
        ("memory+swap", kill.memory_swap),
        ("swap", kill.swap),
        ("kmem", kill.kmem),
    ):
        if usage:
            text = f"{size(usage.usage_bytes)} of {_limit(usage)}, refused {usage.failcnt} times"
            yield label, text
    yield "rss", _rss_parts(kill)
    yield "uid", None if kill.uid is None else str(kill.uid)
    yield "triggered by", _trigger(kill)
    if kill.oom_group:
        yield "group", f"all tasks in {kill.group_cgroup} (memory.oom.group)"
    if kill.shares_memory_with is not None:
        yield "why", f"shares the memory of process {kill.shares_memory_with}"
    yield "reaped", _reaped(kill)
    yield "kernel", kill.kernel
    yield "file", kill.file


def _rss_parts(kill: Kill) -> str | None:
    parts = (("anon", kill.anon_rss_bytes), ("file", kill.file_rss_bytes))
    shown = [
        f"{n} {size(s)}" for n, s in (*parts, ("shmem", kill.shmem_rss_bytes)) if s is not None
    ]
    return ", ".join(shown) or None


def _trigger(kill: Kill) -> str | None:
    trigger = kill.trigger
    if trigger is None:
        return None
    pid = "" if trigger.pid is None else f"[{trigger.pid}]"
    if trigger.order == -1:
        return f"{trigger.process}{pid}, by hand (SysRq f)"
    asked = "" if trigger.gfp_mask is None else f", {trigger.gfp_mask}"
    return f"{trigger.process}{pid}{asked}" + (f", order {trigger.order}" if trigger.order else "")


def _reaped(kill: Kill) -> str | None:
    if kill.reaped is None:
        return None
    if not kill.reaped.ok:
        return "could not be reaped"
    left = (kill.reaped.anon_rss_bytes, kill.reaped.file_rss_bytes, kill.reaped.shmem_rss_bytes)
    return f"yes, {size(sum(s for s in left if s))} left"
