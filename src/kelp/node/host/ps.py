"""`kelp node ps`: all processes, flat or as a tree, zombies with the parent that neglects them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

from kelp.base.clock import Clock
from kelp.node.host.process import Process, Show
from kelp.node.host.processes import list_processes
from kelp.node.host.reading import Notes, Roots
from kelp.node.host.report import Report, timestamp
from kelp.node.host.selection import EVERYTHING, Selection

SORTS: dict[str, Callable[[Process], Any]] = {
    "pid": lambda p: p.pid,
    "memory": lambda p: -p.rss_bytes,
    "time": lambda p: -p.cpu_s,
    "start": lambda p: p.start_ticks,
    "user": lambda p: (p.user or "~", p.uid or 0, p.pid),
    "pod": lambda p: (not p.known, p.namespace or "", p.pod or p.pod_uid or "", p.pid),
}


class Listed(Process, kw_only=True):
    """A process with its place in the tree: 0 for those whose parent is not shown."""

    depth: int = 0
    parent: str | None = None


class PsReport(Report, kw_only=True):
    """Processes in the order asked for; with a tree, each behind its parent."""

    processes: list[Listed]


class PsSampler:
    """Looks at all processes; `zombies` alone shows those that have ended."""

    def __init__(  # noqa: PLR0913 - one for each option of `ps`
        self,
        roots: Roots,
        clock: Clock,
        selection: Selection = EVERYTHING,
        sort: str = "pid",
        *,
        tree: bool = False,
        zombies: bool = False,
        show: Show | None = None,
    ) -> None:
        self._show = show
        self._roots = roots
        self._clock = clock
        self._selection = selection
        self._key = SORTS[sort]
        self._tree = tree
        self._zombies = zombies

    def sample(self) -> PsReport:
        """Look now."""
        notes = Notes()
        processes = list_processes(self._roots, notes, show=self._show)
        listed = [_listed(p) for p in processes]
        _name_parents(listed)
        chosen = [p for p in listed if self._takes(p)]
        chosen.sort(key=self._key)
        return PsReport(
            time=timestamp(self._clock.now_ns()),
            processes=as_tree(chosen) if self._tree else chosen,
            notes=notes.texts(),
        )

    def _takes(self, process: Listed) -> bool:
        return self._selection.takes(process) and (process.zombie or not self._zombies)


def as_tree(processes: list[Listed]) -> list[Listed]:
    """Children behind their parents, siblings in the order given; sets `depth`.

    Written without recursion: a chain of forks can be as long as the table of processes. What is
    in a circle (a pid that was given again between two reads) stands at the end.
    """
    shown = {p.pid for p in processes}
    children: dict[int, list[Listed]] = defaultdict(list)
    for process in processes:
        root = process.ppid not in shown or process.ppid == process.pid
        children[0 if root else process.ppid].append(process)
    ordered: dict[int, Listed] = {}
    waiting = [(p, 0) for p in reversed(children[0])]
    while waiting:
        process, process.depth = waiting.pop()
        ordered[process.pid] = process
        waiting += [(c, process.depth + 1) for c in reversed(children.get(process.pid, []))]
    return [*ordered.values(), *(p for p in processes if p.pid not in ordered)]


def _listed(process: Process) -> Listed:
    return Listed(**{name: getattr(process, name) for name in Process.__struct_fields__})


def _name_parents(processes: list[Listed]) -> None:
    names = {p.pid: p.name for p in processes}
    for process in processes:
        process.parent = names.get(process.ppid)
