"""Which found file is which known one, after names have changed.

Rotation is never told, only seen: names have moved, files were copied, compressed, truncated and
deleted, once or several times, while nobody looked or between two looks. So each look compares all
that is found with all that is known, by open descriptor first (the kernel keeps the inode then),
by inode and modification time, and at last by fingerprint, which survives copying and compressing.
What is found and not known is new, and goes behind what was already begun. What is known and not
found is read on through its descriptor, or lost.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum

from kelp.agent.collect.found import Found
from kelp.agent.collect.handling import Handler
from kelp.agent.collect.instancelog import TORN_GRACE_S, InstanceLog
from kelp.agent.collect.logfile import LogFile
from kelp.agent.collect.look import Fresh, Look
from kelp.agent.collect.paths import LogName
from kelp.agent.collect.sources import holds_nothing, packed_size_hint


class Outcome(Enum):
    """What a look has come to."""

    SETTLED = 0
    UNSETTLED = 1  # something was found that cannot be told yet: look again soon
    RACED = 2  # a file may be hidden, for being renamed just now: list again at once


class Reconciler:
    """Brings an InstanceLog in line with what lies in its folder."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler

    def reconcile(
        self,
        log: InstanceLog,
        names: Sequence[LogName],
        *,
        moved: Callable[[], bool] = lambda: False,
        final: bool,
    ) -> Outcome:
        """Take in what is found. With `final`, what is found nowhere is lost, and none RACED.

        `moved` lists again: whether the names are other ones by now. A new file is then not taken
        in, for an older one may have been hidden, whose place would be passed.
        """
        look = Look(self._handler, log, names)
        missing = [f for f in log.files if f not in look.claims]
        hidden = any(f.fd < 0 and not f.done for f in missing)
        if not final and (hidden or (look.fresh and moved())):
            look.drop_fresh()
            return Outcome.RACED
        if look.blind and any(f.fd < 0 and f.mark.length and not f.done for f in missing):
            look.drop_unopened()
        self._insert(log, look, _floor(log, look.claims))
        for file in missing:
            self._miss(log, file, look, others=bool(names))
        log.note_closed(self._handler.now())
        return Outcome.UNSETTLED if look.unsettled else Outcome.SETTLED

    def _miss(self, log: InstanceLog, file: LogFile, look: Look, *, others: bool) -> None:
        """No name leads to the file any more, nor to a copy of it."""
        if file.done or (file.fd < 0 and _held_nothing(file)):
            log.files.remove(file)
        elif file.fd >= 0:
            file.gone = True
        elif not file.lost and not look.blind:
            file.lost = True
            if file.lost_reason == "rotated_away" and not others:
                file.lost_reason = "deleted"

    def _insert(self, log: InstanceLog, look: Look, floor: LogName | None) -> None:
        forgotten = _forgotten(log, look.claims)
        for fresh in sorted(look.fresh, key=lambda f: f.found.name.key):
            if forgotten is not None and fresh.found.name.key < forgotten.key:
                log.ignored.add(fresh.found.id)
                fresh.close()
                continue
            if floor is not None and fresh.found.name.key < floor.key:
                self._too_late(log, fresh, look)
                continue
            file = LogFile(fresh.found.path, fresh.found.name)
            log.files.insert(_place(log, look.claims, fresh.found.name), file)
            look.claims[file] = fresh.found
            if fresh.fd >= 0:
                self._handler.open(file, fresh.fd, fresh.head)
            else:
                self._handler.take_size(file, fresh.found)
            if not file.name.live:
                file.closed_since = self._handler.now() - TORN_GRACE_S

    def _too_late(self, log: InstanceLog, fresh: Fresh, look: Look) -> None:
        """A file older than what was already given out, and never seen: its place is passed."""
        found = fresh.found
        lost, size = _content(fresh)
        fresh.close()
        if self._handler.young(found):
            look.unsettled = True  # a copy in the making becomes a known file's when it is whole
            return
        log.ignored.add(found.id)
        if lost:
            self._handler.missed(log, found, size)


def _content(fresh: Fresh) -> tuple[bool, int]:
    """Whether the file may hold something, and how many bytes; 0 where that cannot be told."""
    found = fresh.found
    if fresh.fd < 0 or not found.name.gz:
        return found.size > 0, found.size
    try:
        nothing = not found.size or (not fresh.head and holds_nothing(fresh.fd))
        return not nothing, packed_size_hint(fresh.fd, found.size)
    except OSError:
        return True, 0


def _held_nothing(file: LogFile) -> bool:
    """Whether a file that is gone is no loss; how large a packed one was, only opening it says."""
    return file.offset == file.size == 0 and not (file.name.gz and file.unopened)


def _forgotten(log: InstanceLog, claims: dict[LogFile, Found]) -> LogName | None:
    """The oldest finished file that is remembered, where older ones were too many to be."""
    if not log.forgetful:
        return None
    return next((f.name for f in log.files if f.done and f in claims), None)


def _floor(log: InstanceLog, claims: dict[LogFile, Found]) -> LogName | None:
    """The name that new files must come after; None where nothing begun has a place in time."""
    begun = [f for f in log.files if f.begun]
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
        if before.begun or before not in claims or before.name.key < name.key:
            break
        before.base = None
        place -= 1
    return place
