"""Which found file is which known one, after names have changed.

Rotation is never told, only seen: names have moved, files were copied, compressed, truncated and
deleted, once or several times, while nobody looked or between two looks. So each look compares all
that is found with all that is known, by open descriptor first (the kernel keeps the inode then),
by inode and modification time, and at last by fingerprint, which survives copying and compressing.
What is found and not known is new, and goes behind what was already begun. What is known and not
found is read on through its descriptor, or lost.
"""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from kelp.agent.collect.descriptors import Descriptors
from kelp.agent.collect.fingerprint import TELLING_BYTES, fingerprint
from kelp.agent.collect.instancelog import GRACE_S, TORN_GRACE_S, InstanceLog, ReportLoss
from kelp.agent.collect.logfile import LogFile, read_head
from kelp.agent.collect.metrics import CollectMetrics
from kelp.agent.collect.paths import LogName
from kelp.agent.collect.sources import gz_size_hint
from kelp.base.clock import Clock
from kelp.model.loss import Loss

_log = logging.getLogger(__name__)


class Outcome(Enum):
    """What a look has come to."""

    SETTLED = 0
    UNSETTLED = 1  # something was found that cannot be told yet: look again soon
    RACED = 2  # a known file is nowhere, perhaps for being renamed just now: list again at once


@dataclass(frozen=True, eq=False, slots=True)
class Found:
    """A name in the folder and the file behind it."""

    name: LogName
    path: Path
    device: int
    inode: int
    size: int  # on the disk
    mtime_ns: int
    settled_ns: int

    @property
    def id(self) -> tuple[int, int, int]:
        """Good enough to know a file again that nobody writes to."""
        return self.device, self.inode, self.mtime_ns


@dataclass(eq=False, slots=True)
class Fresh:
    """A found file that is no known one, open."""

    found: Found
    fd: int
    head: bytes


class Reconciler:
    """Brings an InstanceLog in line with what lies in its folder."""

    def __init__(
        self, clock: Clock, descriptors: Descriptors, metrics: CollectMetrics, report: ReportLoss
    ) -> None:
        self._clock = clock
        self._descriptors = descriptors
        self._metrics = metrics
        self._report = report
        self._warned: set[str] = set()

    def reconcile(self, log: InstanceLog, names: Sequence[LogName], *, final: bool) -> Outcome:
        """Take in what is found. With `final`, what is found nowhere is lost, and none RACED."""
        look = _Look(self, log, names)
        missing = [f for f in log.files if f not in look.claims]
        if not final and any(f.fd < 0 and not f.done for f in missing):
            look.drop_fresh()
            return Outcome.RACED
        self._insert(log, look, _floor(log, look.claims))
        for file in missing:
            self._miss(log, file, bool(names))
        log.note_closed(self._clock.monotonic())
        return Outcome.UNSETTLED if look.unsettled else Outcome.SETTLED

    def _miss(self, log: InstanceLog, file: LogFile, others: bool) -> None:
        """No name leads to the file any more, nor to a copy of it."""
        if file.done or (file.fd < 0 and file.offset == file.size == 0):
            log.files.remove(file)
        elif file.fd >= 0:
            file.gone = True
        elif not file.lost:
            file.lost = True
            if file.lost_reason == "rotated_away" and not others:
                file.lost_reason = "deleted"

    def _insert(self, log: InstanceLog, look: _Look, floor: LogName | None) -> None:
        for fresh in sorted(look.fresh, key=lambda f: f.found.name.key):
            if floor is not None and fresh.found.name.key < floor.key:
                self._too_late(log, fresh, look)
                continue
            file = LogFile(fresh.found.path, fresh.found.name)
            log.files.insert(_place(log, look.claims, fresh.found.name), file)
            look.claims[file] = fresh.found
            if fresh.fd >= 0:
                self.open(file, fresh.fd, fresh.head)
            else:
                self.take_size(file, fresh.found)
            if not file.name.live:
                file.closed_since = self._clock.monotonic() - TORN_GRACE_S

    def _too_late(self, log: InstanceLog, fresh: Fresh, look: _Look) -> None:
        """A file older than what was already given out, and never seen: its place is passed."""
        found = fresh.found
        size = found.size
        if fresh.fd >= 0:
            size = gz_size_hint(fresh.fd, found.size) if found.name.gz else found.size
            os.close(fresh.fd)
        now_ns = self._clock.now_ns()
        if now_ns - found.settled_ns < TORN_GRACE_S * 1e9:
            look.unsettled = True  # a copy in the making becomes a known file's when it is whole
            return
        log.ignored.add(found.id)
        if not found.size:
            return
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


