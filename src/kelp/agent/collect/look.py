"""One comparison of the files found in a folder with those known of an instance.

By open descriptor first (the kernel keeps the inode then), by inode and modification time, and at
last by fingerprint, which survives copying and compressing.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from kelp.agent.collect.fingerprint import TELLING_BYTES, fingerprint
from kelp.agent.collect.found import Found, find
from kelp.agent.collect.handling import Handler
from kelp.agent.collect.instancelog import GRACE_S, InstanceLog
from kelp.agent.collect.logfile import LogFile, read_head
from kelp.agent.collect.paths import LogName
from kelp.agent.collect.sources import packed_size_hint


@dataclass(eq=False, slots=True)
class Fresh:
    """A found file that is no known one, open."""

    found: Found
    fd: int
    head: bytes

    def close(self) -> None:
        """Give the descriptor back, where there is one."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


class Look:
    """One comparison of what is found with what is known.

    claims     known file → the name that leads to it
    fresh      found files that are no known ones, open
    unsettled  something was found that cannot be told yet
    blind      something was found that could not be looked into: it may be what is missing
    """

    def __init__(self, handler: Handler, log: InstanceLog, names: Sequence[LogName]) -> None:
        self._handler = handler
        self._log = log
        self.claims: dict[LogFile, Found] = {}
        self.fresh: list[Fresh] = []
        self.unsettled = False
        self.blind = False
        self._verify_open()
        found = [f for n in names if (f := self._find(n)) is not None]
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
            if file.fd >= 0 and not self._handler.measure(file):
                self._handler.truncated(self._log, file)

    def _find(self, name: LogName) -> Found | None:
        try:
            return find(self._log.folder / name.name, name)
        except FileNotFoundError:
            return None
        except OSError:
            self.unsettled = self.blind = True
            return None

    def drop_unopened(self) -> None:
        """Forget what could not be opened: it may be the known file that is missing."""
        self.fresh = [f for f in self.fresh if f.fd >= 0]

    def drop_fresh(self) -> None:
        """Close what was opened for nothing."""
        for fresh in self.fresh:
            fresh.close()

    def _claim_by_inode(self, found: Found) -> bool:
        for file in self._log.files:
            if (file.device, file.inode) != (found.device, found.inode) or file in self.claims:
                continue
            if file.unopened:
                return False
            if file.fd >= 0 or (file.mtime_ns == found.mtime_ns and not file.lost):
                self._claim(file, found)
                return True
        return False

    def _claim(self, file: LogFile, found: Found) -> None:
        self.claims[file] = found
        if file.name.live and not found.name.live:
            self._handler.renamed()
        file.path, file.name = found.path, found.name
        file.gone = False

    def _identify(self, found: Found) -> None:
        fd = self._handler.open_path(found.path)
        if fd < 0:
            self._unreadable(found)
            return
        try:
            head = read_head(fd, gz=found.name.gz)
        except OSError:
            os.close(fd)
            self.unsettled = self.blind = True
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
        self.unsettled = self.blind = True
        same = (f for f in self._log.files if (f.device, f.inode) == (found.device, found.inode))
        file = next((f for f in same if f.fd < 0 and not f.done and f not in self.claims), None)
        if file is None:
            if found.size or not found.name.gz:
                self.fresh.append(Fresh(found, -1, b""))
            return
        self._claim(file, found)
        self._handler.take_size(file, found)

    def _is_copy(self, found: Found, head: bytes) -> bool:
        """Of two new files that begin alike, the later name is the original, the other its copy."""
        for fresh in [f for f in self.fresh if _alike(f.head, head)]:
            if fresh.found.name.key > found.name.key:
                return True
            fresh.close()
            self.fresh.remove(fresh)
        return False

    def _known(self, found: Found, head: bytes) -> LogFile | None:
        """The known file whose content begins like this: one without a name before one with."""
        same = [f for f in self._log.files if _same(f, found, head)]
        same.sort(key=lambda f: (f in self.claims, f.unopened, f.inode != found.inode))
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
                file.closed_since = self._handler.now() - GRACE_S
            self._handler.open(file, fd, head)
            return
        os.close(fd)
        if not file.done:  # copied before it was read further, then cut: nothing is left to read
            file.mark, file.mtime_ns = fingerprint(head), found.mtime_ns
            self._handler.finish(self._log, file)
            return
        if not found.name.gz and found.size > file.size:
            self._handler.late_bytes(self._log, file, found.size)
        file.mtime_ns = found.mtime_ns

    def _may_be_new(self, found: Found, head: bytes) -> bool:
        if found.name.live:
            return True
        if not found.name.ordered:
            self._log.ignored.add(found.id)
            return False
        if head and any(f.head.startswith(head) for f in self._log.files if f.head):
            self.unsettled |= self._handler.young(found)  # a copy in the making, or cut short
            return False
        if found.name.gz and not head and self._handler.young(found):
            self.unsettled = True
            return False
        return True


def _same(file: LogFile, found: Found, head: bytes) -> bool:
    """Whether the found file is the known one, by its content where there is enough of it."""
    inode = (file.device, file.inode) == (found.device, found.inode)
    if file.unopened:
        return inode
    if not found.name.live and file.mark.begun_by(head):
        return True
    if not file.mark.matches(head):
        return False
    if file.mark.length >= TELLING_BYTES or file.mark.length == len(head):
        return True
    if not file.begun:
        return True  # where nothing was given out, a mistake repeats nothing
    return inode


def _whole(file: LogFile, found: Found, fd: int) -> bool:
    """Whether a copy of a deleted file can stand in for it, which gives its disk space back."""
    size = packed_size_hint(fd, found.size) if found.name.gz else found.size
    return size == file.found_size == file.size


def _alike(a: bytes, b: bytes) -> bool:
    """Whether two beginnings are of one content; short ones only where they are all of it."""
    length = min(len(a), len(b))
    return a[:length] == b[:length] and (length >= TELLING_BYTES or 0 < len(a) == len(b))
