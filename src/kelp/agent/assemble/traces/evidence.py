"""Where in a batch traces may be, by column.

Every trace has, among its first rows, one that only traces have: a frame, a `Caused by:`, a
`goroutine 1 [running]:`. The first two bytes of all rows are looked up in a table; the few that it
lets through are matched. Where none is left, no row of the batch is looked at any more.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import re2

from kelp.agent.assemble.traces.machine import OPTIONS, looked_at
from kelp.agent.assemble.traces.rules import LOOKED_AT_BYTES
from kelp.base.gather import Bytes, Places, slices

# What an empty row looks like in the table: as two bytes of rules.EMPTY.
_EMPTY = 0
_RETURN = ord("\r")
# Rows that are sooner matched one by one than copied together.
_FEW = 32


class Bodies:
    """The bodies of a batch as bytes in one buffer, with the places where each begins and ends."""

    def __init__(self, body: pa.BinaryArray) -> None:
        _, offsets, data = body.buffers()
        self.offsets = np.frombuffer(offsets, np.int32)[body.offset :][: len(body) + 1]
        self.data: Bytes = np.frombuffer(data, np.uint8) if data else np.empty(0, np.uint8)

    @cached_property
    def first_two(self) -> npt.NDArray[np.uint16]:
        """(n,) the first two bytes of each row, little-endian; what is not there is a zero."""
        begin, data = self.offsets[:-1], self.data
        if len(data) < 2:
            data = np.concatenate((data, np.zeros(2, np.uint8)))
        pairs: npt.NDArray[np.uint16] = np.ndarray((len(data) - 1,), "<u2", data, 0, (1,))
        found = pairs[np.minimum(begin, len(pairs) - 1)]
        length = self.offsets[1:] - begin
        short = np.flatnonzero(length < 2)
        if len(short):
            at = np.minimum(begin[short], len(data) - 1)
            found[short] = np.where(length[short] == 1, data[at], _EMPTY)
        return found

    def bytes_of(self, row: int) -> bytes:
        """A row's body."""
        return self.data[self.offsets[row] : self.offsets[row + 1]].tobytes()

    def match(self, rows: Places, pattern: bytes) -> npt.NDArray[np.bool_]:
        """(n,) in which of these rows' heads a pattern is found, or may be."""
        begin = self.offsets[rows].astype(np.int64)
        end = np.minimum(self.offsets[rows + 1], begin + LOOKED_AT_BYTES)
        returns = np.zeros(len(rows), np.bool_)
        filled = np.flatnonzero(end > begin)  # of empty rows there may be no byte at all
        returns[filled] = self.data[end[filled] - 1] == _RETURN
        heads = slices(begin, end - begin, self.data)
        found = pc.match_substring_regex(heads, pattern.decode("latin-1"))
        # What the rules see ends before a carriage return; here it does not.
        matched: npt.NDArray[np.bool_] = found.to_numpy(zero_copy_only=False) | returns
        return matched

    def head_of(self, row: int) -> bytes:
        """What the rules see of a row."""
        begin = self.offsets[row]
        return looked_at(
            self.data[begin : min(begin + LOOKED_AT_BYTES, self.offsets[row + 1])].tobytes()
        )


class Evidence:
    """A table of first bytes, and the pattern of what it lets through."""

    def __init__(self, patterns: Mapping[bytes, bytes]) -> None:
        table = np.zeros((256, 256), np.bool_)  # by the second byte, then the first
        for prefix in patterns:
            if len(prefix) == 1:
                table[:, prefix[0]] = True
            else:
                table[prefix[1], prefix[0]] = True
        self._table = table.reshape(-1)
        self._pattern = b"|".join(dict.fromkeys(patterns.values()))
        self._search = re2.compile(self._pattern, OPTIONS).search

    def rows(self, bodies: Bodies) -> Places:
        """The rows that prove a trace near them, in their order."""
        rows = np.flatnonzero(self._table[bodies.first_two])
        if len(rows) > _FEW:
            rows = rows[bodies.match(rows, self._pattern)]
        found = [r for r in rows.tolist() if self._search(bodies.head_of(r)) is not None]
        return np.array(found, np.int64)
