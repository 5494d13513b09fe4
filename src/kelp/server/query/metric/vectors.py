"""Vector aggregations: sum, avg, topk … over the series of a frame, at all steps at once.

Semantics are those of Loki's evaluator, NaN and infinities included: a NaN is left out by min and
max unless all values are NaN, is ranked last by topk, bottomk and both sorts, and makes sum, avg
and the deviations NaN.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from kelp.server.query.logql.expressions import Grouping
from kelp.server.query.metric.frame import Bools, Floats, Frame, Key, Labels, key_of
from kelp.server.query.metric.windows import Ints


def group_labels(labels: Labels, grouping: Grouping | None) -> Labels:
    """The labels that stay under a grouping; without one, none."""
    if grouping is None:
        return {}
    if grouping.without:
        return {k: v for k, v in labels.items() if k not in grouping.labels}
    return {k: labels[k] for k in grouping.labels if k in labels}


def _groups(frame: Frame, grouping: Grouping | None) -> dict[Key, list[int]]:
    if grouping is None:
        return {(): list(range(len(frame.labels)))} if frame.labels else {}
    found: dict[Key, list[int]] = {}
    for row, labels in enumerate(frame.labels):
        found.setdefault(key_of(group_labels(labels, grouping)), []).append(row)
    return found


def aggregate(frame: Frame, op: str, grouping: Grouping | None, k: int | None) -> Frame:
    """The aggregation `op` over each group."""
    if op in ("topk", "bottomk", "approx_topk"):
        frame = _by_labels(_contenders(frame, grouping, k or 1, descending=op != "bottomk"))
        return _ranked(frame, _groups(frame, grouping), k or 1, descending=op != "bottomk")
    if op in ("sort", "sort_desc"):
        return _sorted(_by_labels(frame), descending=op == "sort_desc")
    groups = _groups(frame, grouping)
    if not groups:
        return Frame.empty(frame.values.shape[1])
    members = _Members.of(frame, groups.values())
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        values = _COMBINE[op](members)
    return Frame([dict(k) for k in groups], values, members.counts > 0)


@dataclass(frozen=True, slots=True)
class _Members:
    """The rows of a frame, those of one group behind those of another."""

    values: Floats
    present: Bools
    starts: Ints  # where each group begins
    sizes: Ints
    counts: Floats  # how many members each group has at each step

    @classmethod
    def of(cls, frame: Frame, groups: Iterable[list[int]]) -> _Members:
        """All groups at once; there is at least one."""
        rows = list(groups)
        order = np.array([row for own in rows for row in own], dtype=np.int64)
        sizes = np.array([len(own) for own in rows], dtype=np.int64)
        starts = np.cumsum(sizes) - sizes
        present = frame.present[order]
        counts = np.add.reduceat(present.astype(np.float64), starts, axis=0)
        return cls(frame.values[order], present, starts, sizes, counts)

    def each(self, values: Floats, combine: Any) -> Floats:
        """`combine`, a ufunc, over the rows of each group."""
        return np.asarray(combine.reduceat(values, self.starts, axis=0))


def _sum(members: _Members) -> Floats:
    return members.each(np.where(members.present, members.values, 0.0), np.add)


def _avg(members: _Members) -> Floats:
    return _sum(members) / np.maximum(members.counts, 1)


def _extreme(members: _Members, combine: Any) -> Floats:
    return members.each(np.where(members.present, members.values, np.nan), combine)


def _stdvar(members: _Members) -> Floats:
    means = np.repeat(_avg(members), members.sizes, axis=0)
    squares = np.where(members.present, (members.values - means) ** 2, 0.0)
    single = members.counts == 1  # Loki never looks at a lone value, not even at a NaN
    return np.where(single, 0.0, members.each(squares, np.add) / np.maximum(members.counts, 1))


_COMBINE: dict[str, Callable[[_Members], Floats]] = {
    "sum": _sum, "count": lambda members: members.counts, "avg": _avg,
    "min": lambda members: _extreme(members, np.fmin),
    "max": lambda members: _extreme(members, np.fmax),
    "stdvar": _stdvar, "stddev": lambda members: np.sqrt(_stdvar(members)),
}  # fmt: skip


def _contenders(frame: Frame, grouping: Grouping | None, k: int, *, descending: bool) -> Frame:
    """Without series that are never among the first k of their group, ties included.

    To put all series in the order of their labels costs far more than to see that most are out.
    """
    kept = np.zeros(len(frame.labels), dtype=bool)
    for rows in _groups(frame, grouping).values():
        if len(rows) <= k:
            kept[rows] = True
            continue
        keys = _rank_keys(frame.values[rows], descending=descending)
        keys[~frame.present[rows]] = np.inf
        last = np.partition(keys, k - 1, axis=0)[k - 1]
        kept[rows] = ((keys <= last) & frame.present[rows]).any(axis=1)
    return frame if kept.all() else frame.take(np.flatnonzero(kept).tolist())


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
        own = np.array(rows, dtype=np.int64)
        for step in range(frame.values.shape[1]):
            there = own[frame.present[own, step]].tolist()
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
