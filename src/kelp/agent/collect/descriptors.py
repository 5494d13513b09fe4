"""Open descriptors, bounded: the least recently grown file is closed first.

A deleted file lives only as long as its descriptor, so one with unread bytes is closed last.
"""

from __future__ import annotations

import resource
from collections import OrderedDict

from kelp.agent.collect.logfile import LogFile

RESERVED = 128
"""Descriptors left to the rest of the process: sockets, the spool, inotify."""


def raise_limit() -> int:
    """Set the soft limit of open files to the hard one where that may be; the limit then."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
        except (OSError, ValueError):
            pass  # some sandboxes forbid it: the soft limit is what there is
    return 1 << 20 if soft == resource.RLIM_INFINITY else soft


class Descriptors:
    """Which files are open, in the order of their last growth."""

    def __init__(self, limit: int) -> None:
        self.limit = max(1, min(limit, raise_limit() - RESERVED))
        self._open: OrderedDict[LogFile, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._open)

    def opened(self, file: LogFile) -> None:
        """Count a file as open, and close what is then too many."""
        self._open[file] = None
        while len(self._open) > self.limit:
            self.close(self._victim(file))

    def grown(self, file: LogFile) -> None:
        """The file is the last that should be closed."""
        if file in self._open:
            self._open.move_to_end(file)

    def close(self, file: LogFile) -> None:
        """Close a file; it stays known."""
        self._open.pop(file, None)
        file.close()

    def give_up_held(self, limit_bytes: int) -> None:
        """Close the oldest deleted files until the others hold no more than `limit_bytes`.

        A deleted file takes its place on the disk for as long as it is open, out of the sight of
        the kubelet, which would otherwise evict pods for it. What is given up is lost, and told.
        """
        gone = [f for f in self._open if f.gone]
        held = sum(f.found_size for f in gone)
        for file in gone:
            if held <= limit_bytes:
                return
            held -= file.found_size
            self.close(file)
            file.lost = True

    def close_all(self) -> None:
        """Close every file."""
        for file in list(self._open):
            self.close(file)

    def _victim(self, newest: LogFile) -> LogFile:
        others = (f for f in self._open if f is not newest)
        oldest = next(others, newest)
        return oldest if not oldest.gone else next((f for f in others if not f.gone), oldest)
