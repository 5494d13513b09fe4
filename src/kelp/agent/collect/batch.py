"""Many files' pieces in one buffer, and each file's fair share of it.

The buffer is made anew for each batch, since the batch that was given out still owns the last one.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kelp.agent.collect.logfile import MIN_READ_BYTES, Piece
from kelp.model.raw import Instance, RawBatch


def fair_shares(wanted: Sequence[int], budget: int) -> list[int]:
    """How many bytes each may have: all that it wants, or an equal part of what the others leave.

    At least MIN_READ_BYTES for one that wants them, so that the last ones get nothing where there
    are too many; whose turn it is decides the order of `wanted`.
    """
    shares = [0] * len(wanted)
    served, least = 0, 0
    while served < len(wanted) and (least < budget or not served):
        least += min(wanted[served], MIN_READ_BYTES)
        served += 1
    left = budget
    order = sorted(range(served), key=lambda i: wanted[i])
    for rank, i in enumerate(order):
        equal = left // (len(order) - rank)
        shares[i] = min(wanted[i], max(equal, 1))
        left -= shares[i]
    return shares


class BatchBuilder:
    """Room to read into, and what was read so far."""

    def __init__(self, capacity: int) -> None:
        self._buffer = np.empty(capacity, np.uint8)
        self._view = self._buffer.data
        self._end = 0
        self._ends: list[int] = []
        self._starts: list[int] = []
        self._positions: list[int] = []
        self._cut: list[int] = []
        self._instances: list[Instance] = []

    def room(self, size: int) -> memoryview:
        """Where the next piece goes, whole or in part."""
        return self._view[self._end : self._end + size]

    def add(self, piece: Piece, position: int, instance: Instance) -> None:
        """Keep the first `piece.length` bytes of the room."""
        self._starts.append(self._end)
        self._end += piece.length
        self._ends.append(self._end)
        self._positions.append(position)
        self._cut.append(piece.cut)
        self._instances.append(instance)

    def build(self, observed_ns: int) -> RawBatch | None:
        """The batch; None where nothing was added."""
        if not self._starts:
            return None
        return RawBatch(
            data=self._buffer[: self._end],
            starts=np.array(self._starts, np.int64),
            ends=np.array(self._ends, np.int64),
            positions=np.array(self._positions, np.uint64),
            cut_bytes=np.array(self._cut, np.int64),
            instances=self._instances,
            observed_ns=observed_ns,
        )
