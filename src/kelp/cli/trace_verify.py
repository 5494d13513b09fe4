"""`kelp trace --verify`: the bytes on the node, read again, beside what is stored.

File by file, block by block: a block's lines are parsed as the agent parses them, the records at
their positions are asked for (with the times that stand in the lines, by which a store finds them
at once; without, where something is amiss), and both are compared. Memory is that of one block,
whatever the files' size.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from kelp.agent.collect.sources import Source
from kelp.agent.lookback.content import Piece, ends_at, is_broken, opened, pieces
from kelp.agent.lookback.files import DiskFile, files_of, logs_in
from kelp.agent.lookback.fragments import fragments_of
from kelp.base.clock import Clock
from kelp.cli.trace_find import Place
from kelp.cli.trace_report import ARRIVAL_NS, Log, TracedFile
from kelp.cli.trace_store import TraceStore
from kelp.model.fragments import Fragments
from kelp.node.trace.compare import Comparer, Difference, Outcome
from kelp.node.trace.ranges import Range

_RETRY_S = 0.5

_MAX_FINDINGS = 1000  # kept; all are counted
_UNBOUNDED = 1 << 62
_BEFORE_BYTES = 1 << 20  # before a hole, where a record may begin that goes on behind it
_STREAM = 3  # the bits of a lane that are the stream

DIFFERS, REPEATED, MISSING, LOST, UNREADABLE = (
    "differs", "repeated", "missing", "lost", "unreadable",
)  # fmt: skip


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is not as it should be, and where."""

    kind: str  # differs, repeated, missing, lost or unreadable
    path: str
    offset: int  # uncompressed, in that file
    record: str = ""  # STREAM_ID:POSITION, where it is about a stored record
    lines: int = 0  # of missing and lost ones
    text: str


class Verdict(msgspec.Struct, kw_only=True):
    """What came out, of one log."""

    equal: int = 0  # records
    equal_bytes: int = 0  # of their bodies
    differing: int = 0  # records
    repeated: int = 0  # records at a position that another one has
    missing: int = 0  # lines that the agent has collected and delivered, and no record has
    lost: int = 0  # such lines whose loss the agent has told
    waiting: int = 0  # lines that the agent has not delivered yet, as far as that is known
    unverified: int = 0  # lines of a record that begins in a file which is gone
    not_on_disk: int = 0  # stored records whose file is gone, or could not be read
    unreadable: int = 0  # files
    findings: list[Finding] = []

    @property
    def good(self) -> bool:
        """Whether nothing differs and nothing is missing."""
        return not (self.differing or self.repeated or self.missing or self.lost or self.unreadable)

    def tell(self, finding: Finding) -> None:
        """Keep a finding, as long as there is room."""
        if len(self.findings) < _MAX_FINDINGS:
            self.findings.append(finding)

    def copied(self) -> Verdict:
        """As it is now."""
        return msgspec.structs.replace(self, findings=list(self.findings))


def verify(log: Log, store: TraceStore, clock: Clock, max_record_bytes: int) -> Verdict:
    """Compare all files of a log that are on this node with the store; raises KelpError."""
    return _Verification(log, store, clock, max_record_bytes).run()


