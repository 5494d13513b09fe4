"""Following a query: what has become searchable since the last look, each record once.

Records do not become searchable in the order of their times: agents send when they can. The store
keeps no order of arrival, so a poll looks again at everything that was read by an agent in the
last REACH_S seconds, and the cursor remembers which of those records have been given already. What
an agent held back for longer than that is history: a query finds it, a tail does not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kelp.server.query.logql import expressions as ast
from kelp.server.query.pipeline.compile import compile_stages
from kelp.server.query.plan.context import Context
from kelp.server.query.plan.implicit import settled
from kelp.server.query.plan.logs import by_stream, entry_of
from kelp.server.query.plan.needles import elsewhere
from kelp.server.query.plan.prefilter import prefilter
from kelp.server.query.records import COLUMNS, TIME_SQL, Record, read
from kelp.server.query.sql.text import all_of, timestamp
from kelp.server.result import StreamEntries

REACH_S = 60
_TIME_REACH_S = 3600  # records whose own time is older than this are not looked for
_MAX_NEW = 100_000  # records that one poll looks at; the rest waits for the next

Seen = npt.NDArray[np.uint64]  # (n, 2): stream_id and position, sorted


@dataclass(frozen=True, slots=True)
class TailCursor:
    """Begin with `TailCursor(now)`: records from that time on are given."""

    since_ns: int
    seen: bytes = b""  # (stream_id, position) pairs of records that a poll would find again


_PAIR = np.dtype([("stream", np.uint64), ("position", np.uint64)])


def poll(
    query: ast.LogQuery, context: Context, after: TailCursor, limit: int, now_ns: int
) -> tuple[list[StreamEntries], TailCursor]:
    """Up to `limit` new entries, oldest first; the cursor counts what was given and what the
    query's filters dropped."""
    low = max(after.since_ns, now_ns - _TIME_REACH_S * 10**9)
    selected = context.streams.select(context.run, context.scope, query.matchers, low, now_ns)
    if not selected.labels:
        return [], after
    stages = settled(query.stages, selected.labels)
    ask = elsewhere(context, selected, low, now_ns)
    before = prefilter(stages, context.dialect, selected, ask)
    where = all_of(
        [
            f"timestamp >= {timestamp(low)}",
            f"observed_timestamp >= {timestamp(now_ns - REACH_S * 10**9)}",
            selected.condition(),
            before.sql,
        ]
    )
    found, times = _keys(context, where)
    known = np.frombuffer(after.seen, dtype=_PAIR)
    new = ~np.isin(found, known)
    fresh = np.flatnonzero(new)[:_MAX_NEW]
    kept = found[np.isin(found, known)]
    if not len(fresh):
        return [], TailCursor(after.since_ns, kept.tobytes())
    fresh = fresh[np.argsort(times[fresh], kind="stable")][: max(limit, 1)]
    records = _read(context, where, set(found[fresh].tolist()), times[fresh])
    steps = compile_stages(before.rest)
    check = context.run.check_time
    given = (entry_of(r, selected.labels[r.stream_id], steps, check) for r in records)
    streams = by_stream((g for g in given if g is not None), context)
    seen = np.concatenate([kept, found[fresh]])
    return streams, TailCursor(after.since_ns, seen.tobytes())


def _keys(context: Context, where: str) -> tuple[npt.NDArray[np.void], npt.NDArray[np.int64]]:
    table = context.run.ask(
        f"SELECT stream_id AS id, position AS position, {TIME_SQL} AS time "
        f"FROM records WHERE {where} ORDER BY timestamp, position"
    )
    pairs = np.zeros(table.num_rows, dtype=_PAIR)
    if not table.num_rows:
        return pairs, np.zeros(0, dtype=np.int64)
    pairs["stream"] = table.column("id").to_numpy()
    pairs["position"] = table.column("position").to_numpy()
    return pairs, np.asarray(table.column("time").to_numpy(), dtype=np.int64)


def _read(
    context: Context, where: str, wanted: set[tuple[int, int]], times: npt.NDArray[np.int64]
) -> list[Record]:
    between = (
        f"timestamp >= {timestamp(int(times.min()))} AND timestamp <= {timestamp(int(times.max()))}"
    )
    table = context.run.ask(
        f"SELECT {COLUMNS} FROM records WHERE {all_of([between, where])} "
        "ORDER BY timestamp, position, stream_id"
    )
    derive = context.settings.derive_detected_level
    rows = read(table, derive_level=derive, with_ids=True)
    return [r for r in rows if (r.stream_id, r.position) in wanted]
