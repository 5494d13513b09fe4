"""/proc/stat: where the CPUs' time went, and the kernel's counters since boot.

Format: https://docs.kernel.org/filesystems/proc.html#miscellaneous-kernel-statistics-in-proc-stat
"""

from __future__ import annotations

import os

from msgspec import Struct, field

from kelp.node.host.reading import Notes, Roots, read_text

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")

MODES = (
    "user",
    "nice",
    "system",
    "idle",
    "iowait",
    "irq",
    "softirq",
    "steal",
    "guest",
    "guest_nice",
)


class CpuTimes(Struct, frozen=True):
    """Seconds since boot; `user` includes `guest`, and `nice` includes `guest_nice`."""

    user: float = 0.0
    nice: float = 0.0
    system: float = 0.0
    idle: float = 0.0
    iowait: float = 0.0
    irq: float = 0.0
    softirq: float = 0.0
    steal: float = 0.0
    guest: float = 0.0
    guest_nice: float = 0.0

    def since(self, before: CpuTimes) -> CpuTimes:
        """The difference; a counter that went back (idle and iowait do) counts as standing."""
        return CpuTimes(*(max(getattr(self, m) - getattr(before, m), 0.0) for m in MODES))

    @property
    def total(self) -> float:
        """All time; what guests used is within `user` and `nice`."""
        busy = self.user + self.nice + self.system + self.irq + self.softirq + self.steal
        return busy + self.idle + self.iowait


class CpuSplit(Struct, frozen=True):
    """Percent of all CPUs' time, by `top`'s names."""

    us: float
    sy: float
    ni: float
    id: float
    wa: float
    hi: float
    si: float
    st: float


def split(times: CpuTimes) -> CpuSplit:
    """Where the time of an interval went; all idle where no time has passed."""
    if times.total <= 0:
        return CpuSplit(0, 0, 0, 100.0, 0, 0, 0, 0)
    one = times.total / 100
    parts = (
        times.user,
        times.system,
        times.nice,
        times.idle,
        times.iowait,
        times.irq,
        times.softirq,
        times.steal,
    )
    return CpuSplit(*(round(p / one, 1) for p in parts))


class KernelStat(Struct, frozen=True):
    """The counters of /proc/stat; None where the kernel has no such line."""

    cpu: CpuTimes = CpuTimes()
    cpus: dict[str, CpuTimes] = field(default_factory=dict)
    interrupts: int = 0
    context_switches: int = 0
    forks: int = 0
    running: int = 0
    blocked: int = 0
    boot_time_s: float | None = None


def read_kernel_stat(roots: Roots, notes: Notes | None = None) -> KernelStat:
    """The node's; empty where it cannot be read."""
    return parse_kernel_stat(read_text(roots.proc / "stat", notes) or "")


def parse_kernel_stat(data: str) -> KernelStat:
    """Lines that are unknown or damaged are passed over."""
    numbers: dict[str, list[int]] = {}
    for line in data.splitlines():
        name, *values = line.split()[: len(MODES) + 1] or [""]
        if values and all(v.isdecimal() for v in values):
            numbers[name] = [int(v) for v in values]
    cpus = {n.removeprefix("cpu"): _times(v) for n, v in numbers.items() if _is_cpu(n)}

    def first(name: str) -> int:
        return numbers.get(name, [0])[0]

    return KernelStat(
        cpu=_times(numbers.get("cpu", [])),
        cpus=cpus,
        interrupts=first("intr"),
        context_switches=first("ctxt"),
        forks=first("processes"),
        running=first("procs_running"),
        blocked=first("procs_blocked"),
        boot_time_s=float(first("btime")) if "btime" in numbers else None,
    )


def _is_cpu(name: str) -> bool:
    return name.startswith("cpu") and name[3:].isdecimal()


def _times(ticks: list[int]) -> CpuTimes:
    return CpuTimes(*(t / _TICKS_PER_S for t in ticks[: len(MODES)]))
