"""One stream of one instance: the rows that may be a trace, until it is known whether they are.

What is a record is told by the lines alone, never by how they were read: from a row on that may
begin a trace, the longest run of rows that the machine joins is one record. Rows that it only bore
behind that run are looked at again, as if they had just come.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from kelp.agent.assemble.traces.evidence import Bodies
from kelp.agent.assemble.traces.machine import NOWHERE, Machine, States, looked_at
from kelp.model.lines import Lines

# So many rows are borne at the most without one that joins them.
MAX_BORNE = 12


class Row(NamedTuple):
    """One record before joining."""

    at: int  # its row in the batch; BEFORE where it came with an earlier one
    timestamp: int
    position: int
    body: bytes
    marks: Mapping[str, str]
    told: int = 0  # severity number that the source gives, 0 for none

    @classmethod
    def of(cls, lines: Lines, bodies: Bodies, at: int) -> Row:
        """A row of a batch; `bodies` are those of `lines`."""
        return cls(
            at,
            int(lines.timestamp[at]),
            int(lines.position[at]),
            bodies.bytes_of(at),
            lines.marks.get(at, {}),
            0 if lines.told is None else int(lines.told[at]),
        )


# Row.at of what came with an earlier batch.
BEFORE = -1


class Record(NamedTuple):
    """Rows that are one record; `part` counts from 1 where it was too long for one, else 0."""

    rows: list[Row]
    part: int


@dataclass(frozen=True)
class Limits:
    """Of one record."""

    lines: int
    bytes: int


@dataclass
class Lane:
    """Rows go in by `feed`; records come out in `done`, in their order."""

    machine: Machine
    limits: Limits
    rows: list[Row] = field(default_factory=list)
    states: States = NOWHERE
    sure: int = 0  # how many of `rows` are joined
    part: int = 0
    size: int = 0  # bytes of `rows` with a newline each
    done: list[Record] = field(default_factory=list)

    def feed(self, row: Row) -> None:
        """Take the next row."""
        waiting = deque((row,))
        while waiting:
            self._take(waiting.popleft(), waiting)

    def abandon(self) -> int:
        """Forget rows of which none is joined, as if they had not come; how many there were."""
        count = len(self.rows)
        self.rows, self.states, self.size = [], NOWHERE, 0
        return count

    def close(self) -> None:
        """No more comes: give out all that waits."""
        waiting: deque[Row] = deque()
        while self.rows:
            waiting.extend(self._give_up())
            while waiting:
                self._take(waiting.popleft(), waiting)

    def _take(self, row: Row, waiting: deque[Row]) -> None:
        line = looked_at(row.body)
        if not self.rows and not self.part:
            self._begin(row, line)
            return
        states, joined = self.machine.step(self.states, line)
        fits = self._fits(row)
        if not self._goes_on(states, joined, fits):
            waiting.extendleft(reversed([*self._give_up(), row]))
            return
        if not fits:
            self._divide()
        self._append(row)
        self.states = states
        if joined:
            self.sure = len(self.rows)
            if not states:
                self._give_up()

    def _goes_on(self, states: States, joined: bool, fits: bool) -> bool:
        if not joined and (not states or len(self.rows) + 1 - self.sure > MAX_BORNE):
            return False
        return fits or self.sure > 0  # nothing to divide where nothing is joined

    def _begin(self, row: Row, line: bytes) -> None:
        states = self.machine.begin(line)
        if states:
            self.states = states
            self._append(row)
        else:
            self.done.append(Record([row], 0))

    def _append(self, row: Row) -> None:
        self.rows.append(row)
        self.size += len(row.body) + 1

    def _fits(self, row: Row) -> bool:
        limits = self.limits
        return len(self.rows) < limits.lines and self.size + len(row.body) <= limits.bytes

    def _divide(self) -> None:
        """Give out what is joined as one part; what is behind it begins the next one."""
        self.part += 1
        self.done.append(Record(self.rows[: self.sure], self.part))
        self.rows = self.rows[self.sure :]
        self.sure, self.size = 0, sum(len(r.body) + 1 for r in self.rows)

    def _give_up(self) -> list[Row]:
        """Give out what is joined; the rows behind it, which are to be looked at again."""
        # The first part proves the second: a row behind it that joins is no less of the trace.
        count = self.sure if self.part else max(self.sure, 1)
        if count and self.rows:
            part = self.part + 1 if self.part else 0
            self.done.append(Record(self.rows[:count], part))
        rest = self.rows[count:]
        self.rows, self.states, self.sure, self.part, self.size = [], NOWHERE, 0, 0, 0
        return rest
