"""From records to files: what is stored of an instance, by file and position.

Records and files are brought together by the labels that name an instance (see
`kelp.model.stored.instance_labels`), for the other labels of a stream may change while it is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import msgspec
import pyarrow as pa

from kelp.model.batch import ATTR_MALFORMED, ATTR_TRUNCATED
from kelp.model.stored import (
    MAX_GAPS,
    Gap,
    StoredFile,
    StoredInstance,
    StoredInstances,
    StoredStream,
    instance_labels,
)
from kelp.server.query import losses
from kelp.server.query.logql.expressions import Matcher
from kelp.server.query.plan.context import Context
from kelp.server.query.records import TIME_SQL
from kelp.server.query.sql.matchers import matcher_condition
from kelp.server.query.sql.text import all_of, string, timestamp, to_text
from kelp.server.query.streams import stream_condition, text_map

MAX_NS = (1 << 63) - 1

# Labels of a `files` row that a selector may speak of; matchers on others say nothing of files.
_OF_FILES = frozenset(
    {"cluster", "node", "namespace", "pod", "pod_uid", "container", "restart", "filename"}
)

# The caller's condition may name any column of `streams`; a file belongs to no stream.
_FILES = """(
SELECT tenant, agent_id, device, inode, fingerprint, base, path, size, labels, updated,
    toUInt64(0) AS stream_id, updated AS first_timestamp, updated AS last_timestamp
FROM files)"""

# Neighbours are not sorted out among more records than this: some 400 MB in the engine.
_MAX_SORTED = 20_000_000
# No head of a line, and no line's end, is so long; wider steps than this are looked at.
_WIDE_BYTES = 4096
_MAX_WIDE = 1000
_MAX_BASES = 5000  # files of one instance whose records are told apart; the newest

Identity: TypeAlias = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Window:
    """Records wanted: positions from `first` up to `end` (outside), times likewise."""

    first: int
    end: int
    start_ns: int = 0
    end_ns: int = MAX_NS


def matchers_of(context: Context, stream_id: int) -> list[Matcher]:
    """The conditions for the instance of a stream; empty where the caller has no such stream."""
    where = all_of(
        [
            f"tenant = {string(context.scope.tenant)}",
            context.scope.condition,
            f"stream_id = {stream_id}",
        ]
    )
    table = context.run.ask(f"SELECT any(labels) AS labels FROM streams WHERE {where}")
    labels = text_map(table.column("labels")[0]) if table.num_rows else {}
    return [Matcher(name, "=", value) for name, value in instance_labels(labels).items()]


def find(
    context: Context, matchers: Sequence[Matcher], limit: int, runs: int = 0
) -> StoredInstances:
    """The instances that fit, ordered by their labels, at most `limit`.

    Of each container its newest `runs`; 0: all.
    """
    selected = context.streams.select(context.run, context.scope, matchers, 0, MAX_NS)
    streams = _grouped((labels, (i, labels)) for i, labels in selected.labels.items())
    files = _grouped(_files(context, matchers))
    keys = _newest(streams.keys() | files.keys(), runs)
    chosen = keys[:limit]
    found = [_instance(context, k, dict(streams.get(k, ())), files.get(k, [])) for k in chosen]
    return StoredInstances(instances=found, more=len(keys) > limit)


def records(
    context: Context, matchers: Sequence[Matcher], window: Window, limit: int
) -> tuple[pa.Table, dict[int, dict[str, str]]]:
    """(records in the order of their positions, labels of the streams that they are of).

    Columns: id, position, time (ns), body, truncated (bytes that its body lacks, as text),
    malformed (the format that its line should have had and has not, else empty).
    """
    selected = context.streams.select(
        context.run, context.scope, matchers, window.start_ns, window.end_ns
    )
    times = ["1"]
    if (window.start_ns, window.end_ns) != (0, MAX_NS):
        times = [
            f"timestamp >= {timestamp(window.start_ns)}",
            f"timestamp < {timestamp(window.end_ns)}",
        ]
    where = all_of(
        [
            *times,
            selected.condition(),
            f"position >= {window.first} AND position < {window.end}",
        ]
    )
    table = context.run.ask(
        f"SELECT stream_id AS id, position AS position, {TIME_SQL} AS time, body AS body, "
        f"attributes[{string(ATTR_TRUNCATED)}] AS truncated, "
        f"attributes[{string(ATTR_MALFORMED)}] AS malformed FROM records WHERE {where} "
        f"ORDER BY position, stream_id LIMIT {limit}"
    )
    return table, selected.labels


def _newest(keys: Iterable[Identity], runs: int) -> list[Identity]:
    """The keys in order, of each container those of its newest runs."""
    by_container: dict[Identity, list[Identity]] = {}
    for key in sorted(keys, key=_order):
        container = tuple(pair for pair in key if pair[0] != "restart")
        by_container.setdefault(container, []).append(key)
    return [key for of_one in by_container.values() for key in of_one[-runs:]]


def _order(key: Identity) -> tuple[Identity, int]:
    restart = dict(key).get("restart", "")
    others = tuple(pair for pair in key if pair[0] != "restart")
    return others, int(restart) if restart.isdecimal() else 0


def _grouped(items: Iterable[tuple[Mapping[str, str], Any]]) -> dict[Identity, list[Any]]:
    groups: dict[Identity, list[Any]] = {}
    for labels, item in items:
        groups.setdefault(tuple(instance_labels(labels).items()), []).append(item)
    return groups


def _files(
    context: Context, matchers: Sequence[Matcher]
) -> Iterable[tuple[dict[str, str], StoredFile]]:
    where = all_of(
        [
            f"tenant = {string(context.scope.tenant)}",
            context.scope.condition,
            *(
                matcher_condition(m, f"labels[{string(m.name)}]")
                for m in matchers
                if m.name in _OF_FILES
            ),
        ]
    )
    # A file that grows has a row for each length of its fingerprint: the longest one tells most.
    table = context.run.ask(
        "SELECT agent_id, base, labels, argMax(path, at) AS path, argMax(device, at) AS device, "
        "argMax(inode, at) AS inode, argMax(fingerprint, (length, at)) AS fingerprint, "
        "max(size) AS size FROM (SELECT *, (updated, size) AS at, "
        "toUInt64OrZero(splitByChar(':', fingerprint)[1]) AS length "
        f"FROM {_FILES} WHERE {where}) GROUP BY agent_id, base, labels ORDER BY base, max(updated)"
    )
    for row in table.to_pylist():
        labels = {to_text(k): to_text(v) for k, v in row["labels"]}
        length, _, digest = to_text(row["fingerprint"]).partition(":")
        yield (
            labels,
            StoredFile(
                agent_id=to_text(row["agent_id"]),
                path=to_text(row["path"]),
                device=row["device"],
                inode=row["inode"],
                fingerprint=digest,
                fingerprint_bytes=int(length) if length.isdigit() else 0,
                base=row["base"],
                size=row["size"],
            ),
        )


def _instance(
    context: Context, key: Identity, streams: dict[int, dict[str, str]], files: list[StoredFile]
) -> StoredInstance:
    labels = dict(key)
    condition = stream_condition(streams)
    rows = _counts(context, condition, [f.base for f in files]) if streams else []
    stored = [_stream(i, of, [r for r in rows if r["id"] == i]) for i, of in streams.items()]
    count = sum(s.records for s in stored)
    by_base: dict[int, int] = {}
    for row in rows:
        by_base[row["base"]] = by_base.get(row["base"], 0) + row["records"]
    of_instance = [Matcher(name, "=", value) for name, value in labels.items()]
    return StoredInstance(
        labels=labels,
        streams=sorted(stored, key=lambda s: (s.first_position, s.stream_id)),
        files=[_with_records(f, by_base.get(f.base, 0)) for f in files],
        losses=sorted(losses.find(context, of_instance, 0, MAX_NS), key=lambda x: x.position),
        gaps=_gaps(context, condition) if 1 < count <= _MAX_SORTED else [],
        gaps_searched=count <= _MAX_SORTED,
    )


def _counts(context: Context, condition: str, bases: list[int]) -> list[dict[str, int]]:
    """Records by stream and by the file that they lie in."""
    listed = ", ".join(map(str, sorted(set(bases))[-_MAX_BASES:] or [0]))
    return list(
        context.run.ask(
            "SELECT stream_id AS id, "
            f"roundDown(position, CAST([{listed}], 'Array(UInt64)')) AS base, "
            "count() AS records, min(position) AS first, max(position) AS last "
            f"FROM records WHERE {condition} GROUP BY id, base"
        ).to_pylist()
    )


def _stream(stream_id: int, labels: dict[str, str], rows: list[dict[str, int]]) -> StoredStream:
    return StoredStream(
        stream_id=str(stream_id),
        labels=labels,
        records=sum(r["records"] for r in rows),
        first_position=min((r["first"] for r in rows), default=0),
        last_position=max((r["last"] for r in rows), default=0),
    )


def _with_records(file: StoredFile, records: int) -> StoredFile:
    return msgspec.structs.replace(file, records=records)


def _gaps(context: Context, condition: str) -> list[Gap]:
    """Wide steps between neighbours that the body of the first cannot explain."""
    wide = context.run.ask(
        "SELECT position, next FROM (SELECT position, leadInFrame(position, 1, position) OVER "
        "(ORDER BY position ASC ROWS BETWEEN CURRENT ROW AND 1 FOLLOWING) AS next "
        f"FROM records WHERE {condition}) WHERE next > position + {_WIDE_BYTES} "
        f"ORDER BY next - position DESC LIMIT {_MAX_WIDE}"
    ).to_pylist()
    if not wide:
        return []
    listed = ", ".join(str(row["position"]) for row in wide)
    sizes = context.run.ask(
        "SELECT position, sum(length(body) + "
        f"toUInt64OrZero(attributes[{string(ATTR_TRUNCATED)}])) AS size FROM records "
        f"WHERE {condition} AND position IN ({listed}) GROUP BY position"
    )
    size_of = {row["position"]: row["size"] for row in sizes.to_pylist()}
    gaps = [Gap(after=row["position"], until=row["next"]) for row in wide]
    found = [g for g in gaps if g.until - g.after > _room(size_of.get(g.after, 0))]
    return sorted(found[:MAX_GAPS], key=lambda g: g.after)


def _room(body_bytes: int) -> int:
    """Bytes that a record may have taken in its file: heads of fragments, escapes of Docker's."""
    return 2 * body_bytes + _WIDE_BYTES
