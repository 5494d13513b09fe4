"""Reading at an offset of a log's content, whether it lies plain or compressed on the disk.

Both kinds give the uncompressed bytes, so that an offset means the same before and after the
kubelet has compressed a file. A gzip stream can only be read forward: going back starts it anew.
"""

from __future__ import annotations

import os
import zlib
from typing import Protocol

_GZIP = 31  # zlib's window bits for a gzip header and trailer with their checksum
_MAGIC = b"\x1f\x8b"
_INPUT_BYTES = 1 << 16
_STEP_BYTES = 1 << 18  # decompressed at once at the most: bounds what a bomb can make


class Source(Protocol):
    """Content that is read at offsets."""

    def read_at(self, offset: int, room: memoryview) -> int:
        """Fill `room` from `offset`; fewer bytes than fit mean the end, for now. Raises OSError."""

    def release(self, offset: int) -> None:
        """Bytes before `offset` will not be asked for again."""


class PlainSource:
    """A file as it is; `fd` stays its owner's to close."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def read_at(self, offset: int, room: memoryview) -> int:
        """See Source."""
        done = os.preadv(self._fd, [room], offset)
        while 0 < done < len(room):
            more = os.preadv(self._fd, [room[done:]], offset + done)
            if more == 0:
                break
            done += more
        return done

    def release(self, offset: int) -> None:
        """See Source; nothing is held."""


class GzSource:
    """The content of a .gz of one or more members, in memory bounded by what is asked for.

    A file that is cut short or damaged gives what can be read; `broken` then says so.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._restart()

    def _restart(self) -> None:
        self._inflate = zlib.decompressobj(_GZIP)
        self._raw_offset = 0
        self._input = b""
        self._held = bytearray()
        self._start = 0  # offset of the first held byte
        self.ended = False
        self.broken = False
        self.cut_short = False  # broken, and for want of bytes: no trailer says the whole size

    @property
    def reached(self) -> int:
        """Offset up to which the content is known; the whole size once `ended`."""
        return self._start + len(self._held)

    def read_at(self, offset: int, room: memoryview) -> int:
        """See Source."""
        if offset < self._start:
            self._restart()
        while not self.ended and self.reached < offset + len(room):
            self.release(offset)
            self._step()
        begin = offset - self._start
        part = self._held[begin : begin + len(room)] if begin >= 0 else b""
        room[: len(part)] = part
        return len(part)

    def release(self, offset: int) -> None:
        """See Source."""
        gone = min(offset - self._start, len(self._held))
        if gone > 0:
            del self._held[:gone]
            self._start += gone

    def _step(self) -> None:
        """Decompress a little more, or find the end."""
        data = self._input or self._more_input()
        try:
            made = self._inflate.decompress(data, _STEP_BYTES)
        except zlib.error:
            self.ended = self.broken = True
            return
        self._held += made
        self._input = self._inflate.unconsumed_tail
        if self._inflate.eof:
            self._next_member(self._inflate.unused_data)
        elif not data and not made:
            self.ended = self.broken = self.cut_short = True

    def _next_member(self, rest: bytes) -> None:
        """Go on with a further member; anything else after a whole one is padding, as for gzip."""
        self._input = rest if len(rest) > 1 else rest + self._more_input()
        self._inflate = zlib.decompressobj(_GZIP)
        self.ended = not self._input.startswith(_MAGIC)

    def _more_input(self) -> bytes:
        data = os.pread(self._fd, _INPUT_BYTES, self._raw_offset)
        self._raw_offset += len(data)
        return data


def gz_head(fd: int, length: int) -> bytes:
    """The first bytes of a .gz file's content; fewer, or none, where it is short or unreadable."""
    inflate = zlib.decompressobj(_GZIP)
    head, at = b"", 0
    while len(head) < length and not inflate.eof:
        data = inflate.unconsumed_tail or os.pread(fd, 4096, at)
        at += 0 if inflate.unconsumed_tail else len(data)
        if not data:
            break
        try:
            head += inflate.decompress(data, length - len(head))
        except zlib.error:
            break
    return head


def gz_size_hint(fd: int, file_size: int) -> int:
    """What the trailer says of the uncompressed size; 0 where that cannot be.

    Right for one whole member below 4 GiB. Deflate never shrinks to less than 1/1032.
    """
    size = int.from_bytes(os.pread(fd, 4, max(file_size - 4, 0)), "little")
    return size if size <= 1032 * file_size else 0
