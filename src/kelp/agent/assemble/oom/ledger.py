"""What the kernel's lines have told of kills, for whoever counts kills by another way.

The cgroups' counters (kelp.agent.collect.oomcounts) know how often the kernel killed, its lines
know whom. Here they meet: each kill that was read is noted once, from whichever source.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

from kelp.base.oom.kill import Kill

_REMEMBERED = 4096  # kills by which one is told to come from a second source too


class Told(NamedTuple):
    """A kill that the kernel's lines told of; "" for a pod that they did not name."""

    pod_uid: str
    container_id: str


class KillLedger:
    """For one thread."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[object, ...], None] = OrderedDict()
        self._told: list[Told] = []

    def note(self, kill: Kill, timestamp_ns: int) -> None:
        """Note a kill; one that was noted before, or that the counters do not count, is not.

        A report whose end is missing was a kill, as far as anybody knows.
        """
        if kill.outcome not in ("killed", "unknown") or kill.shares_memory_with is not None:
            return
        # A pid comes round again after thousands of others: not within a minute.
        minute = timestamp_ns // 60_000_000_000
        keys = [(kill.pid, kill.process, kill.pod_uid, m) for m in (minute - 1, minute, minute + 1)]
        if any(key in self._known for key in keys):
            return
        self._known[keys[1]] = None
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        self._told.append(Told(kill.pod_uid or "", kill.container_id or ""))

    def take(self) -> list[Told]:
        """The kills that were noted since the last call."""
        told, self._told = self._told, []
        return told
