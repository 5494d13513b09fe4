"""The stage: Lines in, Lines out, in which every OOM kill is one record of the dataset `kernel`.

Batches without a word of the OOM killer pass untouched. Where one stands, the rows of its instance
are looked at one by one until the report has ended. What may go on waits, in memory and in the
agent's checkpoints, so that a report is one record through restarts too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import tzinfo

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from kelp.agent.assemble.oom import metrics
from kelp.agent.assemble.oom.burst import BEGINNINGS, Burst, begins, event_in
from kelp.agent.assemble.oom.facts import Reading, WhoIs, attributes, divided, kills_of_rows
from kelp.agent.assemble.oom.ledger import KillLedger
from kelp.agent.assemble.oom.pending import Pending, Waiting
from kelp.agent.assemble.traces.evidence import Bodies
from kelp.agent.assemble.traces.lane import BEFORE, Record, Row
from kelp.agent.assemble.traces.output import Made, made_lines, merged
from kelp.base.oom.line import KernelLine
from kelp.model.lines import NO_STREAM, Lines
from kelp.model.raw import Instance
from kelp.model.severity import ERROR
from kelp.model.stream import DATASET_KERNEL

# Real time for which an open report waits for its next line, decided or not: the lines' own times
# say more, but only once there is another line.
_WAIT_DECIDED_NS = 3_000_000_000
_WAIT_OPEN_NS = 15_000_000_000

# Plain files into which one service alone writes: looking for the kernel's words costs as much as
# finding the time of a line.
_OWN_LOGS = ("kube", "etcd", "containerd", "docker", "crio", "audit")


@dataclass(frozen=True)
class Source:
    """What the joiner must know of where the lines come from."""

    read: Reading
    datasets: frozenset[str]  # of the instances that may hold the kernel's lines
    max_bytes: int  # of one record
    zone: tzinfo | None = None  # of times in plain files that name none; None: the machine's


class OomJoiner:
    """Joins reports across batches and restarts; for one thread."""

    def __init__(
        self, source: Source, who_is: WhoIs, ledger: KillLedger, checkpoints: Mapping[str, bytes]
    ) -> None:
        """`checkpoints` is what an earlier joiner's `changes` have left, key by key."""
        self._source = source
        self._who_is = who_is
        self._ledger = ledger
        self._pending = Pending(checkpoints, self._restored)

    def join(self, lines: Lines) -> Lines:
        """The records of a batch, as far as they are whole."""
        own = [self._may_be_kernels(i) for i in lines.instances]
        if not any(own):
            return lines
        work = _Work(lines, own)
        for key, rows, hints in work.lanes(self._pending):
            self._lane(work, key, rows, hints)
        if not (work.gone or len(work.made)):
            return lines
        return merged(lines, work.bodies, work.gone, work.made)

    def expire(self, now_ns: int) -> Lines | None:
        """Reports whose next line did not come in time; None where none."""
        late = self._pending.late(now_ns, _patience_ns)
        made = Made()
        for waiting in late:
            self.give_out(waiting.instance, waiting.burst, made)
        return made_lines(made, now_ns, told_first=True) if len(made) else None

    def changes(self) -> dict[str, bytes | None]:
        """What to write (bytes) or delete (None) among the checkpoints since the last call."""
        return self._pending.changes()

    def _may_be_kernels(self, instance: Instance) -> bool:
        name = instance.labels.get("filename", "").rpartition("/")[2]
        known = instance.labels.get("dataset") in self._source.datasets
        return known and not name.startswith(_OWN_LOGS)

    def _lane(self, work: _Work, key: str, rows: list[int], hints: list[int]) -> None:
        """Take the rows of one instance that may matter through its open report."""
        waiting = self._pending.take(key)
        instance = waiting.instance if waiting else work.instance_of(rows[0])
        walk = _Walk(self, instance, waiting.burst if waiting else None, work)
        walk.follow(rows, hints)
        burst = walk.burst
        if burst is not None:
            work.gone += [row.at for row in burst.rows if row.at != BEFORE]
            burst.rows = [row._replace(at=BEFORE) for row in burst.rows]
            self._pending.keep(key, Waiting(instance, burst, work.lines.observed_ns))

    def kernel_line(self, row: Row, instance: Instance) -> KernelLine | None:
        """The row as the kernel's; None where it is another program's."""
        line = self._source.read(row)
        told = line.told or instance.labels.get("dataset") == DATASET_KERNEL
        return line if told and not line.foreign else None

    @property
    def max_bytes(self) -> int:
        """Of one record."""
        return self._source.max_bytes

    def give_out(self, instance: Instance, burst: Burst, made: Made) -> None:
        """A report that has ended, as a record a kill; as one record where it tells of none."""
        read = self._source.read
        kills = kills_of_rows(burst.rows, read, self._source.zone)
        if not kills:
            made.add(instance, NO_STREAM, Record(burst.rows, 0))
            return
        for rows, kill in divided(burst.rows, kills, read):
            first = rows[0]
            marks = {**first.marks, **attributes(kill, self._who_is)}
            rows[0] = first._replace(marks=marks, told=ERROR)
            made.add(_of_kernel(instance), NO_STREAM, Record(rows, 0))
            self._ledger.note(kill, first.timestamp)
            metrics.KILLS.labels(kill.outcome).inc()
        metrics.JOINED_LINES.inc(len(burst.rows))

    def _restored(self, instance: Instance, rows: Iterable[Row]) -> Burst:
        burst = Burst()
        for row in rows:
            line = self._source.read(row)
            burst.take(row, line, event_in(line.text))
        return burst


