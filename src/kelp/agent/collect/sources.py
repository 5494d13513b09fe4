"""Reading at an offset of a log's content, whether it lies plain or compressed on the disk.

Both kinds give the uncompressed bytes, so that an offset means the same before and after a file was
compressed. A compressed one can only be read forward: going back starts it anew.
"""

from __future__ import annotations

import os
from typing import Protocol

from kelp.agent.collect.unpacking import GZIP, BrokenError, unpacker


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


class PackedSource:
    """The content of a compressed file, in memory bounded by what is asked for.

    A file that is cut short or damaged gives what can be read; `broken` then says so.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._restart()

    def _restart(self) -> None:
        self._unpacker = unpacker(self._fd)
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
        """Unpack a little more, or find the end."""
        try:
            made = self._unpacker.step()
        except BrokenError as e:
            self.ended = self.broken = True
            self.cut_short = e.cut_short
            return
        self.ended = made is None
        self._held += made or b""


def packed_head(fd: int, length: int) -> bytes:
    """The first bytes of a file's content; fewer, or none, where it is short or unreadable."""
    room = memoryview(bytearray(length))
    return bytes(room[: PackedSource(fd).read_at(0, room)])


def holds_nothing(fd: int) -> bool:
    """Whether a compressed file is whole and its content empty. Raises OSError."""
    source = PackedSource(fd)
    return source.read_at(0, memoryview(bytearray(1))) == 0 and not source.broken


def packed_size_hint(fd: int, file_size: int) -> int:
    """What the trailer of a .gz says of the uncompressed size; 0 where that cannot be.

    Right for one whole member below 4 GiB. Deflate never shrinks to less than 1/1032. What is
    packed otherwise says nothing where it can be found at once.
    """
    if os.pread(fd, len(GZIP), 0) != GZIP:
        return 0
    size = int.from_bytes(os.pread(fd, 4, max(file_size - 4, 0)), "little")
    return size if size <= 1032 * file_size else 0
