"""Vector aggregations: sum, avg, topk … over the series of a frame, at all steps at once.

Semantics are those of Loki's evaluator, NaN and infinities included: a NaN is left out by min and
max unless all values are NaN, is ranked last by topk, bottomk and both sorts, and makes sum, avg
and the deviations NaN.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from kelp.server.query.logql.expressions import Grouping
from kelp.server.query.metric.frame import Bools, Floats, Frame, Key, Labels, key_of


def group_labels(labels: Labels, grouping: Grouping | None) -> Labels:
    """The labels that stay under a grouping; without one, none."""
    if grouping is None:
        return {}
    if grouping.without:
        return {k: v for k, v in labels.items() if k not in grouping.labels}
    return {k: labels[k] for k in grouping.labels if k in labels}


def _groups(frame: Frame, grouping: Grouping | None) -> dict[Key, list[int]]:
    found: dict[Key, list[int]] = {}
    for row, labels in enumerate(frame.labels):
        found.setdefault(key_of(group_labels(labels, grouping)), []).append(row)
    return found


def aggregate(frame: Frame, op: str, grouping: Grouping | None, k: int | None) -> Frame:
    """The aggregation `op` over each group."""
    if op in ("topk", "bottomk", "approx_topk"):
        frame = _by_labels(frame)
        return _ranked(frame, _groups(frame, grouping), k or 1, descending=op != "bottomk")
    if op in ("sort", "sort_desc"):
        return _sorted(_by_labels(frame), descending=op == "sort_desc")
    groups = _groups(frame, grouping)
    combine = _COMBINE[op]
    values = np.zeros((len(groups), frame.values.shape[1]))
    present = np.zeros(values.shape, dtype=bool)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        for i, rows in enumerate(groups.values()):
            mask = frame.present[rows]
            values[i] = combine(frame.values[rows], mask)
            present[i] = mask.any(axis=0)
    return Frame([dict(k) for k in groups], values, present)


def _sum(values: Floats, present: Bools) -> Floats:
    return np.asarray(np.where(present, values, 0.0).sum(axis=0))


def _count(values: Floats, present: Bools) -> Floats:
    return np.asarray(present.sum(axis=0), dtype=np.float64)


def _avg(values: Floats, present: Bools) -> Floats:
    return _sum(values, present) / np.maximum(_count(values, present), 1)


def _min(values: Floats, present: Bools) -> Floats:
    return np.asarray(np.fmin.reduce(np.where(present, values, np.nan), axis=0))


def _max(values: Floats, present: Bools) -> Floats:
    return np.asarray(np.fmax.reduce(np.where(present, values, np.nan), axis=0))


def _stdvar(values: Floats, present: Bools) -> Floats:
    mean = _avg(values, present)
    squares = np.where(present, (values - mean) ** 2, 0.0).sum(axis=0)
    single = _count(values, present) == 1  # Loki never looks at a lone value, not even at a NaN
    return np.where(single, 0.0, squares / np.maximum(_count(values, present), 1))


def _stddev(values: Floats, present: Bools) -> Floats:
    return np.sqrt(_stdvar(values, present))


_COMBINE: dict[str, Callable[[Floats, Bools], Floats]] = {
    "sum": _sum, "count": _count, "avg": _avg, "min": _min, "max": _max,
    "stdvar": _stdvar, "stddev": _stddev,
}  # fmt: skip


def _by_labels(frame: Frame) -> Frame:
    """Series in the order of their labels: SQL gives groups in any order, and equal values rank
    as they come, so that one query would have two answers."""
    rows = range(len(frame.labels))
    return frame.take(sorted(rows, key=lambda row: key_of(frame.labels[row])))


def _rank_keys(values: Floats, *, descending: bool) -> Floats:
    """Keys in whose ascending order values rank; NaN comes last."""
    keys = -values if descending else values.copy()
    keys[np.isnan(values)] = np.inf
    return keys


def _order(values: Floats, rows: list[int], *, descending: bool) -> list[int]:
    """Rows from first to last; NaN behind infinities, equal values as they came."""
    keys = _rank_keys(values, descending=descending)
    return [rows[i] for i in np.lexsort((keys, np.isnan(values)))]


def _ranked(frame: Frame, groups: dict[Key, list[int]], k: int, *, descending: bool) -> Frame:
    """The k first of each group at each step; their own labels stay."""
    kept = np.zeros(frame.present.shape, dtype=bool)
    order: list[int] = []
    for rows in groups.values():
        for step in range(frame.values.shape[1]):
            there = [r for r in rows if frame.present[r, step]]
            best = _order(frame.values[there, step], there, descending=descending)[:k]
            kept[best, step] = True
            order.extend(best if step == frame.values.shape[1] - 1 else ())
    rest = [r for r in range(len(frame.labels)) if r not in set(order)]
    return Frame(frame.labels, frame.values, kept).take([*order, *rest]).without_empty()


def _sorted(frame: Frame, *, descending: bool) -> Frame:
    """Series by their value at the last step; only instant answers keep an order."""
    if not frame.labels:
        return frame
    rows = list(range(len(frame.labels)))
    return frame.take(_order(frame.values[:, -1], rows, descending=descending))
