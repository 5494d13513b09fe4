"""When a log is looked at: busy ones at each poll, idle ones when the kernel tells, or seldom.

A busy log costs one `fstat` a poll. A log that has not grown for a while gets a one-shot watch and
costs nothing until it grows; where there is no watch to be had, it is looked at once a second.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

from kelp.agent.collect.instancelog import InstanceLog
from kelp.agent.collect.logfile import LogFile

IDLE_AFTER_S = 5.0
"""A log that has not grown for so long is idle; a watch costs as much as some looks."""

UNWATCHED_LOOK_S = 1.0
"""How often idle logs and folders without a watch are looked at."""

WatchFile = Callable[[str, InstanceLog], bool]


class Schedule:
    """Which logs are busy, and how the idle ones are woken."""

    def __init__(self, watch_file: WatchFile) -> None:
        self._watch_file = watch_file
        self._busy: dict[InstanceLog, None] = {}
        self._unwatched: dict[InstanceLog, None] = {}
        self._next_look = 0.0

    def __len__(self) -> int:
        return len(self._busy)

    def busy(self) -> list[InstanceLog]:
        """Logs to look at now, in the order of their turns."""
        return list(self._busy)

    def wake(self, log: InstanceLog) -> None:
        """The log may have something to read."""
        self._unwatched.pop(log, None)
        self._busy.setdefault(log)

    def served(self, log: InstanceLog) -> None:
        """The log had its turn; it is last in the next round."""
        if log in self._busy:
            del self._busy[log]
            self._busy[log] = None

    def forget(self, log: InstanceLog) -> None:
        """The log is no more."""
        self._busy.pop(log, None)
        self._unwatched.pop(log, None)

    def rest(self, log: InstanceLog) -> None:
        """The log has nothing to read; wake it when it has."""
        self._busy.pop(log, None)
        file = log.current
        if file is None:
            return
        # A name may lead to another file by now; the descriptor's own link cannot.
        path = f"/proc/self/fd/{file.fd}" if file.fd >= 0 else str(file.path)
        if not self._watch_file(path, log):
            self._unwatched[log] = None
        elif grown(file):  # between the last look and the watch
            self.wake(log)

    def look_at_unwatched(self, now: float) -> None:
        """Wake what has grown without a watch to tell; at most once in UNWATCHED_LOOK_S."""
        if now < self._next_look:
            return
        self._next_look = now + UNWATCHED_LOOK_S
        for log in _grown(self._unwatched):
            self.wake(log)


def _grown(logs: dict[InstanceLog, None]) -> Iterator[InstanceLog]:
    for log in list(logs):
        file = log.current
        if file is not None and grown(file):
            yield log


def grown(file: LogFile) -> bool:
    """Whether the file, open or not, is not as it was at the last look."""
    try:
        status = os.fstat(file.fd) if file.fd >= 0 else file.path.stat()
    except OSError:
        return True
    if file.name.gz:
        return not file.ended
    return (status.st_ino, status.st_size) != (file.inode, file.found_size)
