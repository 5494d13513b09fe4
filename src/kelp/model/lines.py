"""Lines: records as columns, between the assembler that makes them and the batch that they become.

A row is a whole record already: its fragments are joined, its time and its place are known. What
it has not yet is its severity and its stream id; both are given by later stages, by column.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kelp.model.raw import Instance

# What stands in the column `stream`; 0 is for a line that does not say.
NO_STREAM, STDOUT, STDERR = 0, 1, 2
STREAM_NAMES = ("", "stdout", "stderr")


@dataclass(frozen=True)
class Lines:
    """n records. `marks` holds the attributes of the few rows that have some."""

    instances: Sequence[Instance]
    instance: npt.NDArray[np.int32]  # (n,) index into instances
    stream: npt.NDArray[np.uint8]  # (n,) NO_STREAM, STDOUT or STDERR
    timestamp: npt.NDArray[np.int64]  # (n,) ns since the epoch, UTC
    position: npt.NDArray[np.uint64]  # (n,) of the record's first byte in its instance
    body: pa.BinaryArray  # (n,)
    marks: Mapping[int, Mapping[str, str]]  # row → attributes
    observed_ns: int
    # (n,) severity numbers that the source itself gives, 0 for none; what the body says goes before
    # them, unless `told_first`.
    told: npt.NDArray[np.uint8] | None = None
    told_first: bool = False

    def __len__(self) -> int:
        return len(self.instance)