class _Look:
    """One comparison of what is found with what is known.

    claims     known file → the name that leads to it
    fresh      found files that are no known ones, open
    unsettled  something was found that cannot be told yet
    """

    def __init__(self, owner: Reconciler, log: InstanceLog, names: Sequence[LogName]) -> None:
        self._owner = owner
        self._log = log
        self.claims: dict[LogFile, Found] = {}
        self.fresh: list[Fresh] = []
        self.unsettled = False
        self._verify_open()
        found = [f for n in names if (f := _stat(log.folder / n.name, n)) is not None]
        unknown = [f for f in found if not self._claim_by_inode(f)]
        log.ignored &= {f.id for f in found}
        for f in sorted(unknown, key=self._likelihood):
            if f.id not in log.ignored:
                self._identify(f)

    def _likelihood(self, found: Found) -> tuple[bool, bool]:
        """Originals before copies: what has a known inode, then what has the live name."""
        inodes = {(f.device, f.inode) for f in self._log.files if not f.done}
        return (found.device, found.inode) not in inodes, not found.name.live

    def _verify_open(self) -> None:
        """Learn how the open files begin by now; one that is not what it was is truncated."""
        for file in self._log.files:
            if file.fd >= 0 and not self._owner.measure(file):
                self._owner.truncated(self._log, file)

    def drop_fresh(self) -> None:
        """Close what was opened for nothing."""
        for fresh in self.fresh:
            if fresh.fd >= 0:
                os.close(fresh.fd)

    def _claim_by_inode(self, found: Found) -> bool:
        for file in self._log.files:
            if (file.device, file.inode) != (found.device, found.inode) or file in self.claims:
                continue
            if file.fd >= 0 or (file.mtime_ns == found.mtime_ns and not file.lost):
                self._claim(file, found)
                return True
        return False

    def _claim(self, file: LogFile, found: Found) -> None:
        self.claims[file] = found
        if file.name.live and not found.name.live:
            self._owner.renamed()
        file.path, file.name = found.path, found.name
        file.gone = False

    def _identify(self, found: Found) -> None:
        fd = self._owner.open_path(found.path)
        if fd < 0:
            self._unreadable(found)
            return
        try:
            head = read_head(fd, gz=found.name.gz)
        except OSError:
            os.close(fd)
            self.unsettled = True
            return
        known = self._known(found, head)
        if known is not None:
            self._found_again(known, found, fd, head)
        elif self._may_be_new(found, head) and not self._is_copy(found, head):
            self.fresh.append(Fresh(found, fd, head))
        else:
            os.close(fd)

    def _unreadable(self, found: Found) -> None:
        """Remember a file that may not be opened, so that it is told when it goes unread."""
        if not found.path.exists() or not found.name.ordered:
            return
        self.unsettled = True
        same = (f for f in self._log.files if (f.device, f.inode) == (found.device, found.inode))
        file = next((f for f in same if f.fd < 0 and not f.done and f not in self.claims), None)
        if file is None:
            self.fresh.append(Fresh(found, -1, b""))
            return
        self._claim(file, found)
        self._owner.take_size(file, found)

    def _is_copy(self, found: Found, head: bytes) -> bool:
        """Of two new files that begin alike, the later name is the original, the other its copy."""
        for fresh in [f for f in self.fresh if _alike(f.head, head)]:
            if fresh.found.name.key > found.name.key:
                return True
            os.close(fresh.fd)
            self.fresh.remove(fresh)
        return False

    def _known(self, found: Found, head: bytes) -> LogFile | None:
        """The known file whose content begins like this: one without a name before one with."""
        same = [f for f in self._log.files if _same(f, found, head)]
        same.sort(key=lambda f: (f in self.claims, f.inode != found.inode))
        return same[0] if same else None

    def _found_again(self, file: LogFile, found: Found, fd: int, head: bytes) -> None:
        if file in self.claims or (file.fd >= 0 and not file.done and not _whole(file, found, fd)):
            os.close(fd)  # a copy of what is read from its original
            if file.done:
                self._log.ignored.add(found.id)
            return
        self._claim(file, found)
        file.device, file.inode = found.device, found.inode
        if not file.done and (found.name.gz or found.size >= file.offset):
            if not found.name.live:
                file.closed_since = self._owner.now() - GRACE_S
            self._owner.open(file, fd, head)
            return
        os.close(fd)
        if not file.done:  # copied before it was read further, then cut: nothing is left to read
            file.mark, file.mtime_ns = fingerprint(head), found.mtime_ns
            self._owner.finish(self._log, file)
            return
        if not found.name.gz and found.size > file.size:
            self._owner.late_bytes(self._log, file, found.size)
        file.mtime_ns = found.mtime_ns

    def _may_be_new(self, found: Found, head: bytes) -> bool:
        if found.name.live:
            return True
        if not found.name.ordered:
            self._log.ignored.add(found.id)
            return False
        if head and any(f.head.startswith(head) for f in self._log.files if f.head):
            self.unsettled |= self._owner.young(found)  # a copy in the making, or cut short
            return False
        if found.name.gz and not head and self._owner.young(found):
            self.unsettled = True
            return False
        return True


