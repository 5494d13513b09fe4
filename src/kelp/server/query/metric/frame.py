"""Frame: the value of a metric expression at all steps at once.

Values lie in one array, a row for each series and a column for each step, with a mask beside it:
NaN is a value like any other in LogQL, so it cannot stand for what is missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Labels: TypeAlias = dict[str, str]
Key: TypeAlias = tuple[tuple[str, str], ...]
Floats: TypeAlias = npt.NDArray[np.float64]
Bools: TypeAlias = npt.NDArray[np.bool_]


def key_of(labels: Mapping[str, str]) -> Key:
    """Labels as a value that can be compared and hashed."""
    return tuple(sorted(labels.items()))


@dataclass(frozen=True, slots=True)
class Steps:
    """The times at which a query is evaluated; one for an instant query."""

    start_ns: int
    step_ns: int
    count: int

    def times_ns(self) -> list[int]:
        """The times."""
        return [self.start_ns + i * self.step_ns for i in range(self.count)]


@dataclass(frozen=True, slots=True)
class Frame:
    """Series by steps; `values` counts only where `present` is set."""

    labels: list[Labels]
    values: Floats  # (series, steps)
    present: Bools  # (series, steps)

    @classmethod
    def empty(cls, steps: int) -> Frame:
        """No series."""
        return cls([], np.zeros((0, steps)), np.zeros((0, steps), dtype=bool))

    @classmethod
    def constant(cls, value: float, steps: int) -> Frame:
        """One series without labels that always has this value."""
        return cls([{}], np.full((1, steps), value), np.ones((1, steps), dtype=bool))

    def take(self, rows: Iterable[int]) -> Frame:
        """Some of the series, in this order."""
        chosen = list(rows)
        return Frame([self.labels[i] for i in chosen], self.values[chosen], self.present[chosen])

    def without_empty(self) -> Frame:
        """Only the series that have a value at some step."""
        kept = np.flatnonzero(self.present.any(axis=1))
        return self if len(kept) == len(self.labels) else self.take(kept.tolist())
