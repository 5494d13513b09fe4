"""What is done to a known file once it is clear what became of it.

Opening and reopening, leaving it behind, and telling what of it cannot be read any more: the acts
of `reconcile` and `look`, which decide, and the only ones here that touch descriptors.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

from kelp.agent.collect.descriptors import Descriptors
from kelp.agent.collect.found import Found
from kelp.agent.collect.instancelog import TORN_GRACE_S, InstanceLog, ReportLoss
from kelp.agent.collect.logfile import LogFile, read_head
from kelp.agent.collect.metrics import CollectMetrics
from kelp.base.clock import Clock
from kelp.model.loss import Loss

_log = logging.getLogger(__name__)


class Handler:
    """Acts on the files of any InstanceLog."""

    def __init__(
        self, clock: Clock, descriptors: Descriptors, metrics: CollectMetrics, report: ReportLoss
    ) -> None:
        self._clock = clock
        self._descriptors = descriptors
        self._metrics = metrics
        self._report = report
        self._warned: set[str] = set()

    def missed(self, log: InstanceLog, found: Found, size: int) -> None:
        """A file older than what was already given out, and never seen: its place is passed."""
        self._report(
            Loss(
                labels=log.instance.labels,
                position=log.next_base,
                size_bytes=size,
                start_ns=found.mtime_ns,
                end_ns=found.mtime_ns,
                reason="rotated_away",
            )
        )

    def take_size(self, file: LogFile, found: Found) -> None:
        """Know a file that cannot be opened by its inode and size."""
        file.device, file.inode = found.device, found.inode
        file.mtime_ns = found.mtime_ns
        file.lost_reason = "unreadable"
        if not found.name.gz:
            file.size = file.found_size = max(found.size, file.offset)

    def finish(self, log: InstanceLog, file: LogFile) -> None:
        """Leave a file behind of which nothing is left to read."""
        log.finish(file, self._clock.now_ns(), self._report)

    def now(self) -> float:
        """The clock's monotonic time."""
        return self._clock.monotonic()

    def open(self, file: LogFile, fd: int, head: bytes) -> None:
        """Let a known file have a descriptor."""
        if file.lost_reason == "unreadable":
            file.lost_reason = "rotated_away"
        file.open(fd, head, self._clock.monotonic())
        self._descriptors.opened(file)

    def reopen(self, file: LogFile) -> bool:
        """Open a known file by its last name; False where something else is there now."""
        fd = self.open_path(file.path)
        if fd < 0:
            return False
        try:
            head = read_head(fd, gz=file.name.gz)
        except OSError:
            head = b""
        status = os.fstat(fd)
        same = file.mark.matches(head) or (not file.mark.length and status.st_ino == file.inode)
        if same and (file.name.gz or status.st_size >= file.offset):
            self.open(file, fd, head)
            return True
        os.close(fd)
        return False

    def open_path(self, path: Path) -> int:
        """A descriptor; -1 where there is none to be had, told unless the file is absent."""
        try:
            return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOATIME)
        except FileNotFoundError:
            return -1
        except PermissionError:
            pass  # O_NOATIME is for the owner and root alone
        except OSError as e:
            self._unreadable(path, e)
            return -1
        try:
            return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError:
            return -1
        except OSError as e:
            self._unreadable(path, e)
            return -1

    def _unreadable(self, path: Path, error: OSError) -> None:
        self._metrics.open_failures.inc()
        if str(path) not in self._warned and len(self._warned) < 1000:
            self._warned.add(str(path))
            _log.warning("cannot read a log file", extra={"path": path, "error": error})

    def measure(self, file: LogFile) -> bool:
        """Whether an open file is still itself; its size is then known."""
        return file.measure(self._clock.monotonic())

    def truncated(self, log: InstanceLog, file: LogFile) -> None:
        """The content is no longer what it was: what was not read of it is elsewhere, or lost."""
        self._descriptors.close(file)
        self._metrics.rotations.labels("copytruncate").inc()
        file.inode = file.mtime_ns = 0
        file.found_size = file.known_size = file.size
        file.suspect = False
        file.lost_reason = "truncated"
        log.changed = True

    def renamed(self) -> None:
        """A live file has got another name."""
        self._metrics.rotations.labels("rename").inc()

    def late_bytes(self, log: InstanceLog, file: LogFile, size: int) -> None:
        """A finished file has grown: its place is passed, so the bytes are a loss."""
        start_ns = file.mtime_ns or self._clock.now_ns()
        base = log.next_base - file.size if file.base is None else file.base
        self._report(
            Loss(
                labels=log.instance.labels,
                position=max(base, 0) + file.size,
                size_bytes=size - file.size,
                start_ns=start_ns,
                end_ns=max(self._clock.now_ns(), start_ns),
                reason="rotated_away",
            )
        )
        file.size = file.offset = file.found_size = size
        log.changed = True

    def young(self, found: Found) -> bool:
        """Whether somebody may still be writing the file."""
        return self._clock.now_ns() - found.settled_ns < TORN_GRACE_S * 1e9