class _Verification:
    """Of one log."""

    def __init__(self, log: Log, store: TraceStore, clock: Clock, max_record: int) -> None:
        self._log = log
        self._store = store
        self._clock = clock
        self._max_record = max_record
        place = log.traced.place
        self._container = place is not None and place.of_container
        self._comparer = Comparer(heads=self._container)
        self._verdict = Verdict()
        self._deadline = clock.monotonic() + ARRIVAL_NS / 1e9
        streams = [s for s in log.stored.streams if s.records] if log.stored else []
        self._last_stored = max((s.last_position for s in streams), default=-1)
        self._total = sum(s.records for s in streams)
        # Up to here a line has to be stored; behind it may be on its way.
        self._due = log.settled if log.settled is not None else self._last_stored + 1
        self._reached = 0  # position up to which the files before were compared
        self._before: Mapping[int, bytes] = {}  # stream → the last record before a hole
        self._more = False  # the file that was compared last goes on

    def run(self) -> Verdict:
        """All files, oldest first."""
        seen = sum(
            self._file(f) for f in self._log.files if f.disk is not None and f.known is not None
        )
        self._tell_of_records(self._comparer.finish(more=self._more))
        self._verdict.not_on_disk = max(self._total - seen, 0)
        return self._verdict

    def _file(self, file: TracedFile) -> int:
        """Compare one file; how many records of it are stored."""
        assert file.known is not None
        window = self._log.window(file)
        if window.start != self._reached:
            self._leap(window.start)
        kept, verdict = self._comparer.saved(), self._verdict.copied()
        seen = self._pass(file, by_time=True)
        stored = self._log.stored
        expected = sum(f.records for f in stored.files if f.base == window.start) if stored else 0
        if seen < expected and self._reached >= window.end:
            # Some lie at other times than their lines, unseen as long as times are asked for.
            self._comparer.restore(kept)
            self._verdict = verdict
            seen = self._pass(file, by_time=False)
        return seen

    def _leap(self, position: int) -> None:
        """Go on behind bytes that are not on the disk any more."""
        self._tell_of_records(self._comparer.finish(more=True))
        found = self._store.records(
            self._log.traced.labels, Range(max(position - _BEFORE_BYTES, 0), position)
        )
        self._before = {int(found.stream[i]): found.body[i].as_py() for i in range(len(found))}

    def _pass(self, file: TracedFile, *, by_time: bool) -> int:
        disk, known = file.disk, file.known
        assert disk is not None and known is not None
        limit = self._limit(file)
        self._reached, self._more = known.base, True
        if disk.error:
            self._tell_unreadable(disk, 0, disk.error)
            return 0
        seen = 0
        try:
            with self._opened(file) as source:
                for piece in pieces(source, 0, limit, self._max_record):
                    seen += self._block(file, piece, by_time=by_time)
                    self._reached = known.base + piece.end
                self._more = not ends_at(source, self._reached - known.base)
                if is_broken(source):
                    offset = self._reached - known.base
                    self._tell_unreadable(disk, offset, "the compressed data are damaged or cut")
        except FileNotFoundError:
            pass  # deleted since it was looked at: its records are those of a file that is gone
        except OSError as e:
            self._tell_unreadable(disk, self._reached - known.base, e.strerror or str(e))
        return seen

    def _limit(self, file: TracedFile) -> int:
        """How many bytes of a file can have been stored."""
        assert file.known is not None
        base, last = file.known.base, max(f.known.base for f in self._log.files if f.known)
        end = _UNBOUNDED if base == last else self._log.window(file).end
        collected = self._log.collected
        return max((end if collected is None else min(end, collected)) - base, 0)

    @contextmanager
    def _opened(self, file: TracedFile) -> Iterator[Source]:
        """The file, wherever a rotation may have put it since it was looked at."""
        assert file.disk is not None and file.known is not None
        disk, place = file.disk, self._log.traced.place
        if place is not None and (there := _again(place, file)) is not None:
            disk = there
        with opened(disk.path, gz=disk.name.gz) as source:
            yield source

    def _block(self, file: TracedFile, piece: Piece, *, by_time: bool) -> int:
        """Compare one block; how many records it has."""
        assert file.known is not None
        fragments = fragments_of(piece, file.known.base, container=self._container)
        where = Range(file.known.base + piece.offset, file.known.base + piece.end)
        times = _times(fragments) if by_time else None
        kept = self._comparer.saved()
        outcome, count = self._compared(fragments, where, times)
        while not outcome.clean and (times is not None or self._may_arrive(fragments, outcome)):
            if times is None:
                self._clock.sleep(_RETRY_S)
            times = None
            self._comparer.restore(kept)
            outcome, count = self._compared(fragments, where, None)
        self._take(file, fragments, outcome)
        return count

    def _compared(
        self, fragments: Fragments, where: Range, times: Range | None
    ) -> tuple[Outcome, int]:
        records = self._store.records(self._log.traced.labels, where, times)
        return self._comparer.feed(fragments, records), len(records)

    def _may_arrive(self, fragments: Fragments, outcome: Outcome) -> bool:
        """Whether lines are missing that the agent delivered just now."""
        missing = fragments.position[outcome.missing_rows()]
        young = (missing > max(self._last_stored, 0)) & (missing < self._due)
        return bool(young.any()) and self._clock.monotonic() < self._deadline

    def _take(self, file: TracedFile, fragments: Fragments, outcome: Outcome) -> None:
        """Count what came out of a block."""
        self._tell_of_records(outcome)
        rows = outcome.missing_rows()
        waiting = fragments.position[rows] >= self._due
        self._verdict.waiting += int(waiting.sum())
        rows = self._without_begun_before(fragments, rows[~waiting])
        self._before = {}
        position = fragments.position[rows]
        lost = np.zeros(len(rows), np.bool_)
        for loss in self._log.losses:
            lost |= (position >= loss.position) & (position < loss.position + loss.size_bytes)
        self._verdict.lost += int(lost.sum())
        self._verdict.missing += int((~lost).sum())
        for kind, of in ((LOST, rows[lost]), (MISSING, rows[~lost])):
            for run in _runs(of):
                self._tell_of_lines(file, fragments, run, kind)

    def _without_begun_before(
        self, fragments: Fragments, rows: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.int64]:
        """Leave out the lines behind a hole that go on with a record from before it."""
        if not self._before:
            return rows
        kept = []
        for row in rows.tolist():
            record = self._before.get(int(fragments.lane[row]) & _STREAM, b"")
            text = fragments.body[row].as_py()
            if not text or text not in record:
                kept.append(row)
        self._verdict.unverified += len(rows) - len(kept)
        return np.array(kept, np.int64)

    # --- telling

    def _tell_of_records(self, outcome: Outcome) -> None:
        self._verdict.equal += outcome.equal
        self._verdict.equal_bytes += outcome.equal_bytes
        self._verdict.differing += len(outcome.differing)
        self._verdict.repeated += len(outcome.repeated)
        for kind, found in ((DIFFERS, outcome.differing), (REPEATED, outcome.repeated)):
            for one in found:
                self._tell_of_record(kind, one)

    def _tell_of_record(self, kind: str, one: Difference) -> None:
        file = self._log.file_at(one.position)
        base = file.known.base if file is not None and file.known is not None else 0
        self._verdict.tell(
            Finding(
                kind=kind,
                path=file.path if file is not None else "",
                offset=one.position - base,
                record=f"{one.stream_id}:{one.position}",
                text=one.why,
            )
        )

    def _tell_of_lines(self, file: TracedFile, fragments: Fragments, run: range, kind: str) -> None:
        assert file.known is not None
        first = fragments.body[run.start].as_py()[:80].decode("utf-8", "replace")
        self._verdict.tell(
            Finding(
                kind=kind,
                path=file.path,
                offset=int(fragments.position[run.start]) - file.known.base,
                lines=len(run),
                text=first,
            )
        )

    def _tell_unreadable(self, disk: DiskFile, offset: int, why: str) -> None:
        self._verdict.unreadable += 1
        self._verdict.tell(Finding(kind=UNREADABLE, path=str(disk.path), offset=offset, text=why))


def _again(place: Place, file: TracedFile) -> DiskFile | None:
    """The file that begins as `file` did, by its name of now; None where there is none."""
    assert file.disk is not None and file.known is not None
    known, folder = file.known, Path(place.folder)
    if any(known.is_(f) for f in files_of(folder, [file.disk.name])):
        return None
    names = logs_in(folder, place.naming).get(place.log, [])
    return next((f for f in files_of(folder, names) if known.is_(f)), None)


def _times(fragments: Fragments) -> Range | None:
    """The times of a block's records; None where a line does not tell its own."""
    if not len(fragments) or not bool(fragments.timed.all()):
        return None
    return Range(int(fragments.timestamp.min()), int(fragments.timestamp.max()) + 1)


def _runs(rows: npt.NDArray[np.int64]) -> Iterator[range]:
    """Rows as few ranges."""
    if not len(rows):
        return
    breaks = np.flatnonzero(np.diff(rows) != 1) + 1
    for part in np.split(rows, breaks):
        yield range(int(part[0]), int(part[-1]) + 1)
