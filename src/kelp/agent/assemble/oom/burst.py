"""Which kernel lines are one OOM report: line by line, and by the lines alone.

A report begins with "NAME invoked oom-killer", or where that was lost with what says most of it.
All that the kernel prints from there up to its decision belongs to it: the stack, the memory, the
task table. Behind the decision only what names its victims does. The kernel holds a lock while it
prints a report, so two of them never mix; lines of other CPUs do, and those that tell of another
problem stay records of their own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from kelp.agent.assemble.traces.lane import Row
from kelp.base.oom.events import (
    Chosen,
    Event,
    Exiting,
    Group,
    Invoked,
    Killed,
    LimitReached,
    NoVictim,
    ReapedLine,
    Sharing,
    Summary,
    TaskIn,
)
from kelp.base.oom.grammar import event_of
from kelp.base.oom.line import KernelLine
from kelp.base.problems import tells_of_kernel_problem

# Behind the decision the victims' lines follow at once, the reaper's within two seconds.
SETTLE_NS = 2_000_000_000
# A slow console holds the kernel up between two lines of a task table.
PAUSE_NS = 60_000_000_000
# And from its first line to its decision: what comes later is something else's.
SPAN_NS = 180_000_000_000
MAX_LINES = 16_384

# Words of which one stands in every line that can begin a report.
BEGINNINGS = (
    rb"invoked oom-killer|oom-kill:|[Kk]ill(?:ed)? process |killed as a result of limit of"
    rb"|no killable processes|OOM victim |Memory limit reached of cgroup"
)

_BEGIN = (Invoked, Summary, TaskIn, LimitReached, Chosen, Killed, Exiting, NoVictim)
_DECIDE = (Killed, Exiting, NoVictim)

# Each stands in a report once at the most.
_ONCE = (Invoked, Summary, TaskIn, LimitReached, Chosen)

Verdict = Literal["take", "pass", "close", "divide"]


def begins(event: Event | None) -> bool:
    """Can a report begin with this line?"""
    return isinstance(event, _BEGIN)


@dataclass
class Burst:
    """The rows of one report, in their order; `size` is their bytes with a newline each."""

    rows: list[Row] = field(default_factory=list)
    decided: bool = False
    size: int = 0
    _host: str | None = None
    _caller: str | None = None
    _grouped: bool = False
    _pids: set[int] = field(default_factory=set)
    _seen: set[type] = field(default_factory=set)

    def verdict(self, row: Row, line: KernelLine, event: Event | None, max_bytes: int) -> Verdict:
        """Whether a kernel line belongs to the report, is none of it, or ends it.

        "divide" ends it for being too long: what it was about is told by what follows.
        """
        if self._host != line.host:
            return "pass"
        if self._too_late(row) or (isinstance(event, _ONCE) and type(event) in self._seen):
            return "close"
        if isinstance(event, Invoked):
            return "close"
        if len(self.rows) >= MAX_LINES or self.size + len(row.body) >= max_bytes:
            return "close" if self.decided else "divide"
        if self.decided:
            return self._behind_decision(event)
        if event is None and self._is_others(line):
            return "pass"
        return "take"

    def take(self, row: Row, line: KernelLine, event: Event | None) -> None:
        """Put a line at the end."""
        if not self.rows:
            self._host = line.host
        self._caller = self._caller or line.caller
        self.rows.append(row)
        self.size += len(row.body) + 1
        if isinstance(event, _DECIDE):
            self.decided = True
        if isinstance(event, (Killed, Exiting, Sharing)):
            self._pids.add(event.pid)
        self._grouped = self._grouped or isinstance(event, Group)
        self._seen.add(type(event))

    def patience_ns(self) -> int:
        """How long after its last line the report may still go on."""
        return SETTLE_NS if self.decided else PAUSE_NS

    def _too_late(self, row: Row) -> bool:
        since_first = row.timestamp - self.rows[0].timestamp
        since_last = abs(row.timestamp - self.rows[-1].timestamp)
        return since_last > self.patience_ns() or (not self.decided and since_first > SPAN_NS)

    def _behind_decision(self, event: Event | None) -> Verdict:
        if isinstance(event, (Killed, Exiting)):
            return "take" if self._grouped else "close"
        if isinstance(event, Summary):  # behind it where somebody has sorted the lines
            return "take" if event.pid in self._pids else "close"
        if isinstance(event, (Group, Sharing, NoVictim)):
            return "take"
        if isinstance(event, ReapedLine):
            return "take" if event.pid in self._pids else "pass"
        return "close" if begins(event) else "pass"

    def _is_others(self, line: KernelLine) -> bool:
        if self._caller and line.caller and self._caller != line.caller:
            return True
        return tells_of_kernel_problem(line.text.encode())


def event_in(text: str) -> Event | None:
    """What a kernel line says of an OOM; of several lines in one message, what the first does."""
    return event_of(text.partition("\n")[0])
