"""A frame as an answer: a vector at one time, or a matrix."""

from __future__ import annotations

import math

import numpy as np

from kelp.server.query.logql import expressions as ast
from kelp.server.query.metric.frame import Frame, Key, Steps, key_of
from kelp.server.query.metric.windows import Ints
from kelp.server.query.plan.ranges import series_error
from kelp.server.result import Matrix, Sample, Series, Vector


def keeps_order(node: ast.Expression) -> bool:
    """Whether the order of an instant answer means something: there is a sort in the query."""
    match node:
        case ast.VectorAggregation():
            return node.op in ("sort", "sort_desc") or keeps_order(node.expression)
        case ast.LabelReplace():
            return keeps_order(node.expression)
        case ast.BinaryOperation():
            return keeps_order(node.left) or keeps_order(node.right)
        case _:
            return False


def vector_of(frame: Frame, time_ns: int, *, ordered: bool, max_series: int) -> Vector:
    """The values at the one step, sorted by labels (equal ones by value) unless `ordered`."""
    _bound(frame, max_series)
    samples = [
        Sample(labels, time_ns, float(frame.values[row, 0]))
        for row, labels in enumerate(frame.labels)
        if frame.present[row, 0]
    ]
    return Vector(samples if ordered else sorted(samples, key=_by_labels))


def _by_labels(sample: Sample) -> tuple[Key, bool, float]:
    unordered = math.isnan(sample.value)
    return key_of(sample.labels), unordered, 0.0 if unordered else sample.value


def matrix_of(frame: Frame, steps: Steps, max_series: int) -> Matrix:
    """The values at all steps, series sorted by labels.

    Of rows with equal labels each has its value at a step, in one series, as in Loki.
    """
    _bound(frame, max_series)
    times = np.array(steps.times_ns(), dtype=np.int64)
    alike: dict[Key, list[int]] = {}
    for row, labels in enumerate(frame.labels):
        alike.setdefault(key_of(labels), []).append(row)
    return Matrix(
        [
            _series(frame, rows, times)
            for _, rows in sorted(alike.items())
            if frame.present[rows].any()
        ]
    )


def _series(frame: Frame, rows: list[int], times: Ints) -> Series:
    """One series of the rows, step by step; several values of one step rise."""
    present = frame.present[rows].T
    at, _ = np.nonzero(present)
    values = frame.values[rows].T[present]
    if len(rows) > 1:
        order = np.lexsort((values, at))
        at, values = at[order], values[order]
    return Series(frame.labels[rows[0]], times[at].tolist(), values.tolist())


def _bound(frame: Frame, max_series: int) -> None:
    if len(frame.labels) > max_series:
        raise series_error(max_series)
