"""All processes of the node, in one pass over /proc.

Processes start and end while the pass goes on; what has ended is left out. What this user may not
see is counted: with `hidepid` the kernel hides other users' processes wholly (2) or in part (1).
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable, Iterator
from pathlib import Path

from kelp.base.podnames import PodNames
from kelp.node.host.cpu import read_kernel_stat
from kelp.node.host.owner import Owners, owned
from kelp.node.host.process import TICKS_PER_S, Process, Show, read_process
from kelp.node.host.reading import Folder, Notes, Roots, is_absent, names_in, read_text
from kelp.node.host.report import timestamp

# pid_max can be 4 Mi; a list of that length helps nobody and costs gigabytes.
MAX_PROCESSES = 131_072


def list_processes(
    roots: Roots,
    notes: Notes,
    user_of: Callable[[int], str | None] | None = None,
    show: Show | None = None,
) -> list[Process]:
    """All processes by pid, with their owners, users and start times.

    `show` makes of the arguments what is shown of them; None: all of it.
    """
    owners = Owners(PodNames(roots.pods))
    name_of = user_of or UserNames()
    booted = read_kernel_stat(roots, notes).boot_time_s
    processes = []
    for pid in pids(roots.proc, notes):
        process = _read(roots.proc / str(pid), owners, notes, show)
        if process is not None:
            process.user = None if process.uid is None else name_of(process.uid)
            process.started = _started(process, booted)
            processes.append(process)
    _adopt(processes)
    owners.tell(notes)
    _tell_hidden(roots.proc, notes)
    return processes


def pids(proc: Path, notes: Notes) -> Iterator[int]:
    """The pids that this user can see, in order."""
    found = sorted(int(name) for name in names_in(proc) if name.isdecimal())
    beyond = max(len(found) - MAX_PROCESSES, 0)
    notes.count("processes beyond the limit are left out", beyond)
    yield from found[:MAX_PROCESSES]


def _read(path: Path, owners: Owners, notes: Notes, show: Show | None) -> Process | None:
    try:
        with Folder(path) as folder:
            return read_process(folder, owners, show)
    except PermissionError:
        notes.count("processes are hidden from this user; run as root")
    except OSError as e:
        if not is_absent(e):
            raise
    return None


def _started(process: Process, booted: float | None) -> str | None:
    if booted is None:
        return None
    return timestamp(int((booted + process.start_ticks / TICKS_PER_S) * 1e9))


def _adopt(processes: list[Process]) -> None:
    """A zombie has lost its cgroup on v1: whoever ought to take note of it is whose it is."""
    by_pid = {p.pid: p for p in processes}
    for process in processes:
        parent = by_pid.get(process.ppid)
        if process.zombie and not process.known and parent is not None and parent.known:
            owned(process, parent)


def _tell_hidden(proc: Path, notes: Notes) -> None:
    """Say where the kernel hides processes without a trace."""
    if os.geteuid() == 0:
        return
    for line in (read_text(proc / "self" / "mounts") or "").splitlines():
        fields = line.split()
        if len(fields) >= 4 and fields[2] == "proc" and _hides(fields[3]):
            notes.say("other users' processes are not shown (proc is mounted with hidepid)")


def _hides(options: str) -> bool:
    return any(o in ("hidepid=2", "hidepid=invisible", "hidepid=4", "hidepid=ptraceable")
               for o in options.split(","))  # fmt: skip


class UserNames:
    """Names of users by the machine's own database, each asked once."""

    def __init__(self) -> None:
        self._known: dict[int, str | None] = {}

    def __call__(self, uid: int) -> str | None:
        """None for a user without a name, as most in containers are."""
        if uid not in self._known:
            try:
                self._known[uid] = pwd.getpwuid(uid).pw_name
            except (KeyError, OverflowError):
                self._known[uid] = None
        return self._known[uid]
