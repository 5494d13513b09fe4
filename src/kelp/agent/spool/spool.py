"""The durable queue between reading and shipping.

A segment is a file; that it counts is a row in the index, written in one transaction with the
checkpoints that stand for having read it. The order of steps makes every kill harmless:

    commit       file written and synced → row and checkpoints committed
                 (killed between: a file without a row, removed at the next start)
    acknowledge  remembered → row deleted with the next commit → file removed
                 (killed before: the segment is sent again, and the server knows its seq)
    refuse       file moved to refused/ → row deleted with the next commit
                 (killed between: a row whose file lies in refused/, dropped at the next start)

Acknowledgements are not made durable by themselves: that would cost a sync a segment to save a
repeat after a kill, which the server drops anyway.

On a disk too full for the index to grow, the files of acknowledged segments are emptied under
another name (which needs no space), and that gives the index the room to forget them.

Left out: what a segment holds, when to close one, and what to do while the spool is full.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

from prometheus_client import CollectorRegistry

from kelp.agent.spool.disk import Disk
from kelp.agent.spool.errors import DamageError, DiskFailedError, DiskFullError, SpoolFullError
from kelp.agent.spool.index import Change, Entry, Index
from kelp.agent.spool.metrics import SpoolMetrics
from kelp.agent.spool.recover import Folders, recover
from kelp.agent.spool.vault import Vault
from kelp.base.errors import ConfigError, KelpError

_log = logging.getLogger(__name__)

# The file system gives out blocks of this size; a spool of many small segments fills by them.
_BLOCK = 4096

_WINDOW = 256  # rows of the index held in memory

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True)
class Payload:
    """The bytes of an encoded segment; their number is `Spool.next_seq` and on."""

    data: memoryview
    records: int
    created_ns: int


@dataclass(frozen=True)
class Parcel:
    """A segment to be shipped."""

    seq: int
    data: memoryview
    records: int
    created_ns: int


class Spool:
    """One agent's spool. `commit` and `settle` belong to one thread, the rest to any."""

    def __init__(
        self,
        folder: Path,
        *,
        max_bytes: int,
        vault: Vault | None = None,
        disk: Disk | None = None,
        registry: CollectorRegistry | None = None,
    ) -> None:
        """Open or make the spool in `folder`, and put right what a kill left behind.

        Raises KelpError: another agent has it, it is of a newer format, its key is missing.
        """
        self.max_bytes = max_bytes
        self._folders = Folders(folder)
        self._vault = vault or Vault()
        self._disk = disk or Disk()
        self._metrics = SpoolMetrics(registry or CollectorRegistry())
        self._changed = threading.Condition()
        self._window: deque[Entry] = deque()
        self._done: deque[Entry] = deque()  # handled, not yet forgotten by the index
        self._forgotten: deque[Entry] = deque()  # by the index; their files are still there
        with ExitStack() as opened:
            with _disk_errors():
                self._folders.make()
                opened.callback(os.close, _lock(self._folders.lock))
                self._index = Index(self._folders.index, fsync=self._disk.fsync)
                opened.callback(self._index.close)
                self._check_key()
                found = recover(self._folders, self._index, self._disk)
            self._reseal()
            self._opened = opened.pop_all()
        self.agent_id = self._index.agent_id
        self._used = sum(map(_blocks, found.sizes)) + sum(map(_blocks, self._folders.aside_sizes()))
        self._waiting = len(found.sizes)
        self._metrics.lost(found.lost, "missing")
        self._report()

    def close(self) -> None:
        """Write down what was acknowledged, and let another agent have the spool."""
        with suppress(DiskFullError, DiskFailedError):
            self.settle()
        self._opened.close()

    # What the pipeline needs.

    @property
    def next_seq(self) -> int:
        """The number of the next segment to be committed."""
        return self._index.last_seq + 1

    @property
    def used_bytes(self) -> int:
        """Space that segments take, waiting, refused and damaged ones."""
        return self._used

    @property
    def waiting(self) -> int:
        """Segments that wait to be shipped."""
        return self._waiting

    def checkpoints(self, stage: str) -> dict[str, bytes]:
        """What a stage last committed."""
        rows = self._index.checkpoints(stage)
        return {key: self._vault.get_value(value, stage, key) for _, key, value in rows}

    def state(self) -> dict[str, int | str]:
        """Numbers for people who help."""
        return {
            "agent_id": self.agent_id,
            "next_seq": self.next_seq,
            "waiting_segments": self._waiting,
            "used_bytes": self._used,
            "max_bytes": self.max_bytes,
        }

    def checkpoint_sizes(self) -> dict[str, tuple[int, int]]:
        """Of each stage how many checkpoints there are, and their bytes."""
        sizes: dict[str, tuple[int, int]] = {}
        for stage, _, value in self._index.checkpoints():
            count, size = sizes.get(stage, (0, 0))
            sizes[stage] = (count + 1, size + len(value))
        return sizes

    def commit(
        self, payloads: Sequence[Payload], changes: Mapping[str, Mapping[str, bytes | None]]
    ) -> None:
        """Make segments and checkpoints durable, both or neither.

        Raises SpoolError (full, disk full, disk failed): nothing has changed then, and the same
        call may be made again.
        """
        with self._metrics.commit_seconds.time():
            try:
                self._add(payloads, changes)
            except DiskFullError:
                if not self._done:
                    raise
                self.settle()
                self._add(payloads, changes)
        with self._changed:
            self._waiting += len(payloads)
            self._changed.notify_all()
        self._report()

    def settle(self) -> None:
        """Forget what was acknowledged and give its space back; raises SpoolError."""
        if self._done or self._forgotten:
            with _disk_errors():
                self._commit([], [])
            self._report()

    # What the shipper needs.

    def next(self, timeout_s: float) -> Parcel | None:
        """The oldest segment that is not yet handled; None where none comes in time.

        The same one again until it is acknowledged or refused. A damaged one is set aside, counted
        and passed over. Raises OSError where the disk cannot be read.
        """
        with self._changed:
            if self._waiting <= 0:
                self._changed.wait(timeout_s)
        while entry := self._head():
            try:
                return Parcel(entry.seq, self._read(entry), entry.records, entry.created_ns)
            except DamageError as e:
                self._set_aside_damaged(entry, e)
        return None

    def acknowledge(self, seq: int) -> None:
        """The segment is durable at the server."""
        self._handled(self._entry(seq))

    def refuse(self, seq: int, reason: str) -> None:
        """The server will never take the segment: keep it in refused/, with the reason beside.

        Raises OSError; nothing has changed then.
        """
        entry = self._entry(seq)
        target = self._folders.refused / self._folders.segment(seq).name
        self._disk.rename(self._folders.segment(seq), target)
        with suppress(OSError):
            note = memoryview(reason.encode(errors="replace") + b"\n")
            self._disk.write(target.with_suffix(".txt"), note)
        self._metrics.refused.inc()
        self._handled(entry, gives_back=False)

    def wake(self) -> None:
        """Let a waiting `next` return."""
        with self._changed:
            self._changed.notify_all()

    # Committing.

    def _add(
        self, payloads: Sequence[Payload], changes: Mapping[str, Mapping[str, bytes | None]]
    ) -> None:
        first = self.next_seq
        stored = [
            self._vault.put_segment(p.data, self.agent_id, first + i)
            for i, p in enumerate(payloads)
        ]
        with _disk_errors():
            self._make_room(sum(map(_blocks, map(len, stored))))
            entries = [self._write(first + i, d, payloads[i]) for i, d in enumerate(stored)]
            if entries:
                self._disk.sync(self._folders.segments)
            self._commit(entries, list(self._sealed(changes)))

    def _make_room(self, needed: int) -> None:
        if self._used + needed <= self.max_bytes:
            return
        self.settle()
        # A segment larger than the whole limit must not stop the agent for ever.
        if self._used and self._used + needed > self.max_bytes:
            raise SpoolFullError(
                f"the spool holds {self._used} of {self.max_bytes} bytes (agent.spool.max_bytes); "
                f"{needed} more do not fit"
            )

    def _write(self, seq: int, data: memoryview, payload: Payload) -> Entry:
        path = self._folders.segment(seq)
        try:
            self._disk.write(path, data)
        except OSError:
            # Its row cannot exist yet, so its space can be given back at once.
            with suppress(OSError):
                self._disk.remove(path)
            raise
        return Entry(seq, len(data), crc32(data), payload.records, payload.created_ns)

    def _commit(self, entries: list[Entry], changes: list[Change]) -> None:
        """Where it fails the new files stay: the try after it writes them again.

        Removing them would be wrong: after a failed sync the transaction may yet turn out to be
        on disk, if the agent is killed before its next try.
        """
        with self._changed:
            done = list(self._done)
        seq = done[-1].seq if done else 0
        try:
            self._index.commit(entries, changes, seq)
        except DiskFullError:
            if not self._empty(done):
                raise
            self._index.commit(entries, changes, seq)
        self._used += sum(_blocks(e.bytes) for e in entries)
        for _ in done:
            self._forgotten.append(self._done.popleft())
        # The commit is done whatever becomes of these files; the next one tries them again.
        with suppress(OSError):
            self._remove_forgotten()

    def _remove_forgotten(self) -> None:
        while self._forgotten:
            entry = self._forgotten[0]
            for path in (self._folders.segment(entry.seq), self._folders.emptied(entry.seq)):
                self._disk.remove(path)
            self._used -= _blocks(entry.bytes)
            self._forgotten.popleft()

    def _empty(self, done: list[Entry]) -> bool:
        """Give back the space of acknowledged files before the index forgets them."""
        emptied = False
        for entry in done:
            path = self._folders.segment(entry.seq)
            if entry.bytes and path.exists():
                self._disk.rename(path, self._folders.emptied(entry.seq))
                emptied = True
        if emptied:
            # The new name must be durable first: an empty file under the old one is damage.
            self._disk.sync(self._folders.segments)
            for path in self._folders.segments.glob("*.acknowledged"):
                self._disk.empty(path)
        return emptied

    def _sealed(self, changes: Mapping[str, Mapping[str, bytes | None]]) -> Iterator[Change]:
        for stage, values in changes.items():
            for key, value in values.items():
                stored = None if value is None else self._vault.put_value(value, stage, key)
                yield Change(stage, key, stored)

    # Shipping.

    def _head(self) -> Entry | None:
        with self._changed:
            if not self._window and self._waiting > 0:
                after = self._done[-1].seq if self._done else 0
                self._window.extend(self._index.entries(after, _WINDOW))
            return self._window[0] if self._window else None

    def _entry(self, seq: int) -> Entry:
        entry = self._head()
        if entry is None or entry.seq != seq:
            raise ValueError(f"expected the oldest segment, {entry and entry.seq}; got {seq}")
        return entry

    def _read(self, entry: Entry) -> memoryview:
        try:
            stored = self._folders.segment(entry.seq).read_bytes()
        except FileNotFoundError as e:
            raise DamageError("its file is missing") from e
        if len(stored) != entry.bytes or crc32(stored) != entry.crc32:
            raise DamageError(f"expected {entry.bytes} bytes as written; got {len(stored)}")
        return self._vault.get_segment(memoryview(stored), self.agent_id, entry.seq)

    def _handled(self, entry: Entry, *, gives_back: bool = True) -> None:
        with self._changed:
            self._window.popleft()
            self._waiting -= 1
            # What was set aside keeps its space; an entry of 0 bytes says so.
            kept = entry if gives_back else Entry(entry.seq, 0, 0, entry.records, 0)
            self._done.append(kept)

    def _set_aside_damaged(self, entry: Entry, error: DamageError) -> None:
        path = self._folders.segment(entry.seq)
        there = path.exists()
        if there:
            self._disk.rename(path, self._folders.damaged / path.name)
        _log.error(
            "a segment in the spool is damaged; its records are lost",
            extra={"seq": entry.seq, "records": entry.records, "error": str(error)},
        )
        self._metrics.lost([entry], "damaged")
        self._handled(entry, gives_back=not there)

    # Opening.

    def _check_key(self) -> None:
        """Refuse to start without the key that the oldest segment needs: it is not damaged."""
        for entry in self._index.entries(limit=1):
            with suppress(FileNotFoundError), self._folders.segment(entry.seq).open("rb") as f:
                if not self._vault.can_open_segment(f.read(16)):
                    raise ConfigError(
                        "agent.spool.encryption_key_file: segments in the spool are sealed and "
                        "there is no key; give it back, and set agent.spool.encrypt: false to "
                        "switch encryption off"
                    )

    def _reseal(self) -> None:
        """Bring old checkpoint values into the form of now, so that no plain text stays behind."""
        rows = self._index.checkpoints()
        old = [(s, k, v) for s, k, v in rows if not self._vault.is_current(v)]
        if not old:
            return
        values = [(s, k, self._vault.get_value(v, s, k)) for s, k, v in old]
        self._index.commit(
            changes=[Change(s, k, self._vault.put_value(v, s, k)) for s, k, v in values]
        )
        self._index.compact()

    def _report(self) -> None:
        self._metrics.bytes.set(self._used)
        self._metrics.max_bytes.set(self.max_bytes)
        self._metrics.segments.set(self._waiting)


def _blocks(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK


def _lock(path: Path) -> int:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as e:
        owner = os.read(fd, 32).decode(errors="replace").strip() or "unknown"
        os.close(fd)
        raise KelpError(
            f"another kelp agent (pid {owner}) uses the spool {path.parent}; stop it, or give this "
            "one a --data-dir of its own"
        ) from e
    with suppress(OSError):  # the number only makes the message better
        os.ftruncate(fd, 0)
        os.pwrite(fd, str(os.getpid()).encode(), 0)
    return fd


@contextmanager
def _disk_errors() -> Iterator[None]:
    try:
        yield
    except OSError as e:
        raise (DiskFullError if e.errno in _FULL else DiskFailedError)(str(e)) from e
