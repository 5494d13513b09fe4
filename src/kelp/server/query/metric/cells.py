"""Cells: what is known of the records of a series between two borders of windows.

The borders of all windows cut time into pieces, and records of one piece lie in the same windows:
they are a cell. A window is a run of cells, so its value follows from theirs, however much windows
overlap, and the records themselves are not needed any more. Cells come from SQL, already gathered,
and one by one from records that went through the pipeline; both kinds are put together here.

What a cell must hold depends on the aggregation (`STATES`). Formulas: Loki's
pkg/logql/range_vector.go; moments are joined after Chan, Golub and LeVeque (1979).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from kelp.server.query.metric.frame import Floats, Frame, Key
from kelp.server.query.metric.windows import Ints, Windows

SECOND = 1e9
Column: TypeAlias = npt.NDArray[Any]
State: TypeAlias = tuple[Floats, ...]

_TOTAL, _MOMENTS = ("total",), ("mean", "spread")
_SAMPLE = ("time", "position", "stream", "value")
STATES: dict[str, tuple[str, ...]] = {
    "count_over_time": (), "absent_over_time": (), "rate": _TOTAL, "sum_over_time": _TOTAL,
    "bytes_rate": _TOTAL, "bytes_over_time": _TOTAL, "avg_over_time": _TOTAL,
    "min_over_time": ("least",), "max_over_time": ("most",),
    "stddev_over_time": _MOMENTS, "stdvar_over_time": _MOMENTS,
    "first_over_time": _SAMPLE, "last_over_time": _SAMPLE,
    "quantile_over_time": ("value",), "rate_counter": _SAMPLE,
}  # fmt: skip
"""The columns beside `lines` (how many records): `spread` is the sum of squares around the mean.
For `quantile_over_time` and `rate_counter` each record is a cell of its own."""


@dataclass(frozen=True, slots=True)
class Cells:
    """Rows of cells; several may be of one series and one piece of time."""

    series: list[Key]
    rows: Ints  # the series of each cell
    first: Ints  # the first and last window that it lies in
    last: Ints
    states: dict[str, Column]  # `lines` always

    def in_windows(self) -> Cells:
        """Without what lies between the windows."""
        kept = self.first <= self.last
        if kept.all():
            return self
        states = {name: column[kept] for name, column in self.states.items()}
        return Cells(self.series, self.rows[kept], self.first[kept], self.last[kept], states)


def joined(one: Cells, two: Cells) -> Cells:
    """The cells of both; series with equal labels are one."""
    index = {key: i for i, key in enumerate(one.series)}
    rows = np.array([index.setdefault(key, len(index)) for key in two.series], dtype=np.int64)
    return Cells(
        list(index),
        np.concatenate([one.rows, rows[two.rows]]),
        np.concatenate([one.first, two.first]),
        np.concatenate([one.last, two.last]),
        {name: np.concatenate([one.states[name], two.states[name]]) for name in one.states},
    )


def frame_of(cells: Cells, windows: Windows, op: str, parameter: float | None) -> Frame:
    """The range aggregation `op` at all steps."""
    cells = cells.in_windows()
    if not cells.series or not len(cells.rows):
        return Frame.empty(windows.steps.count)
    grid = _Grid(cells, windows.steps.count)
    counts = grid.sums(cells.states["lines"])
    values = _values(grid, windows, op, parameter, counts)
    return Frame([dict(k) for k in cells.series], values, counts > 0).without_empty()


def _values(
    grid: _Grid, windows: Windows, op: str, parameter: float | None, counts: Floats
) -> Floats:
    states = grid.cells.states
    seconds = windows.range_ns / SECOND
    with np.errstate(all="ignore"):
        match op:
            case "count_over_time" | "absent_over_time":
                return counts
            case "rate" | "bytes_rate":
                return grid.sums(states["total"]) / seconds
            case "sum_over_time" | "bytes_over_time":
                return grid.sums(states["total"])
            case "avg_over_time":
                return grid.sums(states["total"]) / np.maximum(counts, 1)
            case "min_over_time":
                return grid.extremes(states["least"], np.fmin)
            case "max_over_time":
                return grid.extremes(states["most"], np.fmax)
            case "stdvar_over_time":
                return grid.variances()
            case "stddev_over_time":
                return np.sqrt(grid.variances())
            case "first_over_time":
                return grid.at_end(np.minimum)
            case "last_over_time":
                return grid.at_end(np.maximum)
            case "quantile_over_time":
                return grid.each_window(
                    states["value"], lambda values: quantile(values, parameter or 0.0)
                )
            case _:
                return _rate_counters(grid, windows)


class _Grid:
    """Cells as arrays of series by pieces of time, and each window as a run of pieces."""

    def __init__(self, cells: Cells, steps: int) -> None:
        self.cells = cells
        pieces, self._columns = np.unique(
            cells.last * (steps + 1) + cells.first, return_inverse=True
        )
        lasts, firsts = pieces // (steps + 1), pieces % (steps + 1)
        windows = np.arange(steps)
        self._starts = np.searchsorted(lasts, windows, side="left")
        self._ends = np.maximum(np.searchsorted(firsts, windows, side="right"), self._starts)
        self._shape = (len(cells.series), len(pieces))

    def _dense(self, column: Column, combine: Any = np.add, empty: float = 0.0) -> Floats:
        out = np.full(self._shape, empty)
        combine.at(out, (self.cells.rows, self._columns), column.astype(np.float64))
        return out

    def sums(self, column: Column) -> Floats:
        """The sum of a column in each window."""
        (out,) = self._folded((self._dense(column),), lambda a, b: (a[0] + b[0],), 0.0)
        return out

    def extremes(self, column: Column, combine: Any) -> Floats:
        """`combine` is np.fmin or np.fmax: NaN counts only where there is nothing else."""
        dense = self._dense(column, combine, math.nan)
        (out,) = self._folded((dense,), lambda a, b: (combine(a[0], b[0]),), math.nan)
        return out

    def variances(self) -> Floats:
        """The variance of all values in each window."""
        states = self.cells.states
        places = (self.cells.rows, self._columns)
        lines = self._dense(states["lines"])
        means = np.zeros(self._shape)
        means[places] = states["mean"]  # that of any cell: equal values must have no variance
        apart = states["mean"] - means[places]
        means += self._dense(states["lines"] * apart) / np.maximum(lines, 1)
        off = states["mean"] - means[places]
        spreads = self._dense(states["spread"] + states["lines"] * off * off)
        count, _, spread = self._folded((lines, means, spreads), _joined_moments, 0.0)
        return spread / np.maximum(count, 1)

    def at_end(self, combine: Any) -> Floats:
        """The value of the earliest or, with np.maximum, the latest record of each window."""
        states = self.cells.states
        order = np.lexsort([states[name] for name in ("stream", "position", "time")])
        ranks = np.empty(len(order))
        ranks[order] = np.arange(len(order))
        none = -1.0 if combine is np.maximum else float(len(order))
        dense = self._dense(ranks, combine, none)
        (best,) = self._folded((dense,), lambda a, b: (combine(a[0], b[0]),), none)
        there = np.clip(best, 0, len(order) - 1).astype(np.int64)
        return np.asarray(states["value"][order][there], dtype=np.float64)

    def each_window(self, column: Column, aggregate: Callable[[Floats], float]) -> Floats:
        """`aggregate` over all values of each series in each window where it has any."""
        pieces = self._shape[1]
        places = self.cells.rows * pieces + self._columns
        order = np.argsort(places, kind="stable")
        values = np.asarray(column, dtype=np.float64)[order]
        borders = np.searchsorted(places[order], np.arange(self._shape[0] * pieces + 1))
        out = np.zeros((self._shape[0], len(self._starts)))
        for row in range(self._shape[0]):
            starts = borders[row * pieces + self._starts]
            ends = borders[row * pieces + self._ends]
            for step in np.flatnonzero(ends > starts):
                out[row, step] = aggregate(values[starts[step] : ends[step]])
        return out

    def _folded(self, dense: State, join: Callable[[State, State], State], empty: float) -> State:
        """The states of each window: of its run of pieces, cut into runs of powers of two."""
        shape = (self._shape[0], len(self._starts))
        out = tuple(np.full(shape, empty) for _ in dense)
        at, widths = self._starts.copy(), self._ends - self._starts
        size = 1
        while True:
            chosen = np.flatnonzero(widths & size)
            found = join(tuple(o[:, chosen] for o in out), tuple(d[:, at[chosen]] for d in dense))
            for whole, part in zip(out, found, strict=True):
                whole[:, chosen] = part
            at[chosen] += size
            size *= 2
            if size > widths.max(initial=0):
                return out
            half = size // 2
            dense = join(tuple(d[:, :-half] for d in dense), tuple(d[:, half:] for d in dense))


def _joined_moments(one: State, two: State) -> State:
    """Count, mean and sum of squares around it, of two sets together."""
    (n, mean, spread), (m, other, more) = one, two
    count = n + m
    share = m / np.maximum(count, 1)
    apart = np.where((n > 0) & (m > 0), other - mean, 0.0)
    both = np.where(n > 0, mean + apart * share, other)
    return count, both, spread + more + apart * apart * n * share


def quantile(values: Floats, q: float) -> float:
    """Between ranks by weight; below 0 and above 1 the infinities. NaN ranks lowest."""
    if q < 0:
        return -math.inf
    if q > 1:
        return math.inf
    rank = q * (len(values) - 1)
    lower = math.floor(rank)
    upper = min(lower + 1, len(values) - 1)
    weight = rank - lower
    missing = np.isnan(values)
    if missing.any():
        ranked = np.concatenate([values[missing], np.sort(values[~missing])])
    else:
        ranked = np.partition(values, (lower, upper))
    return float(ranked[lower] * (1 - weight) + ranked[upper] * weight)


def _rate_counters(grid: _Grid, windows: Windows) -> Floats:
    """Windows of records in their order: cells say too little of a counter that is reset."""
    cells = grid.cells
    states = cells.states
    keys = [states[name] for name in ("stream", "position", "time")]
    order = np.lexsort([*keys, cells.rows])
    rows, times, values = cells.rows[order], states["time"][order], states["value"][order]
    lower = (
        windows.origin_ns + np.arange(windows.steps.count, dtype=np.int64) * windows.steps.step_ns
    )
    out = np.zeros((len(cells.series), windows.steps.count))
    borders = np.searchsorted(rows, np.arange(len(cells.series) + 1))
    for row, (start, end) in enumerate(pairwise(borders)):
        own, numbers = times[start:end], values[start:end]
        starts = np.searchsorted(own, lower, side="right")
        ends = np.searchsorted(own, lower + windows.range_ns, side="right")
        for step in np.flatnonzero(ends > starts):
            window = slice(starts[step], ends[step])
            out[row, step] = rate_counter(
                own[window], numbers[window], int(lower[step]), windows.range_ns
            )
    return out


def rate_counter(times: Ints, values: Floats, start: int, range_ns: int) -> float:
    """Increase a second of a counter that may be reset, extrapolated to the window's ends.

    After Prometheus' extrapolatedRate.
    """
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
