"""One process out of /proc/PID: its state, memory, times, command, owner.

The files are read in one opened folder, so they are all of the same process. Formats: proc(5),
https://docs.kernel.org/filesystems/proc.html
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TypeAlias

from msgspec import Struct

from kelp.node.host.owner import Owner, Owners, cgroup_of, owned
from kelp.node.host.reading import Folder, text

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGESIZE")

MAX_COMMAND_BYTES = 4096
# The arguments as they are to be shown: for readers who may not see what stands in them.
Show: TypeAlias = Callable[[list[str]], list[str]]
_KERNEL_THREAD = 0x0020_0000  # PF_KTHREAD
_KIB = 1024


class Process(Owner, kw_only=True):
    """A process; sizes are bytes, `cpu_s` the seconds of CPU that it has used so far.

    `state` is the kernel's letter (R S D Z T t I X). `zombie` processes have ended, and wait for
    their parent to take note. `cpu_percent` is of one CPU, over the report's interval; None where
    no interval was asked for. Fields are None where the kernel did not say.
    """

    pid: int
    ppid: int
    name: str
    state: str
    zombie: bool = False
    command: str = ""
    uid: int | None = None
    user: str | None = None
    threads: int = 0
    priority: int = 0
    nice: int = 0
    cpu_s: float = 0.0
    cpu_percent: float | None = None
    rss_bytes: int = 0
    shared_bytes: int | None = None
    swap_bytes: int | None = None
    virtual_bytes: int = 0
    memory_percent: float | None = None
    started: str | None = None
    kernel_thread: bool = False
    cgroup: str | None = None
    start_ticks: int = 0


class Stat(Struct, frozen=True):
    """What /proc/PID/stat tells; ticks are of TICKS_PER_S, `start_ticks` since boot."""

    pid: int
    name: str
    state: str
    ppid: int
    flags: int
    cpu_ticks: int
    priority: int
    nice: int
    threads: int
    start_ticks: int
    virtual_bytes: int
    rss_pages: int


def parse_stat(data: bytes) -> Stat | None:
    """None where it is no such line. The name may hold blanks and brackets: the last one ends it.

    A process's name is at most 15 bytes, but of any kind.
    """
    head, found, tail = data.rpartition(b")")
    pid, opened, name = head.partition(b" (")
    fields = tail.split()
    if not found or not opened or not pid.isdigit() or len(fields) < 22:
        return None
    try:
        number = [int(x) for x in fields[1:22]]
    except ValueError:
        return None
    return Stat(
        pid=int(pid),
        name=text(name),
        state=text(fields[0]),
        ppid=number[0],
        flags=number[5],
        cpu_ticks=number[10] + number[11],
        priority=number[14],
        nice=number[15],
        threads=number[16],
        start_ticks=number[18],
        virtual_bytes=number[19],
        rss_pages=number[20],
    )


def parse_status(data: bytes) -> dict[str, str]:
    """The lines `Name:<tab>value` of /proc/PID/status."""
    pairs = (line.partition(":") for line in text(data).splitlines())
    return {name: value.strip() for name, found, value in pairs if found}


def read_process(folder: Folder, owners: Owners, show: Show | None = None) -> Process | None:
    """The process of an opened folder; None where it has ended meanwhile.

    Raises PermissionError where this user may see the folder only (hidepid=1).
    """
    stat = parse_stat(folder.read("stat"))
    if stat is None:
        return None
    zombie = stat.state in ("Z", "X", "x")
    status = parse_status(folder.read("status"))
    arguments = b"" if zombie else folder.read("cmdline", MAX_COMMAND_BYTES)
    cgroup = _cgroup(folder)
    process = Process(
        pid=stat.pid,
        ppid=stat.ppid,
        name=stat.name,
        state=stat.state,
        zombie=zombie,
        command=_command(arguments, stat.name, show),
        uid=_first_number(status.get("Uid")),
        threads=stat.threads,
        priority=stat.priority,
        nice=stat.nice,
        cpu_s=stat.cpu_ticks / TICKS_PER_S,
        rss_bytes=stat.rss_pages * PAGE_BYTES,
        shared_bytes=_sum_kib(status, "RssFile", "RssShmem"),
        swap_bytes=_sum_kib(status, "VmSwap"),
        virtual_bytes=stat.virtual_bytes,
        kernel_thread=bool(stat.flags & _KERNEL_THREAD),
        cgroup=cgroup,
        start_ticks=stat.start_ticks,
    )
    return owned(process, owners.of_path(cgroup))


def _cgroup(folder: Folder) -> str | None:
    try:
        return cgroup_of(text(folder.read("cgroup")))
    except FileNotFoundError:
        return None  # a kernel without cgroups


def _command(arguments: bytes, name: str, show: Show | None) -> str:
    """The arguments with blanks between, as ps shows them; `[name]` where there are none."""
    words = text(arguments.rstrip(b"\0"))
    if show is None or not words:
        return words.replace("\0", " ") or f"[{name}]"
    return " ".join(show(words.split("\0")))


def _first_number(value: str | None) -> int | None:
    first = (value or "").split()[:1]
    return int(first[0]) if first and first[0].isdecimal() else None


def _sum_kib(status: dict[str, str], *names: str) -> int | None:
    """The sum of sizes in kB, None where the process has none of them (kernel threads)."""
    found = [n for n in (_first_number(status.get(name)) for name in names) if n is not None]
    return sum(found) * _KIB if found else None
