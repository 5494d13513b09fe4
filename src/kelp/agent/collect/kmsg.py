"""KmsgCollector: the kernel's ring buffer, each record once.

A record's place is its sequence number, which counts from 0 at each boot: so the boot's id belongs
to the instance, and to its streams' labels. The device is read from its oldest record on, and what
the checkpoint knows is left out. A gap between numbers is what the kernel has overwritten: a loss.

Left out: what an earlier boot's kernel wrote after the agent's last look. Nothing tells of it.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from kelp.agent.collect.books import Books, SourcePlace, instance_of
from kelp.agent.collect.metrics import CollectMetrics
from kelp.agent.collect.suspends import EXIT, Suspends, Times, system_times
from kelp.base.settings import Agent
from kelp.model.entries import Entries
from kelp.model.loss import Loss, SourceFile
from kelp.model.stream import DATASET_KERNEL
from kelp.wire.kmsg import KmsgRecord, TimedKmsg, parse_record

SOURCE = "kmsg"
_RECORD_BYTES = 8192  # PRINTK_MESSAGE_MAX is 2048 since 6.4, CONSOLE_EXT_LOG_MAX 8192 before
_MAX_RECORDS = 5000  # given out at once

_log = logging.getLogger(__name__)


class KmsgPlace(SourcePlace, frozen=True, kw_only=True):
    """The checkpoint: the last record that was given out."""

    boot_id: str
    seq: int
    stamp_us: int = 0


def read_boot_id() -> str:
    """The id that the kernel made at boot, as journald writes it; empty where it has none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip().replace("-", "")
    except OSError:
        return ""


class KmsgCollector:
    """For one thread; `times` gives the machine's clocks."""

    def __init__(
        self,
        settings: Agent,
        checkpoints: Mapping[str, bytes],
        metrics: CollectMetrics,
        boot_id: str,
        times: Callable[[], Times] = system_times,
    ) -> None:
        self._path = settings.kmsg.path
        self._times = times
        self._boot_id = boot_id
        self._next: int | None = None  # sequence number that is expected
        self._stamp_us = 0
        self._books = Books(SOURCE, KmsgPlace, checkpoints, metrics)
        place = self._books.restored
        if place is not None and place.boot_id == boot_id:
            self._next, self._stamp_us = place.seq + 1, place.stamp_us
        labels = {
            "dataset": DATASET_KERNEL,
            "cluster": settings.cluster,
            "node": settings.node,
            "boot_id": boot_id,
        }
        self._instance = instance_of(SOURCE, boot_id, labels)
        self._suspends = Suspends()
        self._held: KmsgRecord | None = None  # a line that may go on
        self._held_last = 0
        self._full = False
        self._fd = self._open()
        if self._fd >= 0:
            self._suspends.look(times(), self._exits())

    def _open(self) -> int:
        try:
            fd = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as e:
            self._off(e)
            return -1
        self._books.up(True)
        return fd

    def _off(self, error: OSError) -> None:
        reason = "absent" if isinstance(error, FileNotFoundError) else "denied"
        self._books.failed(reason)
        self._books.up(False)
        _log.info(
            "the kernel's log is not collected: reading it takes root or CAP_SYSLOG",
            extra={"path": self._path, "error": error.strerror},
        )

    def _exits(self) -> list[int]:
        """Stamps of the suspends in the buffer, by a first pass over all of it."""
        found = []
        try:
            os.lseek(self._fd, 0, os.SEEK_SET)
            while data := _next_record(self._fd):
                record = parse_record(data) if EXIT in data else None
                if record is not None:
                    found.append(record.stamp_us)
            os.lseek(self._fd, 0, os.SEEK_SET)
        except OSError:
            return []  # a pipe: what is read there is gone
        return found

    def poll(self) -> Entries[TimedKmsg] | None:
        """What came since the last time; None where nothing did."""
        records: list[KmsgRecord] = []
        size = self._read(records)
        times = self._times()
        self._suspends.look(times, [r.stamp_us for r in records if r.text.startswith(EXIT)])
        if not records:
            return None
        self._books.gave(len(records))
        rows = [TimedKmsg(r, self._suspends.wall_ns(r.stamp_us, times)) for r in records]
        positions = [r.seq for r in records]
        return Entries(rows, [self._instance] * len(rows), positions, size, times.wall_ns)

    def _read(self, records: list[KmsgRecord]) -> int:
        """Take records until there is none; what was read of them, in bytes."""
        size = 0
        self._full = False
        while self._fd >= 0 and len(records) < _MAX_RECORDS:
            try:
                data = _next_record(self._fd)
            except OSError as e:
                self._off(e)
                self.close()
                break
            if not data:
                self._give_held(records)  # nothing follows it: it is whole
                return size
            record = parse_record(data)
            if record is None:
                self._books.failed("malformed")
            elif self._next is None or record.seq >= self._next:
                size += len(data)
                self._take(record, records)
        self._full = self._fd >= 0
        return size

    def _take(self, record: KmsgRecord, records: list[KmsgRecord]) -> None:
        if self._next is not None and record.seq > self._next:
            self._give_held(records)
            self._lost(self._next, record)
        self._next, self._stamp_us = record.seq + 1, record.stamp_us
        held = self._held
        if held is not None and record.flags == "+" and record.level == held.level:
            self._held, self._held_last = held.joined(record), record.seq
            return
        self._give_held(records)
        if record.flags == "c":
            self._held, self._held_last = record, record.seq
        else:
            records.append(record)
            self._reach(record.seq, record.stamp_us)

    def _give_held(self, records: list[KmsgRecord]) -> None:
        if self._held is not None:
            records.append(self._held)
            self._reach(self._held_last, self._held.stamp_us)
            self._held = None

    def _reach(self, seq: int, stamp_us: int) -> None:
        self._books.reach(KmsgPlace(boot_id=self._boot_id, seq=seq, stamp_us=stamp_us))

    def _lost(self, first: int, after: KmsgRecord) -> None:
        """Records from `first` on that the kernel has overwritten; of unknown length."""
        times = self._times()
        end_ns = self._suspends.wall_ns(after.stamp_us, times)
        start_ns = self._suspends.wall_ns(self._stamp_us, times)
        self._books.lose(self._instance.labels, first, start_ns, end_ns)
        self._books.missed(after.seq - first)

    def discover(self) -> None:
        """Nothing: the kernel keeps what it can."""

    def changes(self) -> dict[str, bytes | None]:
        """See kelp.agent.pipeline.Collector."""
        return self._books.changes()

    def source_files(self) -> list[SourceFile]:
        """None: it is no file."""
        return self._books.source_files()

    def losses(self) -> list[Loss]:
        """See kelp.agent.pipeline.Collector."""
        return self._books.losses()

    def backlog_bytes(self) -> int:
        """Enough to come again at once where the last look did not reach the end."""
        return 1 << 20 if self._full else 0

    def close(self) -> None:
        """Close the device."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _next_record(fd: int) -> bytes:
    """The next record; empty where there is none now. Raises OSError."""
    while True:
        try:
            return os.read(fd, _RECORD_BYTES)
        except BlockingIOError:
            return b""
        except BrokenPipeError:
            continue  # overwritten: the next read is at the oldest record that is left
