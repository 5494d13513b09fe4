"""The counters of one cgroup, alike for v1 and v2.

v2: https://docs.kernel.org/admin-guide/cgroup-v2.html. v1: docs.kernel.org/admin-guide/cgroup-v1.
The working set is the kubelet's: usage without file pages that nobody touched of late; it is what
the kubelet evicts by.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from kelp.node.host.hierarchy import Hierarchy
from kelp.node.host.owner import Owner
from kelp.node.host.process import TICKS_PER_S
from kelp.node.host.reading import Notes, key_values, read_text

# v1 writes "no limit" as the largest number of whole pages that a long holds.
_UNLIMITED = 1 << 60


class Counters(Owner, kw_only=True):
    """None where the kernel does not count it, or the controller is not on for this cgroup.

    Sizes are bytes, times seconds, CPU limits CPUs. Limits are None where there is none: `max`.
    `oom_events` counts times out of memory, `oom_kills` processes killed for it,
    `memory_limit_hits` times that the limit made someone wait or reclaim. Whose the cgroup is, is
    left to the caller.
    """

    cpu_s: float | None = None
    cpu_user_s: float | None = None
    cpu_system_s: float | None = None
    cpu_limit: float | None = None
    cpu_periods: int | None = None
    cpu_throttled_periods: int | None = None
    cpu_throttled_s: float | None = None
    memory_bytes: int | None = None
    memory_working_set_bytes: int | None = None
    memory_peak_bytes: int | None = None
    memory_limit_bytes: int | None = None
    memory_limit_hits: int | None = None
    memory_swap_bytes: int | None = None
    oom_events: int | None = None
    oom_kills: int | None = None
    under_oom: bool | None = None
    pids: int | None = None
    pids_limit: int | None = None
    read_bytes: int | None = None
    written_bytes: int | None = None
    reads: int | None = None
    writes: int | None = None


Read = Callable[[str], str | None]


def read_counters(hierarchy: Hierarchy, path: str, notes: Notes) -> Counters:
    """The counters of the cgroup `path`; what is not there (any more) is None."""
    below = path.lstrip("/")
    if not hierarchy.controllers:
        folder = hierarchy.unified
        return _v2(_reader(folder / below, notes)) if folder else Counters()

    def read(name: str) -> str | None:
        """`controller/file`: each controller has a folder of its own."""
        controller, _, file = name.partition("/")
        top = hierarchy.controllers.get(controller)
        return read_text(top / below / file, notes) if top else None

    return _v1(read)


def _reader(folder: Path, notes: Notes) -> Read:
    return lambda name: read_text(folder / name, notes)


def _v2(read: Read) -> Counters:
    cpu, memory = _pairs(read("cpu.stat")), _pairs(read("memory.stat"))
    events, usage = _pairs(read("memory.events")), _number(read("memory.current"))
    io = list(_io_v2(read("io.stat")))
    return Counters(
        cpu_s=_scaled(cpu.get("usage_usec"), 1e6),
        cpu_user_s=_scaled(cpu.get("user_usec"), 1e6),
        cpu_system_s=_scaled(cpu.get("system_usec"), 1e6),
        cpu_limit=_cpu_max(read("cpu.max")),
        cpu_periods=cpu.get("nr_periods"),
        cpu_throttled_periods=cpu.get("nr_throttled"),
        cpu_throttled_s=_scaled(cpu.get("throttled_usec"), 1e6),
        memory_bytes=usage,
        memory_working_set_bytes=_working_set(usage, memory.get("inactive_file")),
        memory_peak_bytes=_number(read("memory.peak")),
        memory_limit_bytes=_number(read("memory.max")),
        memory_limit_hits=events.get("max"),
        memory_swap_bytes=_number(read("memory.swap.current")),
        oom_events=events.get("oom"),
        oom_kills=events.get("oom_kill"),
        pids=_number(read("pids.current")),
        pids_limit=_number(read("pids.max")),
        read_bytes=_total(io, "rbytes"),
        written_bytes=_total(io, "wbytes"),
        reads=_total(io, "rios"),
        writes=_total(io, "wios"),
    )


def _v1(read: Read) -> Counters:
    cpu, ticks = _pairs(read("cpu/cpu.stat")), _pairs(read("cpuacct/cpuacct.stat"))
    memory, oom = _pairs(read("memory/memory.stat")), _pairs(read("memory/memory.oom_control"))
    usage = _number(read("memory/memory.usage_in_bytes"))
    moved = _blkio(read, "io_service_bytes")
    served = _blkio(read, "io_serviced")
    return Counters(
        cpu_s=_scaled(_number(read("cpuacct/cpuacct.usage")), 1e9),
        cpu_user_s=_scaled(ticks.get("user"), TICKS_PER_S),
        cpu_system_s=_scaled(ticks.get("system"), TICKS_PER_S),
        cpu_limit=_quota(read("cpu/cpu.cfs_quota_us"), read("cpu/cpu.cfs_period_us")),
        cpu_periods=cpu.get("nr_periods"),
        cpu_throttled_periods=cpu.get("nr_throttled"),
        cpu_throttled_s=_scaled(cpu.get("throttled_time"), 1e9),
        memory_bytes=usage,
        memory_working_set_bytes=_working_set(usage, memory.get("total_inactive_file")),
        memory_peak_bytes=_number(read("memory/memory.max_usage_in_bytes")),
        memory_limit_bytes=_limit(_number(read("memory/memory.limit_in_bytes"))),
        memory_limit_hits=_number(read("memory/memory.failcnt")),
        memory_swap_bytes=memory.get("total_swap"),
        oom_kills=oom.get("oom_kill"),
        under_oom=bool(oom["under_oom"]) if "under_oom" in oom else None,
        pids=_number(read("pids/pids.current")),
        pids_limit=_number(read("pids/pids.max")),
        read_bytes=moved.get("Read"),
        written_bytes=moved.get("Write"),
        reads=served.get("Read"),
        writes=served.get("Write"),
    )


def _pairs(data: str | None) -> dict[str, int]:
    return key_values(data or "")


def _number(data: str | None) -> int | None:
    """The file's one number; None for `max`, and where there is no file."""
    word = (data or "").strip()
    return int(word) if word.isdecimal() else None


