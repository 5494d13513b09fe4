"""The order of the agent's stages: collect → assemble → parse → enrich → spool.

This is the one place that knows it. The pipeline reads until a segment is large or old enough,
makes it durable together with the checkpoints of what was read for it, and begins the next. While
the spool cannot take the segment, nothing is read: the data waits in the node's own files, and the
very same segment is tried again.

Left out: what becomes of segments (ship), threads and signals (main).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from prometheus_client import CollectorRegistry

from kelp.agent.metrics import PipelineMetrics
from kelp.agent.segmenter import Segmenter
from kelp.agent.spool import Payload, SpoolError
from kelp.base.backoff import Backoff
from kelp.base.clock import Clock
from kelp.model.batch import LogBatch
from kelp.model.lines import Lines
from kelp.model.loss import Loss, SourceFile
from kelp.model.parsed import Parsed
from kelp.model.raw import RawBatch

_log = logging.getLogger(__name__)

Changes = dict[str, bytes | None]

# How often records are looked for whose last fragment, or whose next line, did not come.
_EXPIRE_S = 0.25
# While files wait to be read, what is missing may lie in them: then only this often.
_EXPIRE_BEHIND_S = 30.0

# While less than this lies in the files, reading waits for `poll_interval_s`: a batch has its
# price, however small it is.
_WORTH_READING = 256 << 10

# Waits while the spool cannot take a segment.
_RETRY_FIRST_S, _RETRY_MAX_S = 0.2, 2.0


class Batch(Protocol):
    """What a collector gives to the assembler that it goes with: RawBatch, Entries."""

    @property
    def size_bytes(self) -> int:
        """What was read for it."""


B = TypeVar("B", bound=Batch)
B_co = TypeVar("B_co", bound=Batch, covariant=True)
B_contra = TypeVar("B_contra", bound=Batch, contravariant=True)


class Collector(Protocol[B_co]):
    """Gives what was written; see kelp.agent.collect."""

    def poll(self) -> B_co | None:
        """What grew since the last time; None where nothing did."""

    def discover(self) -> None:
        """Find new files and hold on to them, without reading."""

    def changes(self) -> Changes:
        """Checkpoints that changed since the last call."""

    def source_files(self) -> list[SourceFile]:
        """Files that changed since the last call."""

    def losses(self) -> list[Loss]:
        """Losses found since the last call."""

    def backlog_bytes(self) -> int:
        """What lies in the node's files, unread."""

    def close(self) -> None:
        """Give back what is held; commits nothing."""


class Assembler(Protocol[B_contra]):
    """Makes records of it; see kelp.agent.assemble."""

    def assemble(self, raw: B_contra, /) -> Lines:
        """Records that the bytes complete; fragments are kept."""

    def expire(self, now_ns: int) -> Lines | None:
        """Records that waited too long for their last fragment."""

    def changes(self) -> Changes:
        """Checkpoints that changed since the last call."""


class Parser(Protocol):
    """Reads the bodies; see kelp.agent.parse."""

    def parse(self, lines: Lines, /) -> Parsed:
        """What they say of themselves."""

    def changes(self) -> Changes:
        """Checkpoints that changed since the last call."""


@dataclass(frozen=True)
class Source(Generic[B]):
    """A collector and what makes records of its batches; `name` begins its checkpoints' names."""

    name: str
    collector: Collector[B]
    assembler: Assembler[B]

    def read(self) -> tuple[int, Lines | None]:
        """(bytes read, the records that they complete)."""
        batch = self.collector.poll()
        if batch is None:
            return 0, None
        return batch.size_bytes, self.assembler.assemble(batch)

    def changes(self) -> dict[str, Changes]:
        """Checkpoints that changed since the last call, by stage."""
        return {
            self.name + "collect": self.collector.changes(),
            self.name + "assemble": self.assembler.changes(),
        }


@dataclass(frozen=True)
class Stages:
    """What the pipeline is made of, in order; `others` are read beside the pods' logs."""

    collector: Collector[RawBatch]
    assembler: Assembler[RawBatch]
    parser: Parser
    log_batch: Callable[[Lines, Parsed], LogBatch]
    others: Sequence[Source[Any]] = ()

    @property
    def sources(self) -> list[Source[Any]]:
        """All that is read, the pods' logs first."""
        return [Source("", self.collector, self.assembler), *self.others]


class Store(Protocol):
    """Where segments and checkpoints become durable; see kelp.agent.spool."""

    @property
    def next_seq(self) -> int:
        """Number of the next segment."""

    def commit(
        self, payloads: Sequence[Payload], changes: Mapping[str, Mapping[str, bytes | None]]
    ) -> None:
        """Both or neither; raises SpoolError, and may be called again with the same."""

    def settle(self) -> None:
        """Give back the space of what was shipped; raises SpoolError."""


@dataclass
class Pace:
    """The settings that may change while the agent runs."""

    segment_bytes: int
    flush_interval_s: float
    poll_interval_s: float


