"""Samples to values at steps: the range aggregations over what single records gave.

Each series' samples lie in order of time; the window of a step is a slice of them.
Formulas: Loki's pkg/logql/range_vector.go (rate_counter after Prometheus' extrapolatedRate).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from kelp.server.query.metric.frame import Bools, Floats, Frame, Key
from kelp.server.query.metric.windows import Ints, Windows

SECOND = 1e9


@dataclass(slots=True)
class Samples:
    """Values of many series, gathered row by row."""

    series: dict[Key, int] = field(default_factory=dict)
    rows: list[int] = field(default_factory=list)
    times: list[int] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)

    def add(self, key: Key, time_ns: int, position: int, value: float) -> None:
        """One sample of the series with these labels."""
        row = self.series.setdefault(key, len(self.series))
        self.rows.append(row)
        self.times.append(time_ns)
        self.positions.append(position)
        self.values.append(value)


def frame_of(samples: Samples, windows: Windows, op: str, parameter: float | None) -> Frame:
    """The range aggregation `op` over the samples, at all steps."""
    steps = windows.steps.count
    if not samples.series:
        return Frame.empty(steps)
    values = np.zeros((len(samples.series), steps))
    present = np.zeros(values.shape, dtype=bool)
    rows = np.array(samples.rows)
    times = np.array(samples.times, dtype=np.int64)
    order = np.lexsort((np.array(samples.positions, dtype=np.uint64), times, rows))
    rows, times = rows[order], times[order]
    numbers = np.array(samples.values, dtype=np.float64)[order]
    borders = np.searchsorted(rows, np.arange(len(samples.series) + 1))
    for row, (start, end) in enumerate(pairwise(borders)):
        values[row], present[row] = aggregate(
            times[start:end], numbers[start:end], windows, op, parameter
        )
    return Frame([dict(k) for k in samples.series], values, present).without_empty()


def aggregate(
    times: Ints, values: Floats, windows: Windows, op: str, parameter: float | None
) -> tuple[Floats, Bools]:
    """One series at all steps; `times` ascend."""
    count = windows.steps.count
    lower = windows.origin_ns + np.arange(count, dtype=np.int64) * windows.steps.step_ns
    starts = np.searchsorted(times, lower, side="right")
    ends = np.searchsorted(times, lower + windows.range_ns, side="right")
    present = ends > starts
    if op == "count_over_time":
        return (ends - starts).astype(np.float64), present
    out = np.zeros(count)
    combine = _combiner(op, parameter, windows)
    with np.errstate(all="ignore"):
        for step in np.flatnonzero(present):
            window = slice(starts[step], ends[step])
            out[step] = combine(times[window], values[window], int(lower[step]))
    return out, present


Combine = Callable[[Ints, Floats, int], float]


def _combiner(op: str, parameter: float | None, windows: Windows) -> Combine:
    seconds = windows.range_ns / SECOND
    if op == "rate_counter":
        return lambda times, values, start: _rate_counter(times, values, start, windows.range_ns)
    if op == "quantile_over_time":
        return lambda _, values, __: quantile(values, parameter or 0.0)
    if op in ("rate", "bytes_rate"):
        return lambda _, values, __: float(values.sum() / seconds)
    simple = _SIMPLE[op]
    return lambda _, values, __: float(simple(values))


def _variance(values: Floats) -> float:
    return float(np.mean((values - values.mean()) ** 2))


_SIMPLE: dict[str, Callable[[Floats], float]] = {
    "bytes_over_time": np.sum,
    "sum_over_time": np.sum,
    "avg_over_time": np.mean,
    "min_over_time": np.fmin.reduce,
    "max_over_time": np.fmax.reduce,
    "stdvar_over_time": _variance,
    "stddev_over_time": lambda values: math.sqrt(_variance(values)),
    "first_over_time": lambda values: values[0],
    "last_over_time": lambda values: values[-1],
    "absent_over_time": lambda _: 1.0,
}


def quantile(values: Floats, q: float) -> float:
    """Between ranks by weight; below 0 and above 1 the infinities. NaN ranks lowest."""
    if q < 0:
        return -math.inf
    if q > 1:
        return math.inf
    ranked = np.concatenate([values[np.isnan(values)], np.sort(values[~np.isnan(values)])])
    rank = q * (len(ranked) - 1)
    lower = math.floor(rank)
    upper = min(lower + 1, len(ranked) - 1)
    weight = rank - lower
    return float(ranked[lower] * (1 - weight) + ranked[upper] * weight)


def _rate_counter(times: Ints, values: Floats, start: int, range_ns: int) -> float:
    """Increase a second of a counter that may be reset, extrapolated to the window's ends."""
    if len(values) < 2:
        return 0.0
    before = np.concatenate([[0.0], values[:-1]])
    increase = values[-1] - values[0] + before[values < before].sum()
    to_start = (times[0] - start) / SECOND
    to_end = (start + range_ns - times[-1]) / SECOND
    sampled = (times[-1] - times[0]) / SECOND
    between = sampled / (len(values) - 1)
    threshold = between * 1.1
    if to_start >= threshold:
        to_start = between / 2
    if increase > 0 and values[0] >= 0:
        to_start = min(to_start, sampled * (values[0] / increase))
    if to_end >= threshold:
        to_end = between / 2
    extrapolated = increase * ((sampled + to_start + to_end) / sampled)
    return float(extrapolated / (range_ns / SECOND))
