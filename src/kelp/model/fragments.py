"""Fragments: the smallest pieces that a record is made of, as they stand in a log file.

A line of a container's log is one fragment: a whole record, a part of one that the runtime split,
or a line of a stack trace. However the agent joined them (it may have waited too long for a rest),
a record is always whole fragments, one behind the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

LANES = 8


@dataclass(frozen=True)
class Fragments:
    """n fragments, by rising position.

    `lane` is what fragments are joined within; its two low bits are the stream, as in
    kelp.model.lines. `timed` is False where the line has no time that can be read. `missing` has
    rows of which the body is not whole, and by how many bytes.
    """

    position: npt.NDArray[np.uint64]  # (n,) of the line's first byte
    end: npt.NDArray[np.uint64]  # (n,) behind its newline
    timestamp: npt.NDArray[np.int64]  # (n,) ns since the epoch
    timed: npt.NDArray[np.bool_]  # (n,)
    lane: npt.NDArray[np.uint8]  # (n,) below LANES
    partial: npt.NDArray[np.bool_]  # (n,) the record goes on in the lane's next fragment
    body: pa.BinaryArray  # (n,)
    missing: Mapping[int, int]

    def __len__(self) -> int:
        return len(self.position)
