"""The inbox: what the server has taken, from the moment it says so until it is in the store.

A sender is answered when its segment is durable in the journal; one thread then gathers segments
into groups and gives them to the store. A group's composition is on disk before the store sees it,
and its name hangs on nothing else: after a crash at any point the very same group is offered again
under the very same name, and the store drops what it has. So nothing is lost and nothing doubled,
and many small segments become few large inserts.

An agent numbers its segments without gaps and sends them in order. A number that was seen, or is
lower, is a repeat: it is acknowledged and dropped. A gap cannot be closed by waiting (an agent
deletes only what was acknowledged, so it has lost its spool); it is counted and taken as it is.

Below the inbox's folder: the files of `ledger`, journal/ with the frames of `journal`, and refused/
with the frames that the store will never take. These are offered again at the next start, for a
newer release may know better.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pyarrow as pa
from prometheus_client import REGISTRY, CollectorRegistry

from kelp.base.clock import Clock, SystemClock
from kelp.base.files import fsync_dir
from kelp.base.settings import Server
from kelp.model.batch import LogBatch
from kelp.server.ports import Group, Received
from kelp.server.receive.admission import memory_bytes, received
from kelp.server.receive.drain import Drain, Pace
from kelp.server.receive.frame import FrameHead, decode_frame, encode_frame
from kelp.server.receive.journal import Journal, JournalError
from kelp.server.receive.ledger import Ledger
from kelp.server.receive.metrics import InboxMetrics
from kelp.server.receive.seal import Seal
from kelp.server.receive.waiting import Segment as WaitingSegment
from kelp.server.receive.waiting import Waiting
from kelp.wire.segment import (
    Segment,
    SegmentError,
    SegmentHeader,
    decode_segment,
    encode_segment,
    read_header,
)

log = logging.getLogger(__name__)

# Segments that are being decoded at once: each may take as much memory as a request is allowed.
_DECODERS = 4


class InboxFull(Exception):  # noqa: N818  # a state of the inbox, not a mistake of anyone
    """Nothing was taken; the sender keeps it and tries again after `retry_after_s`."""

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


@dataclass(frozen=True)
class Accepted:
    """A segment that is durable; `duplicate` where it was before."""

    seq: int
    records: int
    duplicate: bool


class Inbox:
    """Must have its directory for itself. Safe to call from several threads at once.

    `sink` is the store's insert. It is called from one thread, and must raise RefusedError for what
    it will never take and EngineError for what it cannot take now. `key` is the store's encryption
    key, empty where it has none. Raises KelpError where the folder holds what it should not.
    """

    def __init__(
        self,
        directory: Path,
        sink: Callable[[Group], None],
        settings: Server | None = None,
        *,
        key: bytes = b"",
        clock: Clock | None = None,
        registry: CollectorRegistry = REGISTRY,
    ) -> None:
        settings = settings or Server()
        self._max_bytes = settings.inbox_max_bytes
        self._clock = clock or SystemClock()
        self._metrics = InboxMetrics(registry)
        self._decoding = threading.BoundedSemaphore(_DECODERS)
        self._order = threading.Lock()
        self._closed = False
        self._ledger = Ledger(directory, self._clock, key)
        self._newest = dict(self._ledger.stored)
        self._readmitted: set[int] = set()
        self._waiting = Waiting(settings.insert_max_bytes)
        self._journal = Journal(
            directory / "journal",
            self._recover,
            first_number=self._ledger.stored_through + 1,
            seal=Seal(key) if key else None,
        )
        self._drain = Drain(
            self._journal,
            self._ledger,
            self._waiting,
            sink,
            Pace(settings.insert_interval_s, settings.insert_max_bytes),
            refused=directory / "refused",
            clock=self._clock,
            metrics=self._metrics,
        )
        self._forget_stored()
        self._readmit(directory / "refused")
        self._thread = threading.Thread(target=self._drain.run, name="inbox", daemon=True)
        self._thread.start()

    def accept(self, tenant: str, data: bytes | memoryview | pa.Buffer) -> Accepted:
        """Take a segment of one of the tenant's agents; it is durable on return.

        Raises SegmentError (it is none: the sender's fault) and InboxFull (try again later).
        """
        try:
            header = read_header(data)
            if self._is_repeat(tenant, header):
                return self._repeat(header)
            self._check_room(len(memoryview(data)))
            with self._decoding:
                part = received(tenant, decode_segment(data))
        except SegmentError:
            self._metrics.segments.labels("invalid").inc()
            raise
        number = self._append(part, data)
        return self._durable(header, number) if number else self._repeat(header)

    def fingerprint(self, tenant: str, kind: str, body: bytes) -> bytes:
        """Names a push, so that its repeat is known; `kind` is what tells how to read the bytes."""
        return self._ledger.pushes.fingerprint(tenant, kind, body)

    def is_repeat(self, fingerprint: bytes, *, wait_s: float) -> bool:
        """Whether a push with it was taken of late; then it is durable on return.

        Waits up to `wait_s` until it can be searched, as accept_batch does. Raises InboxFull.
        """
        with self._order:
            number = self._ledger.pushes.number_of(fingerprint)
        if number is None:
            return False
        self._sync(number)
        self._metrics.segments.labels("duplicate").inc()
        self._wait_stored(number, wait_s)
        return True

    def forget_pushes(self) -> None:
        """From now on no push is a repeat; for when records are deleted. Raises OSError."""
        self._ledger.pushes.forget()

    def accept_batch(
        self, tenant: str, batch: LogBatch, *, wait_s: float, fingerprint: bytes = b""
    ) -> bool:
        """Take a push of another protocol; it is durable on return, and searchable if True.

        False: the store did not take it within `wait_s`; it will be stored, so the sender must not
        repeat it. With a fingerprint, a push that was taken of late is not taken again. Raises
        InboxFull, and SegmentError where the batch does not hold together.
        """
        header = SegmentHeader(
            agent_id="push",  # a header must have one; the frame says that it is none
            seq=1,
            node="",
            created_ns=self._clock.now_ns(),
            records=batch.records.num_rows,
            body_bytes=0,
            streams=[stream.labels for stream in batch.streams.values()],
        )
        segment = Segment(header, [batch.records])
        data = encode_segment(segment)
        self._check_room(data.size)
        part = received(tenant, segment, agent_id="")
        number = self._append(part, data, fingerprint)
        self._durable(header, number)
        return self._wait_stored(number, wait_s)

    def flush(self, timeout_s: float = 30.0) -> bool:
        """Wait until all that was accepted before is stored; False where it takes longer."""
        with self._hurrying():
            return self._wait_stored(self._journal.written, timeout_s)

    def close(self, drain_s: float = 2.0) -> None:
        """Take nothing more, store what can be stored in that time, keep the rest on disk."""
        self._closed = True
        if not self._drain.failing:
            self.flush(drain_s)
        self._drain.stop()
        self._thread.join()
        self._journal.close()

    def _is_repeat(self, tenant: str, header: SegmentHeader) -> bool:
        with self._order:
            return header.seq <= self._newest.get((tenant, header.agent_id), 0)

    def _repeat(self, header: SegmentHeader) -> Accepted:
        """Acknowledge a repeat: only when what it repeats is durable, too."""
        self._sync(self._journal.written)
        self._metrics.segments.labels("duplicate").inc()
        return Accepted(header.seq, header.records, duplicate=True)

    def _check_room(self, size: int) -> None:
        if self._closed:
            raise InboxFull("the server is stopping; try again", retry_after_s=2.0)
        used = self._journal.size_bytes
        if used + size > self._max_bytes:
            self._metrics.segments.labels("full").inc()
            raise InboxFull(
                f"the inbox holds {used} of {self._max_bytes} bytes that are not stored yet; "
                "keep the data and try again",
                retry_after_s=5.0 if self._drain.failing else 1.0,
            )

    def _append(
        self, part: Received, data: bytes | memoryview | pa.Buffer, fingerprint: bytes = b""
    ) -> int:
        """Write the segment, not yet durable; gives its number, 0 for a repeat of an agent's.

        For the repeat of a push, which came while this one was decoded: the number of that one.
        """
        size = memory_bytes(part)
        head = FrameHead(
            tenant=part.tenant,
            agent_id=part.agent_id,
            seq=part.seq,
            memory_bytes=size,
            fingerprint=fingerprint.hex(),
        )
        content = encode_frame(head, data)
        with self._order:
            if part.agent_id and not self._is_next(part):
                return 0
            known = self._ledger.pushes.number_of(fingerprint) if fingerprint else None
            if known is not None:
                return known
            try:
                number = self._journal.append(content)
            except (OSError, JournalError) as e:
                self._metrics.segments.labels("full").inc()
                raise InboxFull(f"the inbox's disk takes nothing: {e}", retry_after_s=5.0) from e
            if part.agent_id:
                self._newest[part.tenant, part.agent_id] = part.seq
            if fingerprint:
                self._ledger.pushes.note(fingerprint, number)
            self._enqueue(number, head, part)
        return number

    def _is_next(self, part: Received) -> bool:
        """Whether the number is new; counts the ones that are missing before it."""
        newest = self._newest.get((part.tenant, part.agent_id))
        if newest is not None and part.seq > newest + 1:
            missing = part.seq - newest - 1
            self._metrics.gaps.inc(missing)
            log.warning(
                "agent %s: %d segments before %d never came", part.agent_id, missing, part.seq
            )
        return newest is None or part.seq > newest

    def _enqueue(self, number: int, head: FrameHead, part: Received | None) -> None:
        with self._waiting.changed:
            self._waiting.put(
                WaitingSegment(
                    number,
                    head.tenant,
                    head.agent_id,
                    head.seq,
                    head.memory_bytes,
                    self._clock.monotonic(),
                    part,
                )
            )

    def _durable(self, header: SegmentHeader, number: int) -> Accepted:
        self._sync(number)
        with self._waiting.changed:
            self._waiting.changed.notify_all()
        self._metrics.segments.labels("accepted").inc()
        self._metrics.records.inc(header.records)
        self._metrics.body_bytes.inc(header.body_bytes)
        self._metrics.size_bytes.set(self._journal.size_bytes)
        self._metrics.waiting.set(len(self._waiting))
        return Accepted(header.seq, header.records, duplicate=False)

    def _sync(self, number: int) -> None:
        try:
            self._journal.sync(number)
        except JournalError as e:
            raise InboxFull(str(e), retry_after_s=10.0) from e

    def _wait_stored(self, number: int, timeout_s: float) -> bool:
        with self._waiting.changed:
            return self._waiting.changed.wait_for(
                lambda: self._drain.stored_through >= number, timeout_s
            )

    @contextmanager
    def _hurrying(self) -> Iterator[None]:
        self._drain.hurry(True)
        try:
            yield
        finally:
            self._drain.hurry(False)

    def _recover(self, number: int, content: bytes) -> None:
        """A frame that lay in the journal at the start."""
        head, _ = decode_frame(content)
        key = head.tenant, head.agent_id
        if head.agent_id:
            self._newest[key] = max(head.seq, self._newest.get(key, 0))
        if head.fingerprint:
            self._ledger.pushes.note(bytes.fromhex(head.fingerprint), number)
        self._readmitted.add(head.readmitted)
        if number > self._ledger.stored_through:
            self._enqueue(number, head, None)
        else:
            self._ledger.note_stored(head.tenant, head.agent_id, head.seq)

    def _forget_stored(self) -> None:
        if self._journal.would_drop_file(self._ledger.stored_through):
            self._ledger.save()
        self._journal.drop_through(self._ledger.stored_through)

    def _readmit(self, refused: Path) -> None:
        """Offer once more what the store refused; before anything is stored, so that what a crash
        interrupts here is known by the frames in the journal, and not done twice.
        """
        refused.mkdir(exist_ok=True, mode=0o700)
        for path in sorted(refused.glob("*.frame")):
            number = int(path.stem)
            if number not in self._readmitted:
                head, data = decode_frame(self._journal.content_of(path.read_bytes()))
                head = msgspec.structs.replace(head, readmitted=number)
                again = self._journal.append(encode_frame(head, data))
                self._journal.sync(again)
                self._enqueue(again, head, None)
            path.unlink()
        fsync_dir(refused)
