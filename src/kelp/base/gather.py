"""Windows into a byte buffer: a few bytes from each of many places, in one numpy call.

The agent reads what it must know of a line (its time stamp, the word that may be its severity)
from a fixed number of bytes at a known place. A gather of such windows costs some 5 ns a row and
gives contiguous, aligned rows, so that what follows compares eight bytes at a time as integers.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Bytes = npt.NDArray[np.uint8]
Places = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]
Numbers: TypeAlias = npt.NDArray[np.int32] | int


def windows(data: Bytes, at: Places, width: int) -> Bytes:
    """(n, width) bytes from each place on; zeros beyond the end of `data`. `at` within [0, len]."""
    last = len(data) - width
    inside = at <= last
    if len(at) and bool(inside.all()):
        return _every_window(data, width)[at].view(np.uint8).reshape(-1, width)
    out = np.empty((len(at),), f"V{width}")
    if last >= 0:
        out[inside] = _every_window(data, width)[at[inside]]
    begin = max(0, last)
    tail = np.zeros(len(data) - begin + width, np.uint8)
    tail[: len(data) - begin] = data[begin:]
    out[~inside] = _every_window(tail, width)[at[~inside] - begin]
    return out.view(np.uint8).reshape(-1, width)


def words(data: Bytes, at: Places, count: int) -> Words:
    """(n, count) little-endian 64-bit words from each place on; zeros beyond the end."""
    return windows(data, at, 8 * count).view("<u8")


def word(text: bytes) -> np.uint64:
    """Up to eight bytes as the word that `words` gives for them, zeros behind."""
    return np.uint64(int.from_bytes(text[:8], "little"))


def _every_window(data: Bytes, width: int) -> npt.NDArray[np.void]:
    # Overlapping views, one a byte; void has no alignment, so numpy copies them as they lie.
    return np.ndarray((len(data) - width + 1,), f"V{width}", np.ascontiguousarray(data), 0, (1,))


# Arrow's binary view holds so short a value in itself, behind its length.
_INLINE = 12


def slices(place: Places, length: Places, *buffers: Bytes, source: Numbers = 0) -> pa.BinaryArray:
    """(n,) values, buffers[source][place : place + length] each; one copy of every byte.

    They are described as views (16 bytes each), and Arrow copies them together.
    Format: https://arrow.apache.org/docs/format/Columnar.html#variable-size-binary-view-layout;
    the prefix is left empty, for the copy does not look at it.
    """
    view = np.zeros((len(place), 4), np.int32)
    view[:, 0], view[:, 2], view[:, 3] = length, source, place
    for number, data in enumerate(buffers):
        short = np.flatnonzero((length <= _INLINE) & (view[:, 2] == number))
        if len(short):
            view[short, 1:] = windows(data, place[short], _INLINE).view(np.int32)
    views = pa.Array.from_buffers(
        pa.binary_view(), len(place), [None, pa.py_buffer(view), *map(pa.py_buffer, buffers)]
    )
    return pc.cast(views, pa.binary())
