"""The batch in the making: columns that the steps of the assembler change row by row.

Bodies are places in the raw data until the end; only the few that exist nowhere in one piece
(joined, unwrapped or cut ones) are bytes of their own.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kelp.agent.assemble.cri import Heads
from kelp.agent.assemble.split import Spans
from kelp.base.gather import Places, slices

# Lanes of one instance: a stream (0, 1, 2), with this set for Docker's own format, so that a file
# of both (a node that changed its runtime) joins each with its own.
DOCKER = 4
LANES = 8


@dataclass
class Draft:
    """Rows are the lines of a batch. `dropped` ones went into another row, or wait for their rest.

    `lane` is what fragments are joined within: the stream, plus DOCKER where the line is one of
    Docker's. `own` has the bodies that are not data[body:stop].
    """

    spans: Spans
    timestamp: npt.NDArray[np.int64]
    position: npt.NDArray[np.uint64]
    lane: npt.NDArray[np.uint8]
    partial: npt.NDArray[np.bool_]
    body: Places
    dropped: npt.NDArray[np.bool_]
    own: dict[int, bytes] = field(default_factory=dict)
    marks: dict[int, dict[str, str]] = field(default_factory=dict)

    @classmethod
    def of(cls, spans: Spans, heads: Heads, position: npt.NDArray[np.uint64]) -> Draft:
        """Every line a record of its own."""
        dropped = np.zeros(len(position), np.bool_)
        return cls(
            spans, heads.timestamp, position, heads.stream, heads.partial, heads.body, dropped
        )

    def bytes_of(self, row: int) -> bytes:
        """A row's body."""
        mine = self.own.get(row)
        if mine is not None:
            return mine
        return self.spans.data[self.body[row] : self.spans.stop[row]].tobytes()

    @property
    def stream(self) -> npt.NDArray[np.uint8]:
        """(n,) the stream of each row."""
        return self.lane & np.uint8(DOCKER - 1)

    def mark(self, row: int, marks: dict[str, str]) -> None:
        """Set attributes of a row."""
        if marks:
            self.marks.setdefault(row, {}).update(marks)

    def kept(self) -> Places:
        """The rows that stay."""
        return np.flatnonzero(~self.dropped)

    def bodies(self, rows: Places) -> pa.BinaryArray:
        """The bodies of these rows, one copy of each."""
        place, stop = self.body[rows], self.spans.stop[rows]
        if not self.own:
            return slices(place, stop - place, self.spans.data)
        source = np.zeros(len(rows), np.int32)
        mine = [r for r in sorted(self.own) if not self.dropped[r]]
        sizes = np.array([len(self.own[r]) for r in mine], np.int64)
        at = np.searchsorted(rows, mine)
        place[at], source[at] = np.cumsum(sizes) - sizes, 1
        length = stop - place
        length[at] = sizes
        blob = np.frombuffer(b"".join(self.own[r] for r in mine), np.uint8)
        return slices(place, length, self.spans.data, blob, source=source)
