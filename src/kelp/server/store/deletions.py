"""Requests to delete records: kept in the table `deletions`, and done when they are old enough.

A request waits for `store.delete_delay_s`, in which it can be cancelled. Then the records that it
means by then are marked as deleted (a lightweight DELETE: gone at once for every reader), and the
engine is told to write the parts of these days anew without them, which takes them off the disk
soon. Only when the marks stand is the request noted as processed: after a crash in between it is
done again, which finds nothing or the rest. The engine still knows the groups that were inserted,
so a repeated insert does not bring anything back.

What a query means is not known here: whoever runs the requests says it, as stream ids and SQL.
Streams stay listed until retention finds them silent.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa

from kelp.model.batch import TIMESTAMP
from kelp.server.ports import BudgetError, Deletion, Doomed, EngineError, QueryError, Scope
from kelp.server.store.database import Database
from kelp.server.store.quoting import literal
from kelp.server.store.schema import Layout

log = logging.getLogger(__name__)

_RECEIVED, _CANCELLED, _PROCESSED = 0, 1, 2
_IDS_AT_ONCE = 2000  # of some 20 digits each; a statement may be 256 KiB long
_LISTED = 10_000
_COLUMNS = (
    "tenant, id, query, scope, toUnixTimestamp64Nano(start_timestamp) AS start, "
    "toUnixTimestamp64Nano(end_timestamp) AS end, toUnixTimestamp64Nano(created) AS made, rank"
)
_SCHEMA = pa.schema(
    [
        ("tenant", pa.string()),
        ("id", pa.string()),
        ("query", pa.binary()),
        ("scope", pa.string()),
        ("start_timestamp", TIMESTAMP),
        ("end_timestamp", TIMESTAMP),
        ("created", TIMESTAMP),
        ("rank", pa.uint8()),
    ]
)


class DeletionRequests:
    """All requests of a store; may be asked by several threads, `run` by one at a time."""

    def __init__(self, database: Database, layout: Layout, delay_s: float) -> None:
        self._database = database
        self._layout = layout
        self._delay_ns = int(delay_s * 1e9)
        self._lock = threading.Lock()
        self._under_way = ""

    def add(self, deletion: Deletion) -> None:
        """Keep a request; it survives a restart from here on. Raises EngineError."""
        self._put(deletion, _RECEIVED)

    def listed(self, scope: Scope) -> list[Deletion]:
        """Those that were asked for under this scope, the newest first; all of a whole tenant."""
        within = "1" if scope.condition == "1" else f"scope = {literal(scope.condition)}"
        return self._found(f"tenant = {literal(scope.tenant)} AND {within} AND rank != 1")

    def cancel(self, deletion: Deletion) -> bool:
        """Whether it was cancelled; False where it is under way or processed."""
        with self._lock:
            if self._under_way == deletion.id or not self._waits(deletion):
                return False
            self._put(deletion, _CANCELLED)
            return True

    def run(self, doom: Callable[[Deletion], Doomed], now_ns: int) -> int:
        """Do what is due, the oldest first; how many records were deleted.

        `doom` says what a request means now; it raises QueryError where it cannot. One that fails
        is tried again in the next run and does not hold up the others; the first EngineError is
        raised when all were tried.
        """
        due = self._found(f"rank = 0 AND created <= {_time(now_ns - self._delay_ns)}")
        rows, failed = 0, None
        for deletion in reversed(due):
            try:
                rows += self._process(deletion, doom)
            except (QueryError, BudgetError) as e:
                log.error("deletion %s cannot be done: %s", deletion.id, e)
            except EngineError as e:
                failed = failed or e
        if failed:
            raise failed
        return rows

    def _process(self, deletion: Deletion, doom: Callable[[Deletion], Doomed]) -> int:
        with self._lock:
            if not self._waits(deletion):
                return 0
            self._under_way = deletion.id
        try:
            rows = self._delete(deletion, doom(deletion))
            self._put(deletion, _PROCESSED)
        finally:
            self._under_way = ""
        log.info("deletion %s is done: %d records", deletion.id, rows)
        return rows

    def _delete(self, deletion: Deletion, doomed: Doomed) -> int:
        rows, touched = 0, set()
        for at in range(0, len(doomed.stream_ids), _IDS_AT_ONCE):
            condition = _condition(deletion, doomed, doomed.stream_ids[at : at + _IDS_AT_ONCE])
            # Looks first: a DELETE costs something in each part, though nothing be found there.
            for partition, count in self._partitions(condition):
                self._change(
                    f"DELETE FROM {self._table} IN PARTITION ID {partition} WHERE {condition}"
                )
                touched.add(partition)
                rows += count
        for partition in sorted(touched):
            self._change(
                f"ALTER TABLE {self._table} APPLY DELETED MASK IN PARTITION ID {partition}", sync=0
            )
        return rows

    @property
    def _table(self) -> str:
        return f"{self._layout.local('records')} {self._layout.on_cluster}"

    def _partitions(self, condition: str) -> list[tuple[str, int]]:
        found = self._database.query(
            "SELECT _partition_id AS id, count() AS rows "
            f"FROM records WHERE {condition} GROUP BY id"
        )
        return [(literal(r["id"]), int(r["rows"])) for r in found.to_pylist()]

    def _change(self, statement: str, sync: int = 2) -> None:
        settings = {"lightweight_deletes_sync": sync} if sync else {}
        self._database.command(statement, settings=settings)

    def _waits(self, deletion: Deletion) -> bool:
        same = f"tenant = {literal(deletion.tenant)} AND id = {literal(deletion.id)}"
        return bool(self._found(f"{same} AND rank = 0"))

    def _found(self, condition: str) -> list[Deletion]:
        # FINAL first, then the condition: an older row of a request must not come through.
        table = self._database.query(
            f"SELECT {_COLUMNS} FROM (SELECT * FROM deletions FINAL) WHERE {condition} "
            f"ORDER BY created DESC, id LIMIT {_LISTED}"
        )
        return [_deletion(row) for row in table.to_pylist()]

    def _put(self, deletion: Deletion, rank: int) -> None:
        row = {
            "tenant": deletion.tenant,
            "id": deletion.id,
            "query": deletion.query.encode("utf-8", "surrogateescape"),
            "scope": deletion.scope,
            "start_timestamp": deletion.start_ns,
            "end_timestamp": deletion.end_ns,
            "created": deletion.created_ns,
            "rank": rank,
        }
        token = {"insert_deduplication_token": f"{deletion.tenant}:{deletion.id}:{rank}"}
        self._database.insert("deletions", pa.Table.from_pylist([row], _SCHEMA), settings=token)


def _condition(deletion: Deletion, doomed: Doomed, ids: Sequence[int]) -> str:
    return (
        f"stream_id IN ({','.join(map(str, ids))}) "
        f"AND timestamp >= {_time(deletion.start_ns)} AND timestamp <= {_time(deletion.end_ns)} "
        f"AND ({doomed.condition})"
    )


def _time(ns: int) -> str:
    return f"fromUnixTimestamp64Nano({ns}, 'UTC')"


def _deletion(row: dict[str, Any]) -> Deletion:
    return Deletion(
        id=row["id"].decode(),
        tenant=row["tenant"].decode(),
        query=row["query"].decode("utf-8", "surrogateescape"),
        scope=row["scope"].decode(),
        start_ns=row["start"],
        end_ns=row["end"],
        created_ns=row["made"],
        processed=row["rank"] == _PROCESSED,
    )
