"""Samples: the values of single records that went through the pipeline, gathered row by row."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from kelp.server.query.metric.cells import STATES, Cells
from kelp.server.query.metric.frame import Key
from kelp.server.query.metric.windows import Windows


@dataclass(slots=True)
class Samples:
    """Values of many series."""

    series: dict[Key, int] = field(default_factory=dict)
    rows: list[int] = field(default_factory=list)
    times: list[int] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    streams: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)

    def add(self, key: Key, time_ns: int, place: tuple[int, int], value: float) -> None:
        """One sample of the series with these labels; `place` is its position and stream."""
        row = self.series.setdefault(key, len(self.series))
        self.rows.append(row)
        self.times.append(time_ns)
        self.positions.append(place[0])
        self.streams.append(place[1])
        self.values.append(value)

    def cells(self, windows: Windows, op: str) -> Cells:
        """Each sample as a cell, with what `op` needs of it."""
        times = np.array(self.times, dtype=np.int64)
        values = np.array(self.values, dtype=np.float64)
        known = {
            "lines": np.ones(len(values)), "total": values, "least": values, "most": values,
            "mean": values, "spread": np.zeros(len(values)), "value": values, "time": times,
            "position": np.array(self.positions, dtype=np.uint64),
            "stream": np.array(self.streams, dtype=np.uint64),
        }  # fmt: skip
        first, last = windows.of_times(times)
        rows = np.array(self.rows, dtype=np.int64)
        states = {name: known[name] for name in ("lines", *STATES[op])}
        return Cells(list(self.series), rows, first, last, states)
