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
import pyarrow as pa

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

    @property
    def disjoint(self) -> bool:
        """Whether a record lies in one window at the most."""
        return self.steps.count == 1 or self.range_ns <= self.steps.step_ns

    @property
    def having(self) -> str:
        """A clause that leaves out what lies between the windows."""
        if self.steps.count == 1 or self.range_ns >= self.steps.step_ns:
            return ""
        return " HAVING first <= last"

    def columns(self) -> dict[str, str]:
        """What tells records of different windows apart: `last` and, where that alone does not
        tell it, `first`; small integers, by which the engine groups fastest."""
        if self.steps.count == 1:
            return {}
        step = self.steps.step_ns
        age = f"(toUnixTimestamp64Nano(timestamp) - {self.origin_ns})"
        most = self.steps.count + self.range_ns // step
        small = "toUInt16" if most < 1 << 16 else "toInt64"
        last = f"{small}(intDiv({age} - 1, {step}))"  # may lie behind the last step: see of_rows
        if self.regular:
            return {"last": last}
        later = f"intDiv({age} - {self.range_ns + 1}, {step}) + 1"
        return {"last": last, "first": f"{small}(if({age} <= {self.range_ns}, 0, {later}))"}

    def of_rows(self, table: pa.Table) -> tuple[Ints, Ints]:
        """The first and last window of each row of a table grouped by `columns`."""
        if self.steps.count == 1:
            zeros = np.zeros(table.num_rows, dtype=np.int64)
            return zeros, zeros
        last = np.asarray(table.column("last").to_numpy(), dtype=np.int64)
        if self.regular:
            first = np.maximum(last - self.range_ns // self.steps.step_ns + 1, 0)
        else:
            first = np.asarray(table.column("first").to_numpy(), dtype=np.int64)
        return first, np.minimum(last, self.steps.count - 1)

    def of_times(self, times: Ints) -> tuple[Ints, Ints]:
        """The first and last window of records at these times; first > last between windows."""
        age = times - self.origin_ns
        first = np.where(
            age <= self.range_ns, 0, (age - self.range_ns - 1) // self.steps.step_ns + 1
        )
        last = np.minimum((age - 1) // self.steps.step_ns, self.steps.count - 1)
        return first.astype(np.int64), last.astype(np.int64)
