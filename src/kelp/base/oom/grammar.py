"""The kernel's sentences about an OOM, from 2.6.32 to 6.x, each to an event.

Written from `mm/oom_kill.c` (dump_header, dump_tasks, dump_oom_victim, __oom_kill_process,
oom_reap_task) and `mm/memcontrol.c` (mem_cgroup_print_oom_meminfo and its ancestors) of those
versions. A sentence must stand at the beginning of its line: kernel lines do, quotes do not. A line
may be cut off anywhere; what is left is taken if the kernel's decision can still be read from it,
but a number that may have lost digits is not.

All expressions here are linear: no two unbounded repetitions stand side by side.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import cast

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
from kelp.base.oom.kill import Usage

# A task's name has 15 bytes; printed with \xNN for each it has 60 characters.
_NAME = r".{0,64}?"
_MAX_NAME = 64
_MAX_NUMBER = 1 << 64

_INVOKED = " invoked oom-killer"
_GFP = re.compile(r"gfp_mask=(0x[0-9a-f]{1,16}(?:\([^)]{0,256}\))?)")
_ORDER = re.compile(r"\border=(-?\d{1,4})(?=,|$)")
_ADJ = re.compile(r"\boom_score_adj=(-?\d{1,5})$")
_NODEMASK = re.compile(r"\bnodemask=([^=]{1,256}?), {1,2}order=")
_CPUSET = re.compile(rf"({_NAME}) cpuset=(\S{{1,512}}) mems_allowed=([\d,-]{{1,256}})\s*$")
_CPU = re.compile(
    rf"CPU: \d{{1,6}} (?:UID: \d{{1,10}} )?PID: (\d{{1,10}}) Comm: ({_NAME}) ?"
    r"(?=Not tainted|Tainted:|Kdump:|$)"
)
_OLD_CPU = re.compile(rf"Pid: (\d{{1,10}}), comm: ({_NAME}) (?=Not tainted|Tainted:)")
_RELEASE = re.compile(r" (\d{1,2}\.\d{1,3}[.-]?[^\s#]{0,80}) #")
_LIMIT_OF = " killed as a result of limit of "
_USAGE = re.compile(
    r"(memory\+swap|memory|kmem|swap): usage (\d{1,20})kB, limit (\d{1,20})kB, failcnt (\d{1,20})$"
)
_STATS_INLINE = re.compile(r": ?(?=[a-z_]{1,40}:-?\d{1,20}KB)")
_COUNTER = re.compile(r"([a-z_]{1,40}):(-?\d{1,20})KB")
_STAT = re.compile(r"\s{0,64}([a-z][a-z0-9_]{0,63}) (\d{1,20})$")
_HEAD = re.compile(r"\[ {1,4}pid {1,4}\] +uid +tgid +total_vm +([a-z_ ]{1,160}?) +name$")
_ROW = re.compile(r"\[ {0,9}(\d{1,10})\] +(?=\d)(.{8,})$")
_MESSAGE = r"(?:(Memory cgroup out of memory|Out of [Mm]emory)(?: \([a-z_]{1,40}\))?: )"
_CHOSEN = re.compile(_MESSAGE + r"[Kk]ill process (\d{1,10}) \((.*)$")
_KILLED = re.compile(_MESSAGE + r"?Killed process (\d{1,10})(?:, UID (\d{1,10}),)? \((.*)$")
_SHARING = re.compile(r"Kill process (\d{1,10}) \((.{0,64})\) sharing same memory$")
_EXITING = re.compile(_MESSAGE + r"OOM victim (\d{1,10}) \((.{0,64})\) is already exiting\.")
_SCORE = re.compile(r"\) score (\d{1,10}) or ")
_KIB = re.compile(r"\b(total-vm|anon-rss|file-rss|shmem-rss|pgtables):(\d{1,20})kB")
_UID = re.compile(r"\bUID[: ](\d{1,10})\b")
_KILLED_ADJ = re.compile(r"\boom_score_adj:(-?\d{1,5})(?=$|[,\s])")
_GROUP = " are going to be killed due to memory.oom.group set"
_REAPED = re.compile(
    r"oom_reaper: reaped process (\d{1,10}) \(.{0,64}\), now anon-rss:(\d{1,20})kB, "
    r"file-rss:(\d{1,20})kB(?:, shmem-rss:(\d{1,20})kB)?"
)
_UNREAPED = re.compile(r"oom_reaper: unable to reap pid:(\d{1,10}) ")
_PANIC = "Kernel panic - not syncing: "
_NO_VICTIM = "ut of memory and no killable processes"
_SUMMARY = "oom-kill:constraint="
_CONSTRAINT = re.compile(r"(CONSTRAINT_[A-Z_]{1,32})(?:,nodemask=|$)")
_VICTIM = re.compile(r",task=(.{0,64}),pid=(\d{1,10})(?:,uid=(\d{1,10}))?\s*$")


def event_of(text: str) -> Event | None:
    """What a kernel line says about an OOM, None if nothing."""
    if _INVOKED in text[: _MAX_NAME + len(_INVOKED)]:
        return _invoked(text)
    parse = _BY_FIRST.get(text[:1])
    found = parse(text) if parse else None
    if found is None and " cpuset=" in text[: _MAX_NAME + 8]:
        return _cpuset(text)
    return found


def stat_of(text: str) -> Stat | None:
    """A counter of a cgroup; only where such lines are expected: anything looks like one."""
    m = _STAT.fullmatch(text)
    return Stat(m[1], int(m[2])) if m and int(m[2]) < _MAX_NUMBER else None


def goes_on(unfinished: str, text: str) -> bool:
    """Is `text` the rest of a sentence whose beginning was printed as a record of its own?

    The kernel makes some sentences of several pieces, and whatever comes between, or a record's
    greatest length, parts them.
    """
    if unfinished.startswith(_SUMMARY):
        return text.startswith((",cpuset=", ",oom_memcg=", ",global_oom", ",task_memcg=", ",task="))
    return text.startswith("/") or text.lstrip().startswith("killed as a result of limit of")


def is_unfinished(text: str) -> bool:
    """Does a sentence begin here whose end may come in a record of its own?"""
    if text.startswith(_SUMMARY):
        return ",pid=" not in text
    if text.startswith("Task in "):
        _, limit, cgroup = text.partition(_LIMIT_OF.rstrip())
        return not limit or not cgroup.strip()
    return False


def _invoked(text: str) -> Invoked | None:
    process, _, rest = text.partition(_INVOKED)
    gfp = _GFP.search(rest)
    if gfp is None and rest.strip(": "):
        return None
    order, adj, nodemask = _ORDER.search(rest), _ADJ.search(rest.rstrip()), _NODEMASK.search(rest)
    return Invoked(
        process,
        gfp[1] if gfp else None,
        int(order[1]) if order else None,
        int(adj[1]) if adj else None,
        _list_or_none(nodemask[1]) if nodemask else None,
    )


def _cpuset(text: str) -> Cpuset | None:
    m = _CPUSET.match(text)
    return Cpuset(m[1], m[2], m[3]) if m else None


def _cpu(text: str) -> Event | None:
    m = _CPU.match(text) or _OLD_CPU.match(text)
    if m is None:
        return None
    release = _RELEASE.search(text, m.end())
    return Cpu(int(m[1]), m[2], release[1] if release else None)


def _task_in(text: str) -> Event | None:
    if text.startswith("Task in /"):
        task, limit, oom = text[len("Task in ") :].rstrip().partition(_LIMIT_OF)
        return TaskIn(task, oom if oom.startswith("/") else None) if limit else None
    if text.startswith("Tasks in /") and text.rstrip().endswith(_GROUP):
        return Group(text.rstrip()[len("Tasks in ") : -len(_GROUP)])
    return None


def _usage(text: str) -> Event | None:
    m = _USAGE.match(text.rstrip())
    if m is None or int(m[3]) >= _MAX_NUMBER or int(m[2]) >= _MAX_NUMBER:
        return None
    return UsageLine(cast(UsageKind, m[1]), Usage.of_kib(int(m[2]), int(m[3]), int(m[4])))


def _m(text: str) -> Event | None:
    if text.startswith("Memory cgroup stats"):
        return _stats(text[len("Memory cgroup stats") :].rstrip())
    if text.startswith("Memory limit reached of cgroup /"):
        return LimitReached(text[len("Memory limit reached of cgroup ") :].rstrip())
    if text.startswith("Mem-Info:"):
        return GlobalMemory()
    return _out_of_memory(text)


def _stats(text: str) -> StatsOf | None:
    inline = _STATS_INLINE.search(text)
    path = text[: inline.start()] if inline else text.removesuffix(":")
    if path and not path.startswith(" for /"):
        return None
    counters = _COUNTER.findall(text, inline.start()) if inline else []
    return StatsOf(
        path.removeprefix(" for "),
        {name: int(kib) * 1024 for name, kib in counters if abs(int(kib)) < _MAX_NUMBER >> 11},
    )


def _bracket(text: str) -> Event | None:
    head = _HEAD.match(text.rstrip())
    if head:
        return TableHead(("uid", "tgid", "total_vm", *head[1].split()))
    row = _ROW.match(text)
    return Row(int(row[1]), row[2]) if row else None


def _out_of_memory(text: str) -> Event | None:
    if text[1:].startswith(_NO_VICTIM):
        return NoVictim(panic=False, memcg=None)
    if text.startswith("Memory cgroup o" + _NO_VICTIM):
        return NoVictim(panic=False, memcg=True)
    killed = _KILLED.match(text)
    if killed:
        return _killed(killed)
    chosen = _CHOSEN.match(text)
    if chosen:
        name, rest = _name_and_rest(chosen[3], ") score ")
        score = _SCORE.match(rest)
        return Chosen(_is_memcg(chosen[1]), int(chosen[2]), name, int(score[1]) if score else None)
    exiting = _EXITING.match(text)
    return Exiting(_is_memcg(exiting[1]), int(exiting[2]), exiting[3]) if exiting else None


def _killed(m: re.Match[str]) -> Killed:
    name, rest = _name_and_rest(m[4], ") total-vm:", "), UID ", "), total-vm:")
    kib = {key: int(value) * 1024 for key, value in _KIB.findall(rest)}
    uid, adj = _UID.search(rest), _KILLED_ADJ.search(rest.rstrip())
    return Killed(
        _is_memcg(m[1]) if m[1] else None,
        int(m[2]),
        name,
        uid=int(uid[1]) if uid else int(m[3]) if m[3] else None,
        total_vm_bytes=_size(kib, "total-vm"),
        anon_rss_bytes=_size(kib, "anon-rss"),
        file_rss_bytes=_size(kib, "file-rss"),
        shmem_rss_bytes=_size(kib, "shmem-rss"),
        pgtables_bytes=_size(kib, "pgtables"),
        oom_score_adj=int(adj[1]) if adj else None,
    )


def _kill_process(text: str) -> Event | None:
    if text.startswith(_PANIC):
        return _panic(text[len(_PANIC) :])
    m = _SHARING.match(text.rstrip())
    return Sharing(int(m[1]), m[2]) if m else _out_of_memory(text)


def _panic(text: str) -> Event | None:
    if text.startswith(("Out of memory", "out of memory")) and (
        "panic_on_oom" in text or text[1:].startswith(_NO_VICTIM)
    ):
        return NoVictim(panic=True, memcg=None)
    return NoVictim(panic=True, memcg=False) if text.startswith("System is deadlocked on") else None


def _oom(text: str) -> Event | None:
    if text.startswith(_SUMMARY):
        return _summary(text[len(_SUMMARY) :])
    m = _REAPED.match(text)
    if m:
        sizes = (int(m[i]) * 1024 if m[i] else None for i in (2, 3, 4))
        return ReapedLine(
            int(m[1]), True, *(s if s and s < _MAX_NUMBER else s and None for s in sizes)
        )
    m = _UNREAPED.match(text)
    return ReapedLine(int(m[1]), False, None, None, None) if m else None


def _summary(text: str) -> Summary | None:
    # Never split on ",": nodemask and mems_allowed are lists, and a name or a path may hold one.
    constraint = _CONSTRAINT.match(text)
    if constraint is None:
        return None
    victim = _VICTIM.search(text)
    body = text[: victim.start()] if victim else text
    keys = (",nodemask=", ",cpuset=", ",mems_allowed=", ",oom_memcg=", ",task_memcg=")
    values = _values(body.replace(",global_oom", "", 1), keys)
    return Summary(
        constraint[1],
        nodemask=_list_or_none(values[0]),
        cpuset=values[1],
        mems_allowed=values[2],
        # A kernel without memory cgroups prints neither: nothing but the machine has a limit.
        global_oom=",global_oom" in body or (victim is not None and values[3] is None),
        oom_cgroup=values[3],
        task_cgroup=values[4],
        process=victim[1] if victim else None,
        pid=int(victim[2]) if victim else None,
        uid=int(victim[3]) if victim and victim[3] else None,
    )


def _values(text: str, keys: tuple[str, ...]) -> list[str | None]:
    """The values of keys that stand in this order; None for one that is missing or cut off."""
    starts = []
    at = 0
    for key in keys:
        found = text.find(key, at)
        starts.append(found)
        at = found + len(key) if found >= 0 else at
    values: list[str | None] = []
    for i, (key, start) in enumerate(zip(keys, starts, strict=True)):
        end = next((s for s in starts[i + 1 :] if s >= 0), len(text))
        values.append(text[start + len(key) : end] if start >= 0 else None)
    return values


def _name_and_rest(text: str, *ends: str) -> tuple[str | None, str]:
    """A task's name out of "name) …": names hold parentheses, so the last that fits closes it."""
    at = max(text.rfind(end, 0, _MAX_NAME + 16) for end in ends)
    if at < 0:
        at = text.rfind(")", 0, _MAX_NAME + 1)
    return (text[:at], text[at:]) if at >= 0 else (None, "")


def _size(kib: dict[str, int], key: str) -> int | None:
    value = kib.get(key)
    return value if value is None or value < _MAX_NUMBER else None


def _list_or_none(text: str | None) -> str | None:
    # "(null)" since 4.13, "0" or "(none)" before: the allocation was not bound to nodes.
    return None if text is None or text.startswith("(") else text


def _is_memcg(message: str) -> bool:
    return message.startswith("Memory cgroup")


_BY_FIRST: dict[str, Callable[[str], Event | None]] = {
    "C": _cpu,
    "P": _cpu,
    "T": _task_in,
    "m": _usage,
    "k": _usage,
    "s": _usage,
    "M": _m,
    "[": _bracket,
    "O": _out_of_memory,
    "K": _kill_process,
    "o": _oom,
}