def _stat(path: Path, name: LogName) -> Found | None:
    try:
        status = path.stat()
    except OSError:
        return None
    if not stat.S_ISREG(status.st_mode):
        return None
    settled = max(status.st_mtime_ns, status.st_ctime_ns)
    return Found(
        name, path, status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, settled
    )


def _same(file: LogFile, found: Found, head: bytes) -> bool:
    """Whether the found file is the known one, by its content where there is enough of it."""
    inode = (file.device, file.inode) == (found.device, found.inode)
    if not file.mark.length:  # never opened: its inode is all that is known of it
        return inode and file.fd < 0 and file.lost_reason == "unreadable"
    if not found.name.live and file.mark.begun_by(head):
        return True
    if not file.mark.matches(head):
        return False
    if file.mark.length >= TELLING_BYTES or file.mark.length == len(head):
        return True
    if not _begun(file):
        return True  # where nothing was given out, a mistake repeats nothing
    return inode


def _whole(file: LogFile, found: Found, fd: int) -> bool:
    """Whether a copy of a deleted file can stand in for it, which gives its disk space back."""
    size = gz_size_hint(fd, found.size) if found.name.gz else found.size
    return size == file.found_size == file.size


def _alike(a: bytes, b: bytes) -> bool:
    """Whether two beginnings are of one content; short ones only where they are all of it."""
    length = min(len(a), len(b))
    return a[:length] == b[:length] and (length >= TELLING_BYTES or 0 < len(a) == len(b))


def _begun(file: LogFile) -> bool:
    return file.done or file.lost or file.offset > 0


def _floor(log: InstanceLog, claims: dict[LogFile, Found]) -> LogName | None:
    """The name that new files must come after; None where nothing begun has a place in time."""
    begun = [f for f in log.files if _begun(f)]
    if not begun:
        return None
    last = begun[-1]
    return last.name if last in claims or last.name.stamped else None


def _place(log: InstanceLog, claims: dict[LogFile, Found], name: LogName) -> int:
    """Where a new file goes: by its name among those that wait, behind all that is begun."""
    files = log.files
    place = len(files)
    while place > 0:
        before = files[place - 1]
        if _begun(before) or before not in claims or before.name.key < name.key:
            break
        before.base = None
        place -= 1
    return place
