"""The names in a container's folder at one moment, and whether they are still the same.

A look at a folder is no single act: names are listed first, and each is opened later. A rotation
in between may hide a file from it: one that is listed under a name that another has by then, or
that was packed before it was opened. So whoever finds something new asks once more. To list again
for each log would cost the square of their number where many lie in one folder, so the folder's
own times are asked first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from kelp.agent.collect.paths import LogName
from kelp.agent.collect.tree import Container
from kelp.base.clock import Clock

Names: TypeAlias = Mapping[str, Sequence[LogName]]

TICK_NS = 50_000_000
"""Two changes within one tick of a file system's clock leave the same time; 10 ms is a long one."""


class Listing:
    """`names`: the files by log, as Container.logs gives them; None where it cannot be read."""

    def __init__(self, container: Container, clock: Clock) -> None:
        self._container = container
        self._clock = clock
        self._times: tuple[int, ...] | None = None
        self.names = self._latest = self._list()

    def moved(self, log: str) -> bool:
        """Whether the log's files have other names by now than were listed."""
        if self._times is None or self._times != self._container.times():
            self._latest = self._list()
        if self.names is None or self._latest is None:
            return True
        return set(self.names.get(log, [])) != set(self._latest.get(log, []))

    def _list(self) -> Names | None:
        times = self._container.times()
        names = self._container.logs()
        now_ns = self._clock.now_ns()
        settled = all(now_ns - mtime_ns > TICK_NS for mtime_ns in times)
        self._times = times if settled else None
        return names
