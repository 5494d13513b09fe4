"""What a journal frame of the inbox holds: whose segment it is, and the segment as it came."""

from __future__ import annotations

import struct

import msgspec
import pyarrow as pa

_LENGTH = struct.Struct("<I")


class FrameHead(msgspec.Struct, frozen=True, kw_only=True):
    """What must be known of a segment without decoding it."""

    tenant: str
    agent_id: str
    seq: int
    memory_bytes: int  # of its records, in Arrow memory
    fingerprint: str = ""  # of a push, in hex; see repeats
    readmitted: int = 0  # the number it had when the store refused it; 0: it is new


def encode_frame(head: FrameHead, segment: bytes | memoryview | pa.Buffer) -> bytes:
    """Head and segment as one."""
    text = msgspec.json.encode(head)
    return b"".join((_LENGTH.pack(len(text)), text, memoryview(segment)))


def decode_frame(content: bytes) -> tuple[FrameHead, memoryview]:
    """The head, and the segment's bytes in place; ValueError where it is no frame of ours."""
    view = memoryview(content)
    if len(view) < _LENGTH.size:
        raise ValueError(f"expected a frame; got {len(view)} bytes")
    start = _LENGTH.size + _LENGTH.unpack_from(view)[0]
    head = msgspec.json.decode(view[_LENGTH.size : start], type=FrameHead)
    return head, view[start:]
