"""Counts of records and bytes in SQL: no body leaves the engine.

Records are counted by stream and by the windows that they lie in (see metric.windows); windows at
all steps are then sums of such counts. Only what the answer's labels need is part of the key.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from kelp.server.query.derived import DETECTED_LEVEL, detected_level_sql
from kelp.server.query.logql import expressions as ast
from kelp.server.query.metric.frame import Frame, Key, Labels, key_of
from kelp.server.query.metric.vectors import group_labels
from kelp.server.query.metric.windows import Ints, Windows
from kelp.server.query.pipeline.row import Row, layered
from kelp.server.query.plan.context import Context
from kelp.server.query.plan.grouping import Kept
from kelp.server.query.records import SPAN_ID, TRACE_ID, attribute_names
from kelp.server.query.sql.text import all_of
from kelp.server.query.streams import Selected

_BYTES = ("bytes_over_time", "bytes_rate")
_RATES = ("rate", "bytes_rate")


def count_frame(
    node: ast.RangeAggregation,
    windows: Windows,
    context: Context,
    kept: Kept,
    selected: Selected,
    lines: str,
) -> Frame:
    """count_over_time, rate, bytes_over_time, bytes_rate or absent_over_time of whole lines."""
    keys = _keys(kept, selected, context.settings.derive_detected_level)
    sql = count_sql(node, windows, selected, keys, lines)
    table = context.run.ask(sql)
    if not table.num_rows:
        return Frame.empty(windows.steps.count)
    series, rows = _series(table, keys, kept, selected)
    values = _column(table, "bytes" if node.op in _BYTES else "lines")
    first, last = _column(table, "first"), _column(table, "last")
    counts = _spread(rows, first, last, _column(table, "lines"), len(series), windows)
    totals = counts
    if node.op in _BYTES:
        totals = _spread(rows, first, last, values, len(series), windows)
    out = totals.astype(np.float64)
    if node.op in _RATES:
        out /= windows.range_ns / 1e9
    return Frame([dict(k) for k in series], out, counts > 0).without_empty()


def _keys(kept: Kept, selected: Selected, derive_level: bool) -> dict[str, str]:
    """The columns that tell series apart beside the stream, by name."""
    names = kept.names
    streams = selected.labels.values()
    if names is not None:
        names = tuple(n for n in names if not all(n in labels for labels in streams))
        if not names:
            return {}
    keys = {"attributes": "attributes"}
    if derive_level and (names is None or DETECTED_LEVEL in names):
        keys["level"] = detected_level_sql()
    return keys | {name: name for name in (TRACE_ID, SPAN_ID) if names and name in names}


def count_sql(
    node: ast.RangeAggregation, windows: Windows, selected: Selected, keys: dict[str, str],
    lines: str,
) -> str:  # fmt: skip
    """The question."""
    first, last = windows.first_and_last_sql()
    columns = {"id": "stream_id", **keys, "first": first, "last": last}
    totals = "count() AS lines" + (", sum(length(body)) AS bytes" if node.op in _BYTES else "")
    selects = ", ".join(f"{sql} AS {name}" for name, sql in columns.items())
    where = all_of([windows.time_condition(), selected.condition(), lines])
    gaps = "" if windows.range_ns >= windows.steps.step_ns else " HAVING first <= last"
    return (
        f"SELECT {selects}, {totals} FROM records WHERE {where} GROUP BY {', '.join(columns)}{gaps}"
    )


def _column(table: pa.Table, name: str) -> Ints:
    return np.asarray(table.column(name).to_numpy(), dtype=np.int64)


def _series(
    table: pa.Table, keys: dict[str, str], kept: Kept, selected: Selected
) -> tuple[list[Key], Ints]:
    """The series, and for each row of the table which it belongs to."""
    ids = table.column("id").to_pylist()
    extra = [table.column(name).to_pylist() for name in keys]
    rows = np.zeros(table.num_rows, dtype=np.int64)
    found: dict[Key, int] = {}
    known: dict[Any, int] = {}
    for i, (stream_id, *values) in enumerate(zip(ids, *extra, strict=True)):
        raw = (stream_id, *(tuple(v) if isinstance(v, list) else v for v in values))
        if raw not in known:
            labels = _labels(selected.labels[stream_id], dict(zip(keys, values, strict=True)), kept)
            known[raw] = found.setdefault(key_of(labels), len(found))
        rows[i] = known[raw]
    return list(found), rows


def _labels(base: Labels, values: dict[str, Any], kept: Kept) -> Labels:
    attributes = attribute_names(values.get("attributes") or [])
    if level := values.get("level"):
        attributes.setdefault(DETECTED_LEVEL, level.decode())
    for name in (TRACE_ID, SPAN_ID):
        if text := values.get(name):
            attributes.setdefault(name, text.decode())
    if kept.no_labels:
        return {}
    labels = base
    if attributes:
        metadata, _, _ = layered(base, attributes)
        labels = Row(base, metadata, b"", 0).labels()
    return labels if kept.grouping is None else group_labels(labels, kept.grouping)


def _spread(
    rows: Ints, first: Ints, last: Ints, values: Ints, series: int, windows: Windows
) -> Ints:
    """Each row's value at all steps from its first window to its last one, added up by series."""
    changes = np.zeros((series, windows.steps.count + 1), dtype=np.int64)
    np.add.at(changes, (rows, first), values)
    np.subtract.at(changes, (rows, last + 1), values)
    return np.cumsum(changes, axis=1)[:, :-1]