def _scaled(value: int | None, unit: float) -> float | None:
    return None if value is None else value / unit


def _limit(value: int | None) -> int | None:
    return None if value is None or value >= _UNLIMITED else value


def _working_set(usage: int | None, inactive_file: int | None) -> int | None:
    return None if usage is None else max(usage - (inactive_file or 0), 0)


def _cpu_max(data: str | None) -> float | None:
    """CPUs out of `QUOTA PERIOD`."""
    quota, period = [*(data or "").split(), "", ""][:2]
    return _quota(quota, period)


def _quota(quota: str | None, period: str | None) -> float | None:
    """CPUs; None for -1 and `max`."""
    of, every = _number(quota), _number(period)
    return of / every if of is not None and every else None


def _io_v2(data: str | None) -> Iterator[dict[str, int]]:
    """`MAJOR:MINOR rbytes=… wbytes=… …` a line; a device without figures has a line all the same.

    Some kernels write two devices on one line where the first has none.
    """
    for line in (data or "").splitlines():
        words = (word.partition("=") for word in line.split())
        yield {name: int(value) for name, found, value in words if found and value.isdecimal()}


def _total(devices: list[dict[str, int]], name: str) -> int | None:
    found = [d[name] for d in devices if name in d]
    return sum(found) if found else None


def _blkio(read: Read, what: str) -> dict[str, int]:
    """Sums over devices of `MAJOR:MINOR Read|Write|… N`, children's too where the kernel says."""
    for name in (f"blkio.throttle.{what}_recursive", f"blkio.throttle.{what}"):
        data = read(f"blkio/{name}")
        if data is not None:
            return _by_operation(data)
    return {}


def _by_operation(data: str) -> dict[str, int]:
    totals: dict[str, int] = {}
    for line in data.splitlines():
        words = line.split()
        if len(words) == 3 and words[2].isdecimal():
            totals[words[1]] = totals.get(words[1], 0) + int(words[2])
    return totals
