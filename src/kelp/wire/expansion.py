"""How large a compressed Arrow record batch becomes, told before a byte of it is decompressed.

zstd packs 16 KiB of zeros into a few bytes, so 64 MiB on the wire can claim terabytes. Arrow
allocates what each buffer claims; therefore the claims are added up first. They stand in front of
each buffer (int64, little endian; -1: not compressed), and where the buffers are stands in the
message's flatbuffer, of which only that much is read here.

Formats: https://arrow.apache.org/docs/format/Columnar.html#compression,
https://flatbuffers.dev/internals/, Message.fbs and Schema.fbs of Apache Arrow.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

# Fields by their place in the tables of Message.fbs.
_MESSAGE_HEADER = 2
_BATCH_BUFFERS = 2
_BATCH_COMPRESSION = 3

_BUFFER_SIZE = 16  # struct Buffer { offset: int64; length: int64 }


def expanded_bytes(metadata: memoryview, body: memoryview) -> int:
    """Bytes of all buffers of a record batch message after decompression.

    Raises ValueError where the message does not hold together.
    """
    try:
        message = _root(metadata)
        batch = _table(metadata, message, _MESSAGE_HEADER)
        compressed = _field(metadata, batch, _BATCH_COMPRESSION) is not None
        return sum(
            _expanded(body, offset, length, compressed)
            for offset, length in _buffers(metadata, batch)
        )
    except struct.error as e:
        raise ValueError(f"expected a record batch message; got {e}") from e


def _expanded(body: memoryview, offset: int, length: int, compressed: bool) -> int:
    if offset < 0 or length < 0 or offset + length > len(body):
        raise ValueError(f"expected a buffer inside {len(body)} bytes; got {offset}+{length}")
    if not compressed or length == 0:
        return length
    (claimed,) = struct.unpack_from("<q", body[offset : offset + length])
    if claimed < -1:
        raise ValueError(f"expected the size of a buffer; got {claimed}")
    return int(length if claimed == -1 else claimed)


def _buffers(data: memoryview, batch: int) -> Iterator[tuple[int, int]]:
    at = _field(data, batch, _BATCH_BUFFERS)
    if at is None:
        return
    vector = at + _at("<I", data, at)
    count = _at("<I", data, vector)
    if count * _BUFFER_SIZE > len(data):
        raise ValueError(f"expected a list of buffers; got {count} of them")
    for i in range(count):
        place = vector + 4 + i * _BUFFER_SIZE
        yield _at("<q", data, place), _at("<q", data, place + 8)


def _root(data: memoryview) -> int:
    return _at("<I", data, 0)


def _table(data: memoryview, table: int, number: int) -> int:
    at = _field(data, table, number)
    if at is None:
        raise ValueError(f"expected the field {number} in a message; got none")
    return at + _at("<I", data, at)


def _field(data: memoryview, table: int, number: int) -> int | None:
    """Where a table's field stands; None where it is absent."""
    vtable = table - _at("<i", data, table)
    entry = 4 + 2 * number
    if entry + 2 > _at("<H", data, vtable):
        return None
    offset = _at("<H", data, vtable + entry)
    return table + offset if offset else None


def _at(form: str, data: memoryview, place: int) -> int:
    if place < 0:
        raise ValueError("expected a place inside a message; got one before it")
    return int(struct.unpack_from(form, data, place)[0])
