"""Bodies as numpy sees them: one buffer of bytes, and where each body begins and ends in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kelp.base.gather import Bytes, Places, slices

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Bodies:
    """Some rows of a batch: body i is values[start[i]:stop[i]] and belongs to row rows[i].

    `values` has their bytes one behind the other and nothing else, and so has `array`, which may
    be a slice of a longer one.
    """

    array: pa.BinaryArray
    rows: Places
    values: Bytes
    start: Places
    stop: Places

    @classmethod
    def of(cls, array: pa.BinaryArray) -> Bodies:
        """All rows of an array, also of one that is a slice."""
        data = array.buffers()[2]
        values = np.frombuffer(data, np.uint8) if data is not None else np.empty(0, np.uint8)
        narrow = np.frombuffer(array.buffers()[1], np.int32)[array.offset :][: len(array) + 1]
        offsets = narrow.astype(np.int64) - narrow[0]
        values = values[narrow[0] : narrow[-1]]
        return cls(array, np.arange(len(array)), values, offsets[:-1], offsets[1:])

    def __len__(self) -> int:
        return len(self.rows)

    def some(self, which: Places) -> Bodies:
        """The bodies at these indexes, in this order; copied together, so that RE2 can run."""
        if len(which) == len(self):
            return self
        start, stop = self.start[which], self.stop[which]
        array = slices(start, stop - start, self.values)
        packed = Bodies.of(array)
        return Bodies(array, self.rows[which], packed.values, packed.start, packed.stop)

    def bytes_of(self, index: int) -> bytes:
        """One body."""
        return self.values[self.start[index] : self.stop[index]].tobytes()


def flags(array: pa.BooleanArray) -> Flags:
    """An Arrow array of booleans without nulls, as numpy's."""
    found: Flags = array.to_numpy(zero_copy_only=False)
    return found