def _patience_ns(waiting: Waiting) -> int:
    return _WAIT_DECIDED_NS if waiting.burst.decided else _WAIT_OPEN_NS


def _of_kernel(instance: Instance) -> Instance:
    """A kill in a file of many programs is a record of the kernel's all the same."""
    if instance.labels.get("dataset") == DATASET_KERNEL:
        return instance
    return Instance(f"{instance.key}#kernel", {**instance.labels, "dataset": DATASET_KERNEL})


@dataclass
class _Walk:
    """One instance's rows of one batch, and the report that is open while they are looked at."""

    joiner: OomJoiner
    instance: Instance
    burst: Burst | None
    work: _Work

    def follow(self, rows: list[int], hints: list[int]) -> None:
        """Look at the rows while a report is open, and at those with a word of one."""
        hint = 0
        at = 0
        while at < len(rows):
            if self.burst is None:
                while hint < len(hints) and hints[hint] < rows[at]:
                    hint += 1
                if hint == len(hints):
                    return
                at = int(np.searchsorted(rows, hints[hint]))
            self._feed(self.work.row(rows[at]))
            at += 1

    def _feed(self, row: Row) -> None:
        line = self.joiner.kernel_line(row, self.instance)
        if line is None:
            return
        event = event_in(line.text)
        if self.burst is not None:
            verdict = self.burst.verdict(row, line, event, self.joiner.max_bytes)
            if verdict == "take":
                self.burst.take(row, line, event)
            if verdict in ("take", "pass"):
                return
            self._close(divided=verdict == "divide")
        if begins(event):
            self.burst = Burst()
            self.burst.take(row, line, event)

    def _close(self, *, divided: bool) -> None:
        assert self.burst is not None
        rows = self.burst.rows
        # Before the records are made: each stands where its first row stood.
        self.work.gone += [row.at for row in rows if row.at != BEFORE]
        if divided:
            self.work.made.add(self.instance, NO_STREAM, Record(rows, 0))
        else:
            self.joiner.give_out(self.instance, self.burst, self.work.made)
        self.burst = None


class _Work:
    """One batch: its rows by instance, and what becomes of them."""

    def __init__(self, lines: Lines, own: list[bool]) -> None:
        self.lines = lines
        self.bodies = Bodies(lines.body)
        self.made = Made()
        self.gone: list[int] = []
        self._own = np.array(own, np.bool_)

    def lanes(self, pending: Pending) -> Iterable[tuple[str, list[int], list[int]]]:
        """(key, its rows, those with a word of the OOM killer) of instances that matter now."""
        number, keys = self._numbers()
        found = pc.match_substring_regex(self.lines.body, BEGINNINGS.decode())
        hit = found.to_numpy(zero_copy_only=False) & self._own[self.lines.instance]
        wanted = {int(n) for n in np.unique(number[hit])}
        wanted |= {n for n, key in enumerate(keys) if key in pending}
        for n in sorted(wanted):
            rows = np.flatnonzero(number == n)
            if len(rows):
                yield keys[n], rows.tolist(), rows[hit[rows]].tolist()

    def _numbers(self) -> tuple[npt.NDArray[np.int64], list[str]]:
        numbers: dict[str, int] = {}
        of = [numbers.setdefault(i.key, len(numbers)) for i in self.lines.instances]
        return np.array(of, np.int64)[self.lines.instance], list(numbers)

    def instance_of(self, row: int) -> Instance:
        """Whose a row is."""
        return self.lines.instances[int(self.lines.instance[row])]

    def row(self, at: int) -> Row:
        """One row of the batch."""
        return Row.of(self.lines, self.bodies, at)
