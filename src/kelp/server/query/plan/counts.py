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
from kelp.server.query.metric.cells import Cells, frame_of
from kelp.server.query.metric.frame import Frame, Key, Labels, key_of
from kelp.server.query.metric.vectors import group_labels
from kelp.server.query.metric.windows import Ints, Windows
from kelp.server.query.pipeline.row import Row, layered
from kelp.server.query.plan.context import RangeQuestion
from kelp.server.query.plan.grouping import Kept
from kelp.server.query.records import SPAN_ID, TRACE_ID, attribute_names
from kelp.server.query.sql.text import all_of
from kelp.server.query.streams import Selected

_BYTES = ("bytes_over_time", "bytes_rate")


def count_frame(asked: RangeQuestion, lines: str) -> Frame:
    """count_over_time, rate, bytes_over_time, bytes_rate or absent_over_time of whole lines."""
    node, windows, kept, selected = asked.node, asked.windows, asked.kept, asked.selected
    keys = _keys(kept, selected, asked.context.settings.derive_detected_level)
    table = asked.context.run.ask(count_sql(node, windows, selected, keys, lines, kept))
    if "id" in table.schema.names:  # a stream may have come since streams were looked for
        known = np.isin(table.column("id").to_numpy(), list(selected.labels))
        table = table if known.all() else table.filter(pa.array(known))
    if not table.num_rows or not table.column("lines")[0].as_py():
        return Frame.empty(windows.steps.count)
    series, rows = _series(table, keys, kept, selected)
    counts = np.asarray(table.column("lines").to_numpy(), dtype=np.float64)
    states = {"lines": counts, "total": counts}
    if node.op in _BYTES:
        states["total"] = np.asarray(table.column("bytes").to_numpy(), dtype=np.float64)
    first, last = windows.of_rows(table)
    return frame_of(Cells(series, rows, first, last, states), windows, node.op, None)


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


def by_stream(kept: Kept, selected: Selected) -> bool:
    """Whether the streams' own labels tell series apart; if not, fewer groups have to be made."""
    if kept.no_labels:
        return False
    kinds = {key_of(group_labels(labels, kept.grouping)) if kept.grouping else key_of(labels)
             for labels in selected.labels.values()}  # fmt: skip
    return kept.names is None or len(kinds) > 1


def count_sql(
    node: ast.RangeAggregation,
    windows: Windows,
    selected: Selected,
    keys: dict[str, str],
    lines: str,
    kept: Kept,
) -> str:
    """The question."""
    columns = {"id": "stream_id", **keys} if by_stream(kept, selected) else keys
    columns = columns | windows.columns()
    totals = "count() AS lines" + (", sum(length(body)) AS bytes" if node.op in _BYTES else "")
    selects = [f"{sql} AS {name}" for name, sql in columns.items()]
    where = all_of([windows.time_condition(), selected.condition(), lines])
    group = f" GROUP BY {', '.join(columns)}" if columns else ""
    return (
        f"SELECT {', '.join([*selects, totals])} FROM records WHERE {where}{group}{windows.having}"
    )


def _series(
    table: pa.Table, keys: dict[str, str], kept: Kept, selected: Selected
) -> tuple[list[Key], Ints]:
    """The series, and for each row of the table which it belongs to."""
    anyone = next(iter(selected.labels))
    known_id = "id" in table.schema.names
    ids = table.column("id").to_pylist() if known_id else [anyone] * table.num_rows
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
