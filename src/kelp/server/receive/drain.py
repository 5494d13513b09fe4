"""The inbox's one writer: takes what waits, makes groups of it, gives them to the store.

What the store does with a group is one of three things. It stores it. It cannot just now (away, too
many parts, no memory): the same group is offered again, later and later, and meanwhile the inbox
fills. Or it will never take it: then its segments are offered one by one, and those that cannot be
stored are kept aside in refused/, so that one bad segment never stops all others.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from kelp.base.clock import Clock
from kelp.base.files import write_durably
from kelp.server.ports import EngineError, Group, Received, RefusedError
from kelp.server.receive.admission import received
from kelp.server.receive.frame import decode_frame
from kelp.server.receive.journal import Journal
from kelp.server.receive.ledger import GroupRecord, Ledger
from kelp.server.receive.metrics import InboxMetrics
from kelp.server.receive.waiting import Segment, Waiting
from kelp.wire.segment import SegmentError, decode_segment

log = logging.getLogger(__name__)

# An error that may be the data's or the store's: after so many attempts the segments are offered
# one by one, and after so many more those that still fail while others pass are set aside.
_ATTEMPTS = 8


class _Outcome(Enum):
    STORED = "stored"
    REFUSED = "refused"
    FAILED = "failed"


@dataclass(frozen=True)
class Pace:
    """How groups are gathered, and how long to wait after a failure (doubled, with jitter)."""

    interval_s: float
    max_memory_bytes: int
    backoff_first_s: float = 0.1
    backoff_max_s: float = 15.0

    def backoff_s(self, attempt: int) -> float:
        """Seconds to wait after that many failures in a row."""
        longest = min(self.backoff_first_s * float(1 << min(attempt, 30)), self.backoff_max_s)
        return longest * (0.5 + random.random() / 2)


class Drain:
    """`run` is for a thread of its own; `stop` ends it between two attempts."""

    def __init__(  # noqa: PLR0913  # the parts of one inbox, put together in one place
        self,
        journal: Journal,
        ledger: Ledger,
        waiting: Waiting,
        sink: Callable[[Group], None],
        pace: Pace,
        *,
        refused: Path,
        clock: Clock,
        metrics: InboxMetrics,
    ) -> None:
        self._journal = journal
        self._ledger = ledger
        self._waiting = waiting
        self._sink = sink
        self._pace = pace
        self._refused = refused
        self._clock = clock
        self._metrics = metrics
        self._stopping = threading.Event()
        self._hurry = 0
        self._unsaved = False  # whether stopping came before a segment could be set aside
        self.stored_through = ledger.stored_through
        self.failing = False  # whether the store did not take what it was offered last

    def run(self) -> None:
        """Store what waits, until stopped."""
        record = self._ledger.group
        if record and not record.stored:
            self._store(record, self._waiting.take(0, through=record.last))
        while not self._stopping.is_set():
            segments = self._gather()
            if segments:
                first, last = segments[0].number, segments[-1].number
                now = self._clock.now_ns()
                self._store(GroupRecord(first=first, last=last, created_ns=now), segments)

    def stop(self) -> None:
        """Make `run` return. What is not stored by then stays in the journal."""
        self._stopping.set()
        with self._waiting.changed:
            self._waiting.changed.notify_all()

    def hurry(self, up: bool) -> None:
        """While up, gather no longer than what has come takes to be stored."""
        with self._waiting.changed:
            self._hurry += 1 if up else -1
            self._waiting.changed.notify_all()

    def _gather(self) -> list[Segment]:
        """Wait for the next group; empty when stopping."""
        with self._waiting.changed:
            while not self._stopping.is_set():
                wait = self._wait_s()
                if wait is not None and wait <= 0:
                    break
                self._waiting.changed.wait(wait)
        return self._waiting.take(self._journal.synced) if not self._stopping.is_set() else []

    def _wait_s(self) -> float | None:
        """How long until the next group is due; None: nothing is there, wait for a change."""
        oldest = self._waiting.oldest
        if oldest is None or oldest.number > self._journal.synced:
            return None
        if self._hurry or self._waiting.total_bytes >= self._pace.max_memory_bytes:
            return 0
        return oldest.arrived + self._pace.interval_s - self._clock.monotonic()

    def _store(self, record: GroupRecord, segments: Sequence[Segment]) -> None:
        """Bring the group to its end, or stop trying when stopping."""
        if not self._begin(record):
            return
        name = self._ledger.name(record)
        left = self._load(segments)
        attempt = 0
        while left and not self._stopping.is_set():
            outcome, suspect = self._offer(name, record, left)
            if outcome is _Outcome.STORED:
                left = []
            elif outcome is _Outcome.REFUSED and len(left) == 1:
                self._set_aside(left.pop(), "refused by the store")
            elif outcome is _Outcome.REFUSED or (suspect and attempt >= _ATTEMPTS):
                left = self._one_by_one(name, record, left)
            else:
                self._pause(attempt)
            attempt += 1
        if not left and not self._unsaved:
            self._finish(record, segments)

    def _begin(self, record: GroupRecord) -> bool:
        attempt = 0
        while record != self._ledger.group and not self._stopping.is_set():
            try:
                self._ledger.begin(record)
            except OSError as e:
                log.error("cannot write the inbox's group.json: %s; trying again", e)
                self._pause(attempt)
                attempt += 1
        return record == self._ledger.group

    def _load(self, segments: Sequence[Segment]) -> list[Segment]:
        """Decode what is not in memory; what cannot be decoded is set aside."""
        good = []
        for segment in segments:
            try:
                segment.part = segment.part or self._read(segment)
                good.append(segment)
            except (SegmentError, ValueError) as e:
                self._set_aside(segment, str(e))
        return good

    def _read(self, segment: Segment) -> Received:
        _, data = decode_frame(self._journal.read(segment.number))
        return received(segment.tenant, decode_segment(data), segment.agent_id)

    def _offer(
        self, name: str, record: GroupRecord, segments: Sequence[Segment]
    ) -> tuple[_Outcome, bool]:
        """Offer the segments as one; also says whether a failure may be the data's fault."""
        parts = [s.part for s in segments if s.part is not None]
        started = self._clock.monotonic()
        outcome, suspect = _Outcome.STORED, False
        try:
            self._sink(Group(name, record.created_ns, parts))
        except RefusedError as e:
            outcome = _Outcome.REFUSED
            log.error("the store refuses group %s (%d segments): %s", name, len(parts), e)
        except EngineError as e:
            outcome, suspect = _Outcome.FAILED, e.code != 0
            log.warning("the store cannot take group %s: %s; trying again", name, e)
        except Exception:  # whatever it is, it must not end the only writer
            outcome, suspect = _Outcome.FAILED, True
            log.exception("storing group %s failed; trying again", name)
        took = self._clock.monotonic() - started
        self._metrics.inserts.labels(outcome.value).inc()
        self._metrics.insert_seconds.observe(took)
        self.failing = outcome is _Outcome.FAILED
        return outcome, suspect

    def _one_by_one(
        self, name: str, record: GroupRecord, segments: Sequence[Segment]
    ) -> list[Segment]:
        """Offer each segment alone; gives those that are left when stopping.

        One that fails is set aside only when it is known whose fault it is: the store said that it
        will never take it, or it takes others.
        """
        left, passed, attempt = list(segments), False, 0
        while left and not self._stopping.is_set():
            failed = []
            for segment in left:
                outcome, suspect = self._offer(f"{name}.{segment.number}", record, [segment])
                passed |= outcome is _Outcome.STORED
                if outcome is _Outcome.REFUSED:
                    self._set_aside(segment, "refused by the store")
                elif outcome is _Outcome.FAILED:
                    failed.append((segment, suspect))
            left = [s for s, suspect in failed if not (suspect and passed and attempt >= _ATTEMPTS)]
            for segment, _ in failed:
                if segment not in left:
                    self._set_aside(segment, "fails while others pass")
            if left:
                self._pause(attempt)
            attempt += 1
        return left

    def _set_aside(self, segment: Segment, why: str) -> None:
        path = self._refused / f"{segment.number:020d}.frame"
        log.error(
            "segment %d of agent %r (tenant %r) is set aside in %s: %s",
            segment.seq, segment.agent_id, segment.tenant, path, why,
        )  # fmt: skip
        self._metrics.refused.inc()
        attempt = 0
        while not self._stopping.is_set():
            try:
                write_durably(path, self._journal.raw(segment.number))
                return
            except OSError as e:
                log.error("cannot write %s: %s; trying again", path, e)
                self._pause(attempt)
                attempt += 1
        self._unsaved = True

    def _finish(self, record: GroupRecord, segments: Sequence[Segment]) -> None:
        """Note that the group is stored, and let its frames go."""
        for segment in segments:
            self._ledger.note_stored(segment.tenant, segment.agent_id, segment.seq)
        self._ledger.finish(record)
        try:
            if self._journal.would_drop_file(record.last):
                self._ledger.save()
            self._journal.drop_through(record.last)
        except OSError as e:
            log.error("cannot clear the inbox's journal: %s; the next group tries again", e)
        self._metrics.size_bytes.set(self._journal.size_bytes)
        self._metrics.waiting.set(len(self._waiting))
        with self._waiting.changed:
            self.stored_through = record.last
            self._waiting.changed.notify_all()

    def _pause(self, attempt: int) -> None:
        self._stopping.wait(self._pace.backoff_s(attempt))
