"""A range of numbers as a plot in the terminal, in the eighths of blocks that text has."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from kelp.cli.times import format_clock

_BLOCKS = " ▁▂▃▄▅▆▇█"
_LABEL_WIDTH = 12
HEIGHT = 8


@dataclass(frozen=True)
class Line:
    """One series: values by time in seconds; times without a value are absent."""

    name: str
    values: Mapping[float, float]


def plot(lines: Sequence[Line], width: int, now_ns: int, height: int = HEIGHT) -> Iterator[str]:
    """Each series with its name, its scale and the time axis, as lines of text."""
    times = sorted({t for line in lines for t in line.values})
    if not times:
        return
    columns = max(10, width - _LABEL_WIDTH - 2)
    for line in lines:
        yield line.name
        yield from _bars(_resampled(line.values, times[0], times[-1], columns), height)
    start = format_clock(int(times[0] * 1e9), now_ns)
    end = format_clock(int(times[-1] * 1e9), now_ns)
    gap = max(1, columns - len(start) - len(end))
    yield f"{'':{_LABEL_WIDTH}}  {start}{' ' * gap}{end}"


def _resampled(
    values: Mapping[float, float], start: float, end: float, columns: int
) -> list[float | None]:
    """The mean of what falls into each column; None where nothing does."""
    step = (end - start) / columns or 1.0
    sums, counts = [0.0] * columns, [0] * columns
    for at, value in values.items():
        if math.isfinite(value):
            column = min(columns - 1, int((at - start) / step))
            sums[column] += value
            counts[column] += 1
    means = [s / n if n else None for s, n in zip(sums, counts, strict=True)]
    return _without_holes(means, len(values))


def _without_holes(means: list[float | None], points: int) -> list[float | None]:
    """Where there are fewer points than columns, each is as wide as its step."""
    reach = math.ceil(len(means) / max(1, points))
    filled, last, age = [], None, reach
    for value in means:
        last, age = (value, 0) if value is not None else (last, age + 1)
        filled.append(last if age < reach else None)
    return filled


def _bars(values: Sequence[float | None], height: int) -> Iterator[str]:
    present = [v for v in values if v is not None]
    low, high = min([0.0, *present]), max([0.0, *present])
    span = (high - low) or 1.0
    eighths = [None if v is None else round((v - low) / span * height * 8) for v in values]
    for row in reversed(range(height)):
        label = {height - 1: _number(high), 0: _number(low)}.get(row, "")
        bar = "".join(" " if e is None else _BLOCKS[max(0, min(8, e - row * 8))] for e in eighths)
        yield f"{label:>{_LABEL_WIDTH}} ┤{bar.rstrip()}"


def _number(value: float) -> str:
    return f"{value:.5g}"
