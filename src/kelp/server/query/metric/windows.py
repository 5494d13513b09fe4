"""Which windows a record lies in: arithmetic on times, in SQL and in numpy alike.

At step k, time T_k = start + k * step, a range aggregation looks at the window
(T_k - offset - range, T_k - offset]: the lower end is not in it, the upper one is. A record lies
in the windows `first` … `last`, which follow from its time by whole divisions. Records with the
same first and last window can be aggregated before anything else is done: their windows are one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kelp.server.query.metric.frame import Steps
from kelp.server.query.sql.text import timestamp

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Windows:
    """The windows of one range aggregation."""

    steps: Steps
    range_ns: int
    offset_ns: int

    @property
    def origin_ns(self) -> int:
        """The lower end of the first window; every record of interest is later."""
        return self.steps.start_ns - self.offset_ns - self.range_ns

    @property
    def end_ns(self) -> int:
        """The upper end of the last window, in it."""
        return self.origin_ns + self.range_ns + (self.steps.count - 1) * self.steps.step_ns

    def time_condition(self) -> str:
        """SQL over `records` that holds between the first window's start and the last one's end."""
        return f"timestamp > {timestamp(self.origin_ns)} AND timestamp <= {timestamp(self.end_ns)}"

    @property
    def regular(self) -> bool:
        """Whether the last window alone tells the first one."""
        return self.steps.count == 1 or self.range_ns % self.steps.step_ns == 0

    def first_and_last_sql(self) -> tuple[str, str]:
        """The first and last window of a record as expressions; first > last: in none."""
        if self.steps.count == 1:
            return "0", "0"
        step, newest = self.steps.step_ns, self.steps.count - 1
        age = f"(toUnixTimestamp64Nano(timestamp) - {self.origin_ns})"
        last = f"least(intDiv({age} - 1, {step}), {newest})"
        first = f"if({age} <= {self.range_ns}, 0, intDiv({age} - {self.range_ns + 1}, {step}) + 1)"
        return first, last

    def first_and_last(self, times_ns: Ints) -> tuple[Ints, Ints]:
        """The same for an array of times, all after `origin_ns` and not after `end_ns`."""
        step = self.steps.step_ns
        age = times_ns - self.origin_ns
        last = np.minimum((age - 1) // step, self.steps.count - 1)
        first = np.maximum((age - self.range_ns - 1) // step + 1, 0)
        return first, last

    def bounds_ns(self, step: int) -> tuple[int, int]:
        """Lower (outside) and upper (inside) end of a step's window."""
        start = self.origin_ns + step * self.steps.step_ns
        return start, start + self.range_ns
