"""The batch in the making: columns that the steps of the assembler change row by row.

Bodies are places in the raw data, or in a buffer of texts that were decoded together, until the
end; only the few that exist nowhere in one piece (joined or cut ones) are bytes of their own.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kelp.agent.assemble.cri import Heads
from kelp.agent.assemble.jsonfile import JsonFile
from kelp.agent.assemble.split import Spans
from kelp.base.gather import Bytes, Places, slices

# Lanes of one instance: a stream (0, 1, 2), with this set for Docker's own format, so that a file
# of both (a node that changed its runtime) joins each with its own.
DOCKER = 4
LANES = 8


@dataclass
class Draft:
    """Rows are the lines of a batch. `dropped` ones went into another row, or wait for their rest.

    `lane` is what fragments are joined within: the stream, plus DOCKER where the line is one of
    Docker's. A body lies in buffers[source], from `body` to `end`; what lies nowhere is in `own`.
    """

    spans: Spans
    timestamp: npt.NDArray[np.int64]
    position: npt.NDArray[np.uint64]
    lane: npt.NDArray[np.uint8]
    partial: npt.NDArray[np.bool_]
    body: Places
    end: Places
    dropped: npt.NDArray[np.bool_]
    source: npt.NDArray[np.uint8]
    buffers: list[Bytes]
    own: dict[int, bytes] = field(default_factory=dict)
    marks: dict[int, dict[str, str]] = field(default_factory=dict)

    @classmethod
    def of(cls, spans: Spans, heads: Heads, position: npt.NDArray[np.uint64]) -> Draft:
        """Every line a record of its own."""
        none = np.zeros(len(position), np.bool_)
        return cls(
            spans, heads.timestamp, position, heads.stream, heads.partial, heads.body,
            spans.stop.copy(), none, none.view(np.uint8).copy(), [spans.data],
        )  # fmt: skip

    def fill(self, rows: Places, found: JsonFile) -> None:
        """Take over what is known of Docker's lines, which are at `rows`."""
        good = np.flatnonzero(found.valid)
        mine = rows[good]
        self.timestamp[mine] = found.timestamp[good]
        self.lane[mine] = found.stream[good] + np.uint8(DOCKER)
        self.partial[mine] = found.partial[good]
        self.body[mine], self.end[mine] = found.body[good], found.end[good]
        self.source[mine], self.buffers = found.source[good], found.buffers
        for row, marks in found.marks.items():
            if found.valid[row]:
                self.mark(int(rows[row]), dict(marks))

    def bytes_of(self, row: int) -> bytes:
        """A row's body."""
        mine = self.own.get(row)
        if mine is not None:
            return mine
        data: Bytes = self.buffers[self.source[row]]
        return data[self.body[row] : self.end[row]].tobytes()

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
        place = self.body[rows]
        length = self.end[rows] - place
        source = self.source[rows].astype(np.int32)
        mine = [r for r in sorted(self.own) if not self.dropped[r]]
        if not mine:
            return slices(place, length, *self.buffers, source=source)
        sizes = np.array([len(self.own[r]) for r in mine], np.int64)
        at = np.searchsorted(rows, mine)
        place[at], length[at], source[at] = np.cumsum(sizes) - sizes, sizes, len(self.buffers)
        blob = np.frombuffer(b"".join(self.own[r] for r in mine), np.uint8)
        return slices(place, length, *self.buffers, blob, source=source)
