"""Which bodies are not UTF-8: one check for the batch, a search only where it fails."""

from __future__ import annotations

import numpy as np
import pyarrow as pa


def invalid_rows(body: pa.BinaryArray) -> list[int]:
    """The rows whose body is not UTF-8."""
    try:
        body.cast(pa.string())
    except pa.ArrowInvalid:
        return [row for row in _beyond_ascii(body) if not _is_utf8(body[row].as_buffer())]
    return []


def _beyond_ascii(body: pa.BinaryArray) -> list[int]:
    """The rows with a byte above 0x7f: no other can be wrong."""
    offsets = np.frombuffer(body.buffers()[1], np.int32)[body.offset :][: len(body) + 1]
    values = np.frombuffer(body.buffers()[2], np.uint8)[offsets[0] : offsets[-1]]
    high = np.flatnonzero(values & 0x80) + offsets[0]
    rows: list[int] = np.unique(np.searchsorted(offsets, high, side="right") - 1).tolist()
    return rows


def _is_utf8(text: pa.Buffer) -> bool:
    try:
        str(memoryview(text), "utf-8")
    except UnicodeDecodeError:
        return False
    return True
