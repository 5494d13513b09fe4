"""A group into its tables: first its streams, without which no record is found, then the rest.

Each insert carries the group's name and its table as a token that the engine remembers, so a group
that is offered again after a crash stores only what is missing of it. For that, the records of a
group must always make the same block: nothing here depends on anything but the group. (The rows
of the other tables may well differ, or come twice: they add up to the same.)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from kelp.model.batch import RECORD_SCHEMA, TIMESTAMP
from kelp.server.ports import EngineError, Group, Received
from kelp.server.store.database import Database
from kelp.server.store.errors import insert_failed
from kelp.server.store.known import MAX_TIME_NS, KnownStreams, StreamSpan

_TEXT_MAP = pa.map_(pa.string(), pa.string())
_DAY_NS = 86_400_000_000_000
_MAX_U64 = (1 << 64) - 1

# An agent's clock counts for the day that a record lies in, unless it cannot be true: a spool may
# have waited for weeks, but nothing was read next week.
_MAX_AGE_NS = 60 * _DAY_NS
_MAX_AHEAD_NS = _DAY_NS

_INDEXED_FROM_BYTES = 16 << 20

STREAMS = pa.schema(
    [
        ("tenant", pa.string()),
        ("stream_id", pa.uint64()),
        ("labels", _TEXT_MAP),
        ("first_timestamp", TIMESTAMP),
        ("last_timestamp", TIMESTAMP),
    ]
)
LOSSES = pa.schema(
    [
        ("tenant", pa.string()),
        ("labels", _TEXT_MAP),
        ("position", pa.uint64()),
        ("size_bytes", pa.uint64()),
        ("start_timestamp", TIMESTAMP),
        ("end_timestamp", TIMESTAMP),
        ("reason", pa.string()),
        ("agent_id", pa.string()),
        ("seq", pa.uint64()),
    ]
)
FILES = pa.schema(
    [
        ("tenant", pa.string()),
        ("agent_id", pa.string()),
        ("device", pa.uint64()),
        ("inode", pa.uint64()),
        ("fingerprint", pa.string()),
        ("base", pa.uint64()),
        ("path", pa.string()),
        ("size", pa.uint64()),
        ("labels", _TEXT_MAP),
        ("updated", TIMESTAMP),
    ]
)


class Writer:
    """Writes groups, one at a time."""

    def __init__(self, database: Database, known: KnownStreams) -> None:
        self._database = database
        self._known = known

    def insert(self, group: Group) -> None:
        """Store the whole group once.

        Raises RefusedError or EngineError; the group may then be offered again, and what is in
        the store already is not stored twice.
        """
        news = self._known.news(_spans(group))
        self._put("streams", group.name, _table(STREAMS, map(_stream_row, news)))
        self._put("records", group.name, _records(group))
        self._put("losses", group.name, _table(LOSSES, _loss_rows(group.parts)))
        self._put("files", group.name, _table(FILES, _file_rows(group)))
        self._known.learn(news)

    def _put(self, table: str, name: str, rows: pa.Table) -> None:
        settings: dict[str, Any] = {
            # A small part is soon merged, which makes its indexes; a large one may stay as it is.
            "materialize_skip_indexes_on_insert": int(rows.nbytes >= _INDEXED_FROM_BYTES)
        }
        if table != "streams":  # of which a repeat may know more than the first attempt wrote
            settings["insert_deduplication_token"] = f"{name}:{table}"
        try:
            self._database.insert(table, rows, settings=settings)
        except EngineError as e:
            raise insert_failed(e) from e


def _table(schema: pa.Schema, rows: Iterable[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=schema)


def _records(group: Group) -> pa.Table:
    """All records of the group, with observed times that cannot be true replaced.

    The partition hangs on them, and of partitions there must not be many.
    """
    batches = [b for part in group.parts for b in part.batches]
    table = pa.Table.from_batches(batches, RECORD_SCHEMA)
    at = RECORD_SCHEMA.get_field_index("observed_timestamp")
    observed = table.column(at)
    low = pa.scalar(max(group.created_ns - _MAX_AGE_NS, 0), TIMESTAMP)
    high = pa.scalar(min(group.created_ns + _MAX_AHEAD_NS, MAX_TIME_NS), TIMESTAMP)
    sane = pc.and_(pc.greater_equal(observed, low), pc.less_equal(observed, high))
    if not table.num_rows or pc.all(sane).as_py():
        return table
    arrival = pa.scalar(group.created_ns, TIMESTAMP)
    return table.set_column(at, RECORD_SCHEMA.field(at), pc.if_else(sane, observed, arrival))


def _spans(group: Group) -> Iterator[StreamSpan]:
    for part in group.parts:
        if not part.batches:
            continue
        times = pa.Table.from_batches(part.batches).select(["stream_id", "timestamp"])
        times = times.set_column(1, "timestamp", times.column(1).cast(pa.int64()))
        bounds = times.group_by("stream_id", use_threads=False).aggregate(
            [("timestamp", "min"), ("timestamp", "max")]
        )
        streams = {s.id: s for s in part.streams}
        for row in bounds.to_pylist():
            stream = streams[row["stream_id"]]
            yield StreamSpan(part.tenant, stream, row["timestamp_min"], row["timestamp_max"])


def _stream_row(span: StreamSpan) -> dict[str, Any]:
    return {
        "tenant": span.tenant,
        "stream_id": span.stream.id,
        "labels": list(span.stream.labels.items()),
        "first_timestamp": span.first_ns,
        "last_timestamp": span.last_ns,
    }


def _loss_rows(parts: Iterable[Received]) -> Iterator[dict[str, Any]]:
    for part in parts:
        for loss in part.losses:
            yield {
                "tenant": part.tenant,
                "labels": sorted(loss.labels.items()),
                "position": _unsigned(loss.position),
                "size_bytes": _unsigned(loss.size_bytes),
                "start_timestamp": _time(loss.start_ns),
                "end_timestamp": _time(loss.end_ns),
                "reason": loss.reason,
                "agent_id": part.agent_id,
                "seq": part.seq,
            }


def _file_rows(group: Group) -> Iterator[dict[str, Any]]:
    for part in group.parts:
        for file in part.files:
            yield {
                "tenant": part.tenant,
                "agent_id": part.agent_id,
                "device": _unsigned(file.device),
                "inode": _unsigned(file.inode),
                "fingerprint": f"{file.fingerprint_bytes}:{file.fingerprint}",
                "base": _unsigned(file.base),
                "path": file.path,
                "size": _unsigned(file.size),
                "labels": sorted(file.labels.items()),
                "updated": group.created_ns,
            }


def _unsigned(value: int) -> int:
    """A sender's number, within what the column holds."""
    return min(max(value, 0), _MAX_U64)


def _time(ns: int) -> int:
    return min(max(ns, -MAX_TIME_NS), MAX_TIME_NS)
