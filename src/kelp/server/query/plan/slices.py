"""Reading records in slices of time, so that neither the engine nor we hold them all at once.

How wide a slice is follows from what the one before it gave: few rows, and the next is wider. A
slice that turns out to hold too many rows is read in chunks, each behind the last row of the one
before it. One that would cost more than the budget has left is tried again, narrower: so what a
budget cuts off is what lies behind all that it could pay for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa

from kelp.server.ports import BudgetError
from kelp.server.query.run import Run
from kelp.server.query.sql.text import all_of, timestamp

CHUNK_ROWS = 50_000
_FIRST_PARTS = 64  # the first slice is this part of the whole time
_GROWTH = 8
_MOST_NARROWED = 6  # times; each may have cost what was left of the budget


@dataclass(frozen=True, slots=True)
class Source:
    """Records to read: `where` is SQL, the time from start (in it) to end (outside).

    `read` is SQL as well, for which the engine has to parse lines: it is asked of those rows alone
    that `where` leaves.
    `columns` has `time`, `position` and `id` in it, by which the rows are ordered.
    """

    columns: str
    where: str
    start_ns: int
    end_ns: int
    backward: bool
    max_rows: int = 0  # in all, in the order asked for; 0: all there are
    define: str = ""  # a WITH clause for what `where` and `read` name
    read: str = "1"


def slices(run: Run, source: Source) -> Iterator[pa.Table]:
    """Tables of rows, in the order of time, position and stream that the source asks for."""
    start, end = source.start_ns, source.end_ns
    width = max((end - start) // _FIRST_PARTS, 1)
    left = source.max_rows or (1 << 62)
    behind = ""
    narrowed = 0
    while start < end and left > 0:
        lower, upper = _bounds(source, start, end, width)
        chunk = min(left, CHUNK_ROWS)
        try:
            table = run.ask(slice_sql(source, lower, upper, chunk, behind))
        except BudgetError as e:
            width, narrowed = (upper - lower) // _GROWTH, narrowed + 1
            if not e.divisible or narrowed > _MOST_NARROWED or not width:
                raise
            continue
        if table.num_rows:
            yield table
            left -= table.num_rows
        behind = ""
        if table.num_rows == chunk:  # the slice may hold more: go on behind its last row
            behind, reached = _after(table, source.backward)
            lower, upper = (reached, upper) if source.backward else (lower, reached + 1)
            start, end = (start, reached + 1) if source.backward else (reached, end)
        else:
            start, end = (start, lower) if source.backward else (upper, end)
        width = _next_width(upper - lower, table.num_rows)


def _bounds(source: Source, start: int, end: int, width: int) -> tuple[int, int]:
    if source.backward:
        return max(end - width, start), end
    return start, min(start + width, end)


def _after(table: pa.Table, backward: bool) -> tuple[str, int]:
    """The condition for what comes behind a table's last row, and that row's time."""
    time, position, stream = (
        int(table.column(name)[-1].as_py()) for name in ("time", "position", "id")
    )
    sign = "<" if backward else ">"
    here = f"({timestamp(time)}, toUInt64({position}), toUInt64({stream}))"
    return f"(timestamp, position, stream_id) {sign} {here}", time


def _next_width(width: int, rows: int) -> int:
    wanted = width * CHUNK_ROWS // 2 // rows if rows else width * _GROWTH
    return max(min(wanted, width * _GROWTH), 1)


def slice_sql(source: Source, lower_ns: int, upper_ns: int, rows: int, behind: str = "") -> str:
    """The question for one slice."""
    where = all_of(
        [
            f"timestamp >= {timestamp(lower_ns)} AND timestamp < {timestamp(upper_ns)}",
            *([behind] if behind else []),
            source.where,
        ]
    )
    way = " DESC" if source.backward else ""
    # Of an AND alone, the engine computes groups of patterns for rows that its other half drops.
    asked = f"WHERE {where}" if source.read == "1" else f"PREWHERE {where} WHERE {source.read}"
    return (
        f"{source.define}SELECT {source.columns} FROM records {asked} "
        f"ORDER BY timestamp{way}, position{way}, stream_id{way} LIMIT {rows}"
    )
