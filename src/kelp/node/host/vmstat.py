"""`kelp node vmstat`: memory, swap, blocks, interrupts and CPU in one line, as `vmstat` has it.

One difference: on the first line procps divides rates by the time of all CPUs together, which
makes them too small by the number of CPUs; here they are per second since boot.

Columns: vmstat(8). Counters: /proc/stat, /proc/vmstat (pages; pgpgin and pgpgout are KiB).
"""

from __future__ import annotations

from msgspec import Struct

from kelp.base.clock import Clock
from kelp.node.host.cpu import CpuTimes, KernelStat, read_kernel_stat
from kelp.node.host.load import read_uptime_s
from kelp.node.host.memory import read_meminfo
from kelp.node.host.process import PAGE_BYTES
from kelp.node.host.reading import Notes, Roots, key_values, read_text
from kelp.node.host.report import Report, timestamp

_KIB = 1024


class VmstatReport(Report, kw_only=True):
    """A line of `vmstat`, under its own short names.

    `r`, `b`: processes runnable and blocked, now. `swpd`, `free`, `buff`, `cache`: KiB, now. `si`,
    `so`, `bi`, `bo`: KiB/s. `in`, `cs`: interrupts and context switches a second. The rest: percent
    of all CPUs' time (`gu`: guests, not within `us`). `oom_kills`: since boot, None before 4.13.
    """

    r: int
    b: int
    swpd: int
    free: int
    buff: int
    cache: int
    si: float
    so: float
    bi: float
    bo: float
    in_: float
    cs: float
    us: float
    sy: float
    id: float
    wa: float
    st: float
    gu: float
    oom_kills: int | None = None


class _Counters(Struct, frozen=True):
    stat: KernelStat = KernelStat()
    pages: dict[str, int] = {}


class VmstatSampler:
    """The first sample tells of the time since boot, each other of the time since the last."""

    def __init__(self, roots: Roots, clock: Clock) -> None:
        self._roots = roots
        self._clock = clock
        self._before = _Counters()
        self._at: float | None = None

    def sample(self) -> VmstatReport:
        """Look now."""
        notes = Notes()
        now = self._clock.monotonic()
        counters = _Counters(read_kernel_stat(self._roots, notes), read_vmstat(self._roots, notes))
        seconds = read_uptime_s(self._roots, notes) if self._at is None else now - self._at
        report = self._report(counters, seconds or 1.0, notes)
        self._before, self._at = counters, now
        return report

    def _report(self, now: _Counters, seconds: float, notes: Notes) -> VmstatReport:
        before = self._before
        memory = read_meminfo(self._roots, notes)

        def kib(*names: str) -> int:
            return sum(memory.get(n, 0) for n in names) // _KIB

        def per_s(name: str, unit: float = 1.0) -> float:
            return max(now.pages.get(name, 0) - before.pages.get(name, 0), 0) * unit / seconds

        page_kib = PAGE_BYTES / _KIB
        stat, old = now.stat, before.stat
        return VmstatReport(
            time=timestamp(self._clock.now_ns()),
            interval_s=seconds,
            notes=notes.texts(),
            r=stat.running,
            b=stat.blocked,
            swpd=kib("SwapTotal") - kib("SwapFree"),
            free=kib("MemFree"),
            buff=kib("Buffers"),
            cache=kib("Cached", "SReclaimable"),
            si=per_s("pswpin", page_kib),
            so=per_s("pswpout", page_kib),
            bi=per_s("pgpgin"),
            bo=per_s("pgpgout"),
            in_=max(stat.interrupts - old.interrupts, 0) / seconds,
            cs=max(stat.context_switches - old.context_switches, 0) / seconds,
            oom_kills=now.pages.get("oom_kill"),
            **_shares(stat.cpu.since(old.cpu)),
        )


def read_vmstat(roots: Roots, notes: Notes | None = None) -> dict[str, int]:
    """/proc/vmstat by name; empty where it cannot be read."""
    return key_values(read_text(roots.proc / "vmstat", notes) or "")


def _shares(cpu: CpuTimes) -> dict[str, float]:
    """Percent by vmstat's columns; all idle where no time has passed."""
    guest = cpu.guest + cpu.guest_nice
    parts = {
        "us": max(cpu.user + cpu.nice - guest, 0.0),
        "sy": cpu.system + cpu.irq + cpu.softirq,
        "id": cpu.idle,
        "wa": cpu.iowait,
        "st": cpu.steal,
        "gu": guest,
    }
    total = sum(parts.values())
    if total <= 0:
        return {name: 100.0 if name == "id" else 0.0 for name in parts}
    return {name: part * 100 / total for name, part in parts.items()}
