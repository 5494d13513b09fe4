"""What SQL gave for a pushed-down aggregation, as cells with the labels of their series."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from kelp.server.ports import BudgetError
from kelp.server.query.derived import DETECTED_LEVEL
from kelp.server.query.metric.cells import STATES, Cells, Column
from kelp.server.query.metric.frame import Key, Labels, key_of
from kelp.server.query.metric.vectors import group_labels
from kelp.server.query.metric.windows import Ints
from kelp.server.query.pipeline.row import layered
from kelp.server.query.plan.context import Context, RangeQuestion
from kelp.server.query.plan.pushdown import Pushdown, pushdown_sql, visible
from kelp.server.query.records import attribute_names
from kelp.server.query.sql.text import to_text

_SAMPLE = ("time", "position", "stream", "value")
_COPIES = 4  # of a sample's bytes, at the most, while windows are made of them


def pushed_cells(asked: RangeQuestion, push: Pushdown, lines: str) -> tuple[Cells, bool]:
    """Cells of the lines that SQL reads, and whether there are others."""
    op = asked.node.op
    sql = pushdown_sql(push, asked.windows, asked.selected, lines)
    table = asked.context.run.ask(sql).combine_chunks()
    if not table.num_rows:
        return _no_cells(op), False
    flags = np.asarray(table.column("flags").to_numpy(), dtype=np.uint64)
    bad = (flags & np.uint64(1)).astype(bool)
    good = ~bad
    if "id" in table.schema.names:  # a stream may have come since streams were looked for
        good &= np.isin(table.column("id").to_numpy(), list(asked.selected.labels))
    if not good.all():
        table = table.filter(pa.array(good)).combine_chunks()
    if not table.num_rows or not table.column("lines")[0].as_py():
        return _no_cells(op), bool(bad.any())
    series, rows = _series(table, push, asked)
    first, last = asked.windows.of_rows(table)
    states, repeats = _states(table, op, asked.context)
    if repeats is not None:
        rows, first, last = (np.repeat(c, repeats) for c in (rows, first, last))
    return Cells(series, rows, first, last, states), bool(bad.any())


def _no_cells(op: str) -> Cells:
    none = np.zeros(0, dtype=np.int64)
    types = {"position": np.uint64, "stream": np.uint64, "time": np.int64}
    states = {n: np.zeros(0, dtype=types.get(n, np.float64)) for n in ("lines", *STATES[op])}
    return Cells([], none, none, none, states)


# --- states ------------------------------------------------------------------------------------


def _states(table: pa.Table, op: str, context: Context) -> tuple[dict[str, Column], Ints | None]:
    """The columns of the cells; with single records, how many each row of the table has."""
    if "sample" in table.schema.names:
        sample = table.column("sample").combine_chunks()
        repeats = None
        if pa.types.is_list(sample.type) or pa.types.is_large_list(sample.type):
            sample, repeats = _unlisted(sample, context)
        parts = zip(_SAMPLE, sample.flatten(), strict=True)
        states = {name: _numbers(part) for name, part in parts}
        return {"lines": _lines(table, repeats), **states}, repeats
    if op == "quantile_over_time":
        values, repeats = _unlisted(table.column("value").combine_chunks(), context)
        return {"lines": _lines(table, repeats), "value": _numbers(values)}, repeats
    return {n: _numbers(table.column(n).combine_chunks()) for n in ("lines", *STATES[op])}, None


def _lines(table: pa.Table, repeats: Ints | None) -> Column:
    if repeats is None:
        return _numbers(table.column("lines").combine_chunks())
    return np.ones(int(repeats.sum()))


def _numbers(column: pa.Array) -> Column:
    return np.asarray(column.to_numpy(zero_copy_only=False))


def _unlisted(column: Any, context: Context) -> tuple[pa.Array, Ints]:
    values = column.flatten()
    allowed = context.settings.max_memory_bytes
    if allowed and values.nbytes * _COPIES > allowed:
        raise BudgetError(
            f"query stopped: {len(values)} samples need more memory than max_memory_bytes; "
            "narrow the time range or the selector, or add a line filter"
        )
    return values, np.asarray(column.value_lengths().to_numpy(), dtype=np.int64)


# --- labels ------------------------------------------------------------------------------------


def _series(table: pa.Table, push: Pushdown, asked: RangeQuestion) -> tuple[list[Key], Ints]:
    """The series, and for each row of the table which it belongs to."""
    chosen, inverse = _distinct(table, push)
    rows = table.take(pa.array(chosen))
    keys = _keys(rows, push)
    if push.whole:
        keys = _whole_keys(rows, keys, push, asked)
    elif push.of_stream:
        keys = _with_streams(rows, keys, push, asked)
    found: dict[Key, int] = {}
    numbers = np.array([found.setdefault(key, len(found)) for key in keys], dtype=np.int64)
    return list(found), numbers[inverse]


def _distinct(table: pa.Table, push: Pushdown) -> tuple[Ints, Ints]:
    """A row for each distinct set of key columns, and for each row which of them it has."""
    codes = np.zeros(table.num_rows, dtype=np.int64)
    names = ["flags", *(f"k{i}" for i in range(len(push.keys)))]
    names += [n for n in ("id", "attributes", "level") if n in table.schema.names]
    for name in names:
        own = _codes(table.column(name).combine_chunks())
        _, codes = np.unique(codes * (int(own.max(initial=0)) + 1) + own, return_inverse=True)
    _, chosen, inverse = np.unique(codes, return_index=True, return_inverse=True)
    return chosen.astype(np.int64), inverse.astype(np.int64)


def _codes(column: pa.Array) -> Ints:
    """Equal values have equal small numbers."""
    if isinstance(column, pa.MapArray):
        if not len(column.keys):
            return np.zeros(len(column), dtype=np.int64)
        known: dict[Any, int] = {}
        found = [known.setdefault(tuple(value or ()), len(known)) for value in column.to_pylist()]
        return np.array(found, dtype=np.int64)
    encoded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    return np.asarray(encoded.indices.to_numpy(), dtype=np.int64)


def _keys(rows: pa.Table, push: Pushdown) -> list[Key]:
    """The labels of each row, sorted, as they are where a query names them."""
    flags = rows.column("flags").to_pylist()
    columns = [
        (1 << bit, name, rows.column(f"k{i}").to_pylist())
        for bit, i, name in _bits(push)
    ]  # fmt: skip
    columns.sort(key=lambda column: column[1])
    return [
        tuple((name, to_text(texts[row])) for bit, name, texts in columns if flag & bit)
        for row, flag in enumerate(flags)
    ]


def _bits(push: Pushdown) -> list[tuple[int, int, str]]:
    """The place among the flags, the number and the name of each key."""
    return [(i + 1, i, name) for i, name in enumerate(push.keys)]


def _with_streams(
    rows: pa.Table, keys: list[Key], push: Pushdown, asked: RangeQuestion
) -> list[Key]:
    """The keys with those labels that are looked up by the stream."""
    own = {
        stream: {name: labels[name] for name in push.of_stream}
        for stream, labels in asked.selected.labels.items()
    }
    ids = rows.column("id").to_pylist()
    return [key_of(own[stream] | dict(key)) for stream, key in zip(ids, keys, strict=True)]


def _whole_keys(rows: pa.Table, keys: list[Key], push: Pushdown, asked: RangeQuestion) -> list[Key]:
    """The labels of each row together with those of its stream and its metadata."""
    ids = rows.column("id").to_pylist()
    attributes = rows.column("attributes").to_pylist()
    levels = rows.column("level").to_pylist() if push.derive_level else [b""] * len(ids)
    base, grouping = asked.selected.labels, asked.kept.grouping
    out = []
    for parsed, stream, pairs, level in zip(keys, ids, attributes, levels, strict=True):
        below = attribute_names(pairs or [])
        if push.derive_level:
            below.setdefault(DETECTED_LEVEL, to_text(level))
        labels = _visible(base[stream], below, push) | dict(parsed)
        out.append(key_of(labels if grouping is None else group_labels(labels, grouping)))
    return out


def _visible(base: Labels, attributes: Labels, push: Pushdown) -> Labels:
    metadata, _, _ = layered(base, attributes)
    return {k: v for k, v in {**base, **metadata}.items() if visible(k, push.hidden)}
