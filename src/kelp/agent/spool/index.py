"""The spool's book: which segments count, and how far each stage has come, in one SQLite file.

One transaction holds a segment and the checkpoints that stand for having read it, so a kill at any
instant leaves both or neither. SQLite in WAL mode with synchronous=FULL has synced the log when a
commit returns; with NORMAL (fsync policy `never`) a power loss may take the last commits, never the
file's consistency.

Source: https://www.sqlite.org/pragma.html#pragma_synchronous
"""

from __future__ import annotations

import sqlite3
import threading
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kelp.agent.spool.errors import DiskFailedError, DiskFullError
from kelp.base.errors import KelpError

FORMAT = 1

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS segments (
    seq INTEGER PRIMARY KEY, bytes INTEGER NOT NULL, crc32 INTEGER NOT NULL,
    records INTEGER NOT NULL, created_ns INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS checkpoints (
    stage TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL,
    PRIMARY KEY (stage, key)) WITHOUT ROWID;
"""


@dataclass(frozen=True)
class Entry:
    """A segment that counts."""

    seq: int
    bytes: int  # of the stored form
    crc32: int  # of the stored form
    records: int
    created_ns: int


@dataclass(frozen=True)
class Change:
    """A checkpoint's new value; None: it is no longer needed."""

    stage: str
    key: str
    stored: bytes | None


class Index:
    """The SQLite file; safe to call from several threads."""

    def __init__(self, path: Path, *, fsync: bool = True) -> None:
        """Raises KelpError where the file is no index of ours, DiskFullError, DiskFailedError."""
        self._lock = threading.Lock()
        self._db = sqlite3.connect(path, timeout=1.0, isolation_level=None, check_same_thread=False)
        try:
            with _disk_errors():
                self._open(path, fsync)
        except BaseException:
            self._db.close()
            raise

    def _open(self, path: Path, fsync: bool) -> None:
        # Freed pages are zeroed: sealed values must not leave their plain ancestors behind.
        self._db.execute("PRAGMA secure_delete = ON")
        # One process has the spool, so SQLite need not share memory by a file that takes space.
        self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute(f"PRAGMA synchronous = {'FULL' if fsync else 'NORMAL'}")
        self._db.execute("PRAGMA cache_size = -1024")
        self._db.execute("PRAGMA wal_autocheckpoint = 256")  # pages: the log stays near 1 MB
        self._db.executescript(_SCHEMA)
        self._db.execute("INSERT OR IGNORE INTO meta VALUES ('format', ?)", (str(FORMAT),))
        self._db.execute("INSERT OR IGNORE INTO meta VALUES ('agent_id', ?)", (str(uuid.uuid4()),))
        self._db.execute("INSERT OR IGNORE INTO meta VALUES ('last_seq', '0')")
        if self._meta("format") != str(FORMAT):
            raise KelpError(
                f"expected spool format {FORMAT} in {path}; got {self._meta('format')}; "
                "it was written by a newer Kelp: use that one"
            )
        self.agent_id = self._meta("agent_id")
        self.last_seq = int(self._meta("last_seq"))

    def _meta(self, name: str) -> str:
        row = self._db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return str(row[0])

    def close(self) -> None:
        """Give the file back; folds the log into it."""
        with self._lock:
            self._db.close()

    def entries(self, after: int = 0, limit: int = -1) -> list[Entry]:
        """Segments with a seq above `after`, in order."""
        with self._lock:
            rows = self._db.execute(
                "SELECT seq, bytes, crc32, records, created_ns FROM segments "
                "WHERE seq > ? ORDER BY seq LIMIT ?",
                (after, limit),
            ).fetchall()
        return [Entry(*row) for row in rows]

    def checkpoints(self, stage: str | None = None) -> list[tuple[str, str, bytes]]:
        """(stage, key, stored value) of one stage, or of all."""
        with self._lock:
            return self._db.execute(
                "SELECT stage, key, value FROM checkpoints WHERE ?1 IS NULL OR stage = ?1", (stage,)
            ).fetchall()

    def commit(
        self,
        added: Sequence[Entry] = (),
        changes: Iterable[Change] = (),
        done_seq: int = 0,
    ) -> None:
        """Add segments, apply changes and forget segments up to `done_seq`: all or nothing.

        Raises DiskFullError or DiskFailedError, and then nothing has changed.
        """
        last = added[-1].seq if added else self.last_seq
        with self._lock, _disk_errors(), self._transaction() as db:
            if done_seq:
                db.execute("DELETE FROM segments WHERE seq <= ?", (done_seq,))
            if added:
                db.executemany(
                    "INSERT INTO segments VALUES (?, ?, ?, ?, ?)",
                    [(e.seq, e.bytes, e.crc32, e.records, e.created_ns) for e in added],
                )
                db.execute("UPDATE meta SET value = ? WHERE name = 'last_seq'", (str(last),))
            _apply(db, changes)
        self.last_seq = last

    def remove(self, seqs: Iterable[int]) -> None:
        """Forget single segments."""
        with self._lock, _disk_errors(), self._transaction() as db:
            db.executemany("DELETE FROM segments WHERE seq = ?", [(s,) for s in seqs])

    def compact(self) -> None:
        """Write the file anew, without remains of what was deleted; also empties the log."""
        with self._lock, _disk_errors():
            self._db.execute("VACUUM")
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield self._db
            self._db.execute("COMMIT")
        except BaseException:
            # SQLite rolls back by itself after some errors; then there is nothing left to do.
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise


def _apply(db: sqlite3.Connection, changes: Iterable[Change]) -> None:
    changes = list(changes)
    db.executemany(
        "INSERT INTO checkpoints VALUES (?, ?, ?) "
        "ON CONFLICT (stage, key) DO UPDATE SET value = excluded.value",
        [(c.stage, c.key, c.stored) for c in changes if c.stored is not None],
    )
    db.executemany(
        "DELETE FROM checkpoints WHERE stage = ? AND key = ?",
        [(c.stage, c.key) for c in changes if c.stored is None],
    )


@contextmanager
def _disk_errors() -> Iterator[None]:
    """SQLite's errors of the disk as ours."""
    try:
        yield
    except sqlite3.OperationalError as e:
        if getattr(e, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL:
            raise DiskFullError(f"the spool's index: {e}") from e
        raise DiskFailedError(f"the spool's index: {e}") from e
    except sqlite3.DatabaseError as e:
        raise KelpError(
            f"the spool's index is damaged: {e}; move the spool's folder away to begin anew: files "
            "that are still on the node are then sent again"
        ) from e