@dataclass(frozen=True)
class _Commit:
    payloads: list[Payload]
    changes: dict[str, Changes]


class Pipeline:
    """For one thread; `state` and `beat` may be read from any."""

    def __init__(
        self,
        stages: Stages,
        store: Store,
        segmenter: Segmenter,
        pace: Pace,
        clock: Clock,
        registry: CollectorRegistry,
    ) -> None:
        self._stages = stages
        self._sources = stages.sources
        self._store = store
        self._segmenter = segmenter
        self.pace = pace
        self._clock = clock
        self._metrics = PipelineMetrics(registry)
        self._retry = Backoff(_RETRY_FIRST_S, _RETRY_MAX_S, draw=lambda: 1.0)
        self._commit: _Commit | None = None  # a segment that the spool could not take yet
        self._raw_bytes = 0
        self._flushed = self._expired = self.beat = clock.monotonic()
        self.state = ""
        self.idle = False  # the last read found nothing

    def step(self) -> float:
        """Read once, and close the segment where it is time; seconds until the next step."""
        self.beat = self._clock.monotonic()
        if self._commit is not None and not self._try_commit(self._commit):
            # What is rotated away and deleted meanwhile must be open by then.
            for source in self._sources:
                source.collector.discover()
            return self._retry.next_s()
        more = self._read()
        self._expire(_EXPIRE_BEHIND_S if more else _EXPIRE_S)
        until_flush_s = self._flushed + self.pace.flush_interval_s - self._clock.monotonic()
        if self._raw_bytes >= self.pace.segment_bytes:
            self._flush("size")
        elif until_flush_s <= 0:
            self._flush("age")
            until_flush_s = self.pace.flush_interval_s
        if self._commit is not None:
            return self._retry.next_s()
        return 0.0 if more else min(self.pace.poll_interval_s, max(until_flush_s, 0.001))

    def finish(self) -> None:
        """Make durable what was read; what cannot be is read again by the next agent."""
        if self._commit is None or self._try_commit(self._commit):
            self._flush("stop")
        if self._commit is not None:
            _log.warning(
                "stopping without the last records; they are read again at the next start",
                extra={"state": self.state},
            )

    def _read(self) -> bool:
        """Take one batch of each source through; whether there is likely to be more at once."""
        self.idle = True
        more = False
        for source in self._sources:
            size, lines = source.read()
            if lines is not None:
                self.idle = False
                self._raw_bytes += size
                self._take(lines)
                more = more or source.collector.backlog_bytes() >= _WORTH_READING
        return more

    def _expire(self, interval_s: float) -> None:
        now = self._clock.monotonic()
        if now - self._expired >= interval_s:
            self._expired = now
            for source in self._sources:
                lines = source.assembler.expire(self._clock.now_ns())
                if lines is not None:
                    self._take(lines)

    def _take(self, lines: Lines) -> None:
        batch = self._stages.log_batch(lines, self._stages.parser.parse(lines))
        self._segmenter.add(batch)
        self._metrics.records.inc(batch.records.num_rows)

    def _backlog_bytes(self) -> int:
        return sum(s.collector.backlog_bytes() for s in self._sources)

    def _flush(self, reason: str) -> None:
        """Close the segment, and make it durable with the checkpoints of now."""
        changes: dict[str, Changes] = {"parse": self._stages.parser.changes()}
        for source in self._sources:
            changes |= source.changes()
        payloads = self._segmenter.close(
            self._store.next_seq,
            self._clock.now_ns(),
            [f for s in self._sources for f in s.collector.source_files()],
            [loss for s in self._sources for loss in s.collector.losses()],
        )
        self._raw_bytes = 0
        self._flushed = self._clock.monotonic()
        self._metrics.closed(reason, len(payloads))
        self._metrics.backlog.set(self._backlog_bytes())
        if payloads or any(changes.values()):
            self._commit = _Commit(payloads, changes)
            self._try_commit(self._commit)
        else:
            self._settle()

    def _try_commit(self, commit: _Commit) -> bool:
        try:
            self._store.commit(commit.payloads, commit.changes)
        except SpoolError as e:
            self._blocked(e)
            return False
        self._commit = None
        self._retry.reset()
        self._enter("")
        return True

    def _settle(self) -> None:
        try:
            self._store.settle()
        except SpoolError as e:
            # Nothing waits to be written, so reading goes on; the space comes back later.
            _log.debug("the spool could not give back space", extra={"error": str(e)})

    def _blocked(self, error: SpoolError) -> None:
        if self.state != error.state:
            _log.warning(
                "reading waits, for the spool cannot take more; the data stays in the node's files",
                extra={"state": error.state, "error": str(error)},
            )
        self._enter(error.state)

    def _enter(self, state: str) -> None:
        if self.state and not state:
            _log.info("reading goes on", extra={"after": self.state})
        self.state = state
        self._metrics.enter(state)
