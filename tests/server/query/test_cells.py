"""Windows made of cells equal windows made of records, however the records were gathered."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kelp.server.query.metric.cells import STATES, Cells, frame_of, joined
from kelp.server.query.metric.frame import Key, Steps
from kelp.server.query.metric.samples import Samples
from kelp.server.query.metric.windows import Windows

SECOND = 10**9
Record = tuple[int, int, int, float]  # series, time, position, value

VALUES = st.one_of(
    st.floats(-1e6, 1e6), st.sampled_from([0.0, -0.0, 0.1, 5.0, math.inf, -math.inf, math.nan])
)
RECORDS = st.lists(
    st.tuples(st.integers(0, 2), st.integers(-5, 130), st.integers(0, 3), VALUES), max_size=40
)
WINDOWS = st.builds(
    lambda step, count, span, offset: Windows(Steps(40, step, count), span, offset),
    st.integers(1, 30), st.integers(1, 9), st.integers(1, 70), st.integers(-20, 20),
)  # fmt: skip


def _samples(records: Sequence[Record]) -> Samples:
    samples = Samples()
    for series, time, position, value in records:
        samples.add(_key(series), time, (position, 7), value)
    return samples


def _key(series: int) -> Key:
    return (("series", str(series)),)


def _gathered(records: Sequence[Record], windows: Windows, op: str) -> Cells:
    """Cells as SQL makes them: one for all records of a series with the same windows."""
    found: dict[tuple[int, int, int], list[Record]] = {}
    for record in records:
        first, last = windows.of_times(np.array([record[1]]))
        found.setdefault((record[0], int(first[0]), int(last[0])), []).append(record)
    cells = Samples().cells(windows, op)
    for (series, first, last), own in found.items():
        states = {name: np.array([_state(name, op, own)]) for name in ("lines", *STATES[op])}
        place = (np.array([0]), np.array([first]), np.array([last]))
        cells = joined(cells, Cells([_key(series)], *place, states))
    return cells


def _state(name: str, op: str, own: list[Record]) -> float:
    values = np.array([record[3] for record in own])
    ordered = sorted(own, key=lambda record: record[1:3])
    end = ordered[0] if op.startswith("first") else ordered[-1]
    with np.errstate(all="ignore"):
        return float({
            "lines": lambda: len(own), "total": values.sum, "mean": lambda: _mean(values),
            "least": lambda: np.fmin.reduce(values), "most": lambda: np.fmax.reduce(values),
            "spread": ((values - _mean(values)) ** 2).sum, "time": lambda: end[1],
            "position": lambda: end[2], "stream": lambda: 7, "value": lambda: end[3],
        }[name]())  # fmt: skip


def _mean(values: np.ndarray) -> float:
    return float(values[0]) if (values == values[0]).all() else float(values.mean())


def _expected(values: list[float], op: str, parameter: float) -> float:
    numbers = np.array(values)
    ranked = sorted(values, key=lambda v: (not math.isnan(v), v))
    rank = parameter * (len(ranked) - 1)
    low, high = math.floor(rank), min(math.floor(rank) + 1, len(ranked) - 1)
    with np.errstate(all="ignore"):
        return float({
            "count_over_time": lambda: len(values), "sum_over_time": numbers.sum,
            "avg_over_time": numbers.mean, "first_over_time": lambda: values[0],
            "last_over_time": lambda: values[-1],
            "min_over_time": lambda: np.fmin.reduce(numbers),
            "max_over_time": lambda: np.fmax.reduce(numbers),
            "stdvar_over_time": ((numbers - _mean(numbers)) ** 2).mean,
            "quantile_over_time": lambda: (
                ranked[low] * (1 - (rank - low)) + ranked[high] * (rank - low)
            ),
        }[op]())  # fmt: skip


OPS = [
    "count_over_time", "sum_over_time", "avg_over_time", "min_over_time", "max_over_time",
    "stdvar_over_time", "first_over_time", "last_over_time", "quantile_over_time",
]  # fmt: skip
# Their cells are single records.
SINGLE = ("quantile_over_time",)


@pytest.mark.parametrize("op", OPS)
@settings(deadline=None, max_examples=60)
@given(some=RECORDS, others=RECORDS, windows=WINDOWS, q=st.sampled_from([0.0, 0.25, 0.9, 1.0]))
def test_windows_of_cells_equal_windows_of_records(
    op: str, some: list[Record], others: list[Record], windows: Windows, q: float
) -> None:
    others = [(s, t, p + 10, v) for s, t, p, v in others]  # no two records in one place
    some = list({record[:3]: record for record in some}.values())
    others = list({record[:3]: record for record in others}.values())
    some = [r for r in some if windows.origin_ns < r[1] <= windows.end_ns]
    others = [r for r in others if windows.origin_ns < r[1] <= windows.end_ns]
    cells = _samples(some).cells(windows, op) if op in SINGLE else _gathered(some, windows, op)
    frame = frame_of(joined(cells, _samples(others).cells(windows, op)), windows, op, q)
    got = {
        (key["series"], step): frame.values[row, step]
        for row, key in enumerate(frame.labels)
        for step in np.flatnonzero(frame.present[row])
    }
    expected = {}
    records = sorted([*some, *others], key=lambda record: record[1:3])
    for step, end in enumerate(windows.steps.times_ns()):
        upper = end - windows.offset_ns
        for series in range(3):
            own = [r[3] for r in records
                   if r[0] == series and upper - windows.range_ns < r[1] <= upper]  # fmt: skip
            if own:
                expected[(str(series), step)] = _expected(own, op, q)
    assert expected.keys() == got.keys()
    for place, value in expected.items():
        assert _close(value, float(got[place])), (place, value, got[place])


def _close(one: float, two: float) -> bool:
    # A variance is small beside the squares that it is the difference of.
    return (math.isnan(one) and math.isnan(two)) or math.isclose(
        one, two, rel_tol=1e-9, abs_tol=1e-3
    )


def test_equal_values_have_no_variance() -> None:
    windows = Windows(Steps(100, 10, 5), 40, 0)
    samples = _samples([(0, time, 0, 0.1) for time in range(61, 140, 3)])
    frame = frame_of(samples.cells(windows, "stddev_over_time"), windows, "stddev_over_time", None)
    assert [0.0] * 5 == frame.values[0].tolist()


def test_a_counter_that_is_reset_is_read_in_the_order_of_its_records() -> None:
    windows = Windows(Steps(60 * SECOND, 1, 1), 60 * SECOND, 0)
    records = [(0, 10 * SECOND, 0, 10.0), (0, 20 * SECOND, 0, 30.0),
               (0, 30 * SECOND, 0, 5.0), (0, 40 * SECOND, 0, 25.0)]  # fmt: skip
    some = _samples(records[::2]).cells(windows, "rate_counter")
    cells = joined(some, _samples(records[1::2]).cells(windows, "rate_counter"))
    frame = frame_of(cells, windows, "rate_counter", None)
    # 45 more within 30 s. Before them the counter would be below zero more than 30 * 10 / 45 s ago;
    # behind them the window's end is far, so that half of what lies between two records counts.
    expected = 45 * (30 + 300 / 45 + 5) / 30 / 60
    assert expected == pytest.approx(frame.values[0, 0])


def test_an_empty_set_of_cells_is_an_empty_frame() -> None:
    windows = Windows(Steps(100, 10, 5), 40, 0)
    assert frame_of(Samples().cells(windows, "avg_over_time"), windows, "avg_over_time", None
                    ).labels == []  # fmt: skip
