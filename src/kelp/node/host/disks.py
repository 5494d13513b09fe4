"""`kelp node iostat`: what the disks do, in the figures of sysstat's `iostat -x`.

Counters: https://docs.kernel.org/admin-guide/iostats.html. Formulas: sysstat's `rd_stats.c`
(`compute_ext_disk_stats`) and `iostat.c`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from kelp.base.clock import Clock
from kelp.node.host.load import read_uptime_s
from kelp.node.host.reading import Notes, Roots, names_in, read_text
from kelp.node.host.report import Report, timestamp

_SECTOR_BYTES = 512  # in this file always, whatever the device's own is
_COUNTERS = 17  # since 5.5 with flushes; 15 since 4.18 with discards; 11 before


class DiskCounters(Struct, frozen=True):
    """Since boot; times in milliseconds, `in_flight` now."""

    reads: int = 0
    reads_merged: int = 0
    sectors_read: int = 0
    read_ms: int = 0
    writes: int = 0
    writes_merged: int = 0
    sectors_written: int = 0
    write_ms: int = 0
    in_flight: int = 0
    busy_ms: int = 0
    queued_ms: int = 0
    discards: int = 0
    discards_merged: int = 0
    sectors_discarded: int = 0
    discard_ms: int = 0
    flushes: int = 0
    flush_ms: int = 0

    @property
    def used(self) -> bool:
        """Whether anything was ever done."""
        return bool(self.reads or self.writes or self.discards or self.flushes)


class Disk(Struct, kw_only=True):
    """A device's rates; times to serve a request (queue included) in milliseconds.

    `aqu_sz` is the average number of requests in the queue and in service; `util_percent` the part
    of the time with any (a disk that serves many at once can be at 100 and not be full). Times are
    None where nothing was asked.
    """

    device: str
    reads_per_s: float
    writes_per_s: float
    read_kb_per_s: float
    written_kb_per_s: float
    reads_merged_per_s: float
    writes_merged_per_s: float
    discards_per_s: float
    discarded_kb_per_s: float
    flushes_per_s: float
    read_await_ms: float | None
    write_await_ms: float | None
    discard_await_ms: float | None
    flush_await_ms: float | None
    await_ms: float | None
    aqu_sz: float
    util_percent: float
    in_flight: int


class IostatReport(Report, kw_only=True):
    """Devices in the order asked for."""

    devices: list[Disk]


SORTS: dict[str, Callable[[Disk], Any]] = {
    "device": lambda d: d.device,
    "util": lambda d: -d.util_percent,
    "await": lambda d: -(d.await_ms or 0.0),
    "read": lambda d: -d.read_kb_per_s,
    "write": lambda d: -d.written_kb_per_s,
}


class IostatSampler:
    """The first sample tells of the time since boot, each other of the time since the last."""

    def __init__(
        self, roots: Roots, clock: Clock, sort: str = "device", *, everything: bool = False
    ) -> None:
        """`everything` takes partitions and devices that were never used in too."""
        self._roots = roots
        self._clock = clock
        self._key = SORTS[sort]
        self._everything = everything
        self._before: dict[str, DiskCounters] = {}
        self._at: float | None = None

    def sample(self) -> IostatReport:
        """Look now."""
        notes = Notes()
        now, counters = self._clock.monotonic(), read_disks(self._roots, notes)
        first = self._at is None
        interval_s = read_uptime_s(self._roots, notes) if self._at is None else now - self._at
        whole = whole_devices(self._roots)
        disks = [
            rates(name, self._before.get(name, DiskCounters()), c, interval_s or 1.0)
            for name, c in counters.items()
            if (self._everything or ((whole is None or name in whole) and c.used))
            and (first or name in self._before)
        ]
        self._before, self._at = counters, now
        return IostatReport(
            time=timestamp(self._clock.now_ns()),
            interval_s=interval_s,
            devices=sorted(disks, key=self._key),
            notes=notes.texts(),
        )


def read_disks(roots: Roots, notes: Notes | None = None) -> dict[str, DiskCounters]:
    """By device, partitions too; empty where the file cannot be read."""
    return parse_disks(read_text(roots.proc / "diskstats", notes) or "")


def parse_disks(data: str) -> dict[str, DiskCounters]:
    """Lines with fewer counters than 2.6.25's are passed over."""
    found = {}
    for line in data.splitlines():
        words = line.split()
        counters = words[3 : 3 + _COUNTERS]
        if len(counters) >= 11 and all(w.isdecimal() for w in counters):
            found[words[2]] = DiskCounters(*map(int, counters))
    return found


def whole_devices(roots: Roots) -> set[str] | None:
    """The devices that are no partitions; None where /sys does not tell."""
    try:
        # The folder has `!` where a device's name has `/` (cciss!c0d0).
        return {name.replace("!", "/") for name in names_in(roots.sys / "block")}
    except OSError:
        return None


def rates(name: str, before: DiskCounters, now: DiskCounters, seconds: float) -> Disk:
    """The figures of one device over `seconds`.

    A device that was taken out and put in counts from 0; a 32-bit counter wraps. Both count as
    standing, which is what sysstat does for the first.
    """
    d = DiskCounters(
        *(max(getattr(now, f) - getattr(before, f), 0) for f in DiskCounters.__struct_fields__)
    )
    kb = _SECTOR_BYTES / 1024 / seconds
    done = d.reads + d.writes + d.discards + d.flushes
    spent = d.read_ms + d.write_ms + d.discard_ms + d.flush_ms
    return Disk(
        device=name,
        reads_per_s=d.reads / seconds,
        writes_per_s=d.writes / seconds,
        read_kb_per_s=d.sectors_read * kb,
        written_kb_per_s=d.sectors_written * kb,
        reads_merged_per_s=d.reads_merged / seconds,
        writes_merged_per_s=d.writes_merged / seconds,
        discards_per_s=d.discards / seconds,
        discarded_kb_per_s=d.sectors_discarded * kb,
        flushes_per_s=d.flushes / seconds,
        read_await_ms=_mean(d.read_ms, d.reads),
        write_await_ms=_mean(d.write_ms, d.writes),
        discard_await_ms=_mean(d.discard_ms, d.discards),
        flush_await_ms=_mean(d.flush_ms, d.flushes),
        await_ms=_mean(spent, done),
        aqu_sz=d.queued_ms / 1000 / seconds,
        util_percent=min(d.busy_ms / 10 / seconds, 100.0),
        in_flight=now.in_flight,
    )


def _mean(total: int, count: int) -> float | None:
    return total / count if count else None
