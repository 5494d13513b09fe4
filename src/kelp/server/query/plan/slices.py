"""Reading records in slices of time, so that neither the engine nor we hold them all at once.

How wide a slice is follows from what the one before it gave: few rows, and the next is wider.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa

from kelp.server.query.run import Run
from kelp.server.query.sql.text import all_of, timestamp

_FIRST_PARTS = 64  # the first slice is this part of the whole time
_GROWTH = 8
_TARGET_ROWS = 50_000


@dataclass(frozen=True, slots=True)
class Source:
    """Records to read: `where` is SQL, the time from start (in it) to end (outside)."""

    columns: str
    where: str
    start_ns: int
    end_ns: int
    backward: bool
    max_rows: int = 0  # of each slice, in the order asked for; 0: all


def slices(run: Run, source: Source) -> Iterator[pa.Table]:
    """Tables of rows, in the order of time (then position) that the source asks for."""
    start, end = source.start_ns, source.end_ns
    width = max((end - start) // _FIRST_PARTS, 1)
    while start < end:
        lower, upper = (
            (max(end - width, start), end) if source.backward else (start, min(start + width, end))
        )
        table = run.ask(slice_sql(source, lower, upper))
        yield table
        complete = not source.max_rows or table.num_rows < source.max_rows
        if not complete:
            return  # the reader asked for no more than these
        start, end = (start, lower) if source.backward else (upper, end)
        width = _next_width(width, table.num_rows)


def _next_width(width: int, rows: int) -> int:
    if rows == 0:
        return width * _GROWTH
    return max(min(width * _TARGET_ROWS // rows, width * _GROWTH), 1)


def slice_sql(source: Source, lower_ns: int, upper_ns: int) -> str:
    """The question for one slice."""
    where = all_of(
        [
            f"timestamp >= {timestamp(lower_ns)} AND timestamp < {timestamp(upper_ns)}",
            source.where,
        ]
    )
    way = " DESC" if source.backward else ""
    limit = f" LIMIT {source.max_rows}" if source.max_rows else ""
    return (
        f"SELECT {source.columns} FROM records WHERE {where} "
        f"ORDER BY timestamp{way}, position{way}, stream_id{way}{limit}"
    )
