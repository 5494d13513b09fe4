"""The stage: Lines in, Lines out, in which every stack trace is one record.

Rows of one stream of one instance make a lane. Rows near which no evidence of a trace lies are
passed on untouched; the others go through their lane's automaton, one by one. What may go on at
the end of a batch waits, in memory and in the agent's checkpoints.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from kelp.agent.assemble.traces import metrics
from kelp.agent.assemble.traces.broken import behind_klog
from kelp.agent.assemble.traces.configured import Configured
from kelp.agent.assemble.traces.evidence import Bodies, Evidence
from kelp.agent.assemble.traces.lane import BEFORE, MAX_BORNE, Lane, Limits, Row
from kelp.agent.assemble.traces.languages import LANGUAGES
from kelp.agent.assemble.traces.machine import NOWHERE, Machine, States, TraceMachine, evidence_of
from kelp.agent.assemble.traces.output import Made, made_lines, merged
from kelp.agent.assemble.traces.pending import Key, Pending, Waiting
from kelp.base.gather import Places
from kelp.base.settings import Multiline
from kelp.model.lines import STREAM_NAMES, Lines
from kelp.model.raw import Instance

# A Java trace has 1,024 frames a cause, and a dump of goroutines a few thousand lines; more than
# this is no longer read as one record, and shall not wait in memory as one.
MAX_LINES = 5000

_STREAMS = len(STREAM_NAMES)


class TraceJoiner:
    """Joins traces across batches, rotations and restarts.

    `checkpoints` is what an earlier joiner's `changes` have left, key by key; a record is divided
    at `max_record_bytes` or MAX_LINES; a trace whose next line does not come for `timeout_s` is
    given out; `multiline` has the user's own rules; `detect` is off where only those shall count.
    Not safe to be called from two threads at once.
    """

    def __init__(
        self,
        max_record_bytes: int,
        timeout_s: float,
        checkpoints: Mapping[str, bytes],
        multiline: Sequence[Multiline] = (),
        detect: bool = True,
    ) -> None:
        self._limits = Limits(MAX_LINES, max_record_bytes)
        self._timeout_ns = int(timeout_s * 1e9)
        self._machine = TraceMachine(LANGUAGES)
        self._evidence = Evidence(evidence_of(LANGUAGES))
        self._configured = Configured(multiline)
        self._detect = detect
        self._told_first = False  # as in the batches: a source's never change it
        self._pending = Pending(self._make_lane, checkpoints)
        self._told_pending = 0

    def join(self, lines: Lines) -> Lines:
        """The records of a batch, as far as they are whole."""
        if not len(lines) or not (self._detect or self._configured or len(self._pending)):
            return lines
        self._told_first = lines.told_first
        work = _Work(lines)
        self._walk(work)
        for key in self._pending.beyond_budget():
            metrics.EXPIRED.labels("budget").inc()
            self._close(key, work.made)
        self._report()
        if not (work.gone or len(work.made)):
            return lines
        _count(work.made)
        return merged(lines, work.bodies, work.gone, work.made)

    def expire(self, now_ns: int) -> Lines | None:
        """Records whose next line did not come in time; None where none."""
        late = self._pending.late(now_ns, self._timeout_ns)
        if not late:
            return None
        made = Made()
        for key in late:
            self._close(key, made)
        metrics.EXPIRED.labels("timeout").inc(len(late))
        self._report()
        _count(made)
        return made_lines(made, now_ns, told_first=self._told_first)

    def _report(self) -> None:
        """Move the gauge, which several of these share."""
        metrics.PENDING.inc(len(self._pending) - self._told_pending)
        self._told_pending = len(self._pending)

    def changes(self) -> dict[str, bytes | None]:
        """What to write (bytes) or delete (None) among the checkpoints since the last call.

        To be committed together with the places up to which the files were read.
        """
        return self._pending.changes()

    def _walk(self, work: _Work) -> None:
        """Find the rows that have to be looked at, and take them through their lanes."""
        evidence = self._proven(work) if self._detect else np.empty(0, np.int64)
        lanes = work.lanes_of(evidence)
        for number, key in enumerate(work.keys):
            if key in self._pending or self._configured:
                lanes.setdefault(number, None)
        tails = self._tails(work) if self._detect else {}
        for number in sorted(lanes.keys() | tails.keys()):
            self._lane(work, number, lanes.get(number), tails.get(number, -1))

    def _proven(self, work: _Work) -> Places:
        """The rows near which a record of several lines is."""
        behind = behind_klog(work.bodies, work.number)
        broken = [row for row, head in behind if self._machine.begin(work.bodies.head_of(head))]
        proven = self._evidence.rows(work.bodies)
        return np.union1d(proven, np.array(broken, np.int64)) if broken else proven

    def _tails(self, work: _Work) -> dict[int, int]:
        """Lane → the first of its last rows with which a trace may begin that goes on later."""
        found: dict[int, int] = {}
        for number in work.occurring():
            for row in work.rows_of(number)[: -MAX_BORNE - 1 : -1].tolist():
                line = work.bodies.head_of(row)
                if self._machine.begin(line):
                    found[number] = row
                if self._machine.is_log_line(line):
                    break  # nothing that began before it is still open
        return found

    def _lane(self, work: _Work, number: int, evidence: Places | None, tail: int) -> None:
        key, instance = work.keys[number], work.instances[number]
        waiting = self._pending.take(key)
        rows = work.rows_of(number)
        own = self._configured.machine(instance) is not None
        if not (waiting or own or tail >= 0 or evidence is not None):
            return
        lane = waiting.lane if waiting else self._make_lane(instance)
        feeder = _Feeder(lane, work, rows)
        if own:
            feeder.to_the_end(0)
        feeder.continue_earlier()
        for at in np.searchsorted(rows, evidence).tolist() if evidence is not None else ():
            feeder.near(at)
        if tail >= 0:
            feeder.to_the_end(int(np.searchsorted(rows, tail)))
        work.collect(lane, instance, key[1])
        if lane.rows:
            self._pending.keep(key, Waiting(instance, lane, work.lines.observed_ns))

    def _close(self, key: Key, made: Made) -> None:
        waiting = self._pending.take(key)
        assert waiting is not None
        waiting.lane.close()
        for record in waiting.lane.done:
            made.add(waiting.instance, key[1], record)

    def _make_lane(self, instance: Instance) -> Lane:
        machine: Machine = self._configured.machine(instance) or (
            self._machine if self._detect else _Alone()
        )
        return Lane(machine, self._limits)


class _Alone:
    """Joins nothing."""

    def begin(self, _line: bytes) -> States:
        return NOWHERE

    def step(self, _states: States, _line: bytes) -> tuple[States, bool]:
        return NOWHERE, False

    def knows(self, states: States) -> bool:
        return not states


class _Feeder:
    """Takes those rows of a lane to its automaton that have to be, each once and in order."""

    def __init__(self, lane: Lane, work: _Work, rows: Places) -> None:
        self._lane = lane
        self._work = work
        self._rows = rows
        self._next = 0

    def continue_earlier(self) -> None:
        """Feed what goes on from an earlier batch."""
        self._follow(-1)

    def near(self, at: int) -> None:
        """Feed what may begin before the place of a piece of evidence, and goes on to it."""
        if at < self._next:
            return
        self._next = max(self._next, at - MAX_BORNE)
        while self._next <= at:
            self._feed()
        self._follow(at)

    def to_the_end(self, start: int) -> None:
        """Feed the rest, from a place on."""
        self._next = max(self._next, start)
        while self._next < len(self._rows):
            self._feed()

    def _follow(self, at: int) -> None:
        """Feed while a trace is open that is proven, or that began up to this place."""
        lane = self._lane
        while lane.rows and self._next < len(self._rows):
            first = self._next - len(lane.rows)  # where the lane's first row stands
            if not (lane.sure or lane.part or first <= at or lane.rows[0].at == BEFORE):
                # It began behind the evidence: it is nothing before there is more.
                self._next -= lane.abandon()
                return
            self._feed()

    def _feed(self) -> None:
        self._lane.feed(self._work.row(int(self._rows[self._next])))
        self._next += 1


class _Work:
    """One batch: its rows by lane, and what becomes of them."""

    def __init__(self, lines: Lines) -> None:
        self.lines = lines
        self.bodies = Bodies(lines.body)
        self.made = Made()
        self.gone: list[int] = []
        numbers: dict[str, int] = {}
        self.instances: list[Instance] = []
        self.keys: list[Key] = []
        of_instance = np.empty(len(lines.instances), np.int64)
        for i, instance in enumerate(lines.instances):
            first = numbers.setdefault(instance.key, len(self.keys))
            of_instance[i] = first
            if first == len(self.keys):
                self.keys += [(instance.key, stream) for stream in range(_STREAMS)]
                self.instances += [instance] * _STREAMS
        self.number = of_instance[lines.instance] + lines.stream
        self._by_lane: tuple[Places, Places] | None = None

    def lanes_of(self, rows: Places) -> dict[int, Places | None]:
        """Lane → those of the rows that are in it."""
        found: dict[int, Places | None] = {}
        numbers = self.number[rows]
        for number in np.unique(numbers).tolist():
            found[number] = rows[numbers == number]
        return found

    def rows_of(self, number: int) -> Places:
        """A lane's rows, in their order."""
        if self._by_lane is None:
            order = np.argsort(self.number, kind="stable")
            bounds = np.searchsorted(self.number[order], np.arange(len(self.keys) + 1))
            self._by_lane = order, bounds
        order, bounds = self._by_lane
        rows: Places = order[bounds[number] : bounds[number + 1]]
        return rows

    def occurring(self) -> list[int]:
        """The lanes that have rows."""
        found: list[int] = np.flatnonzero(np.bincount(self.number)).tolist()
        return found

    def row(self, at: int) -> Row:
        """One row of the batch."""
        return Row.of(self.lines, self.bodies, at)

    def collect(self, lane: Lane, instance: Instance, stream: int) -> None:
        """Take what a lane has given out; what it keeps is of an earlier batch from now on."""
        for record in lane.done:
            if len(record.rows) > 1 or record.part or record.rows[0].at == BEFORE:
                self.made.add(instance, stream, record)
                self.gone += [r.at for r in record.rows if r.at != BEFORE]
        self.gone += [r.at for r in lane.rows if r.at != BEFORE]
        lane.rows = [r._replace(at=BEFORE) if r.at != BEFORE else r for r in lane.rows]
        lane.done = []


def _count(made: Made) -> None:
    joined = [r for r in made.records if len(r.rows) > 1]
    metrics.JOINED.inc(len(joined))
    metrics.JOINED_LINES.inc(sum(len(r.rows) for r in joined))
    metrics.DIVIDED.inc(sum(r.part > 0 for r in made.records))
