"""Compressed files, unpacked forward and a little at a time: gzip, bzip2, xz, zstd.

Which of them a file is, its first bytes say; its name may lie. Files of several members (streams,
frames) are read to their end; what stands behind the last one is padding, as for the programs that
write such files. Memory is bounded: by the steps, and by a limit to what xz may ask for.
"""

from __future__ import annotations

import bz2
import lzma
import os
import zlib
from collections.abc import Callable
from typing import Protocol

import pyarrow as pa

STEP_BYTES = 1 << 18  # unpacked at once at the most: bounds what a bomb can make
_INPUT_BYTES = 1 << 16
_GZIP = 31  # zlib's window bits for a gzip header and trailer with their checksum
_XZ_BYTES = 128 << 20  # memory for xz: `xz -9` needs 65 MiB

GZIP, BZIP2, XZ, ZSTD = b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd"

SUFFIXES = (".gz", ".bz2", ".xz", ".zst")
"""Ends of the names of files that can be unpacked."""


class BrokenError(Exception):
    """The data cannot be unpacked any further; `cut_short`: for want of bytes."""

    def __init__(self, *, cut_short: bool) -> None:
        super().__init__()
        self.cut_short = cut_short


class Unpacker(Protocol):
    """Gives a file's content from its beginning on."""

    def step(self) -> bytes | None:
        """Some more, or nothing yet; None at the end. Raises BrokenError, OSError."""


class _Decompressor(Protocol):
    """As bz2 and lzma have them."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


def unpacker(fd: int) -> Unpacker:
    """For a file that begins as one of the four; else one that finds it broken."""
    head = os.pread(fd, 6, 0)
    if head.startswith(ZSTD):
        return _Frames(fd)
    for magic, new in _KINDS:
        if head.startswith(magic):
            return _Members(fd, new, magic)
    return _Members(fd, _Inflate, GZIP)


class _Inflate:
    """zlib's gzip in the shape of the others."""

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(_GZIP)

    @property
    def eof(self) -> bool:
        return self._inflate.eof

    @property
    def needs_input(self) -> bool:
        return not self._inflate.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._inflate.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._inflate.decompress(self._inflate.unconsumed_tail + data, max_length)


_KINDS: tuple[tuple[bytes, Callable[[], _Decompressor]], ...] = (
    (GZIP, _Inflate),
    (BZIP2, bz2.BZ2Decompressor),
    (XZ, lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_BYTES)),
)


class _Members:
    """One member after the other, each by a decompressor of its own."""

    def __init__(self, fd: int, new: Callable[[], _Decompressor], magic: bytes) -> None:
        self._fd = fd
        self._new, self._magic = new, magic
        self._member: _Decompressor | None = new()
        self._input = b""
        self._offset = 0

    def step(self) -> bytes | None:
        """See Unpacker."""
        member = self._member
        if member is None:
            return None
        data = b""
        if member.needs_input:
            data, self._input = self._input or self._more_input(), b""
        try:
            made = member.decompress(data, STEP_BYTES)
        except (zlib.error, OSError, lzma.LZMAError, EOFError) as e:
            raise BrokenError(cut_short=False) from e
        if member.eof:
            self._next_member(member.unused_data)
        elif not data and not made and member.needs_input:
            raise BrokenError(cut_short=True)
        return made

    def _next_member(self, rest: bytes) -> None:
        """Go on with a further member; anything else after a whole one is padding."""
        while len(rest) < len(self._magic) and (more := self._more_input()):
            rest += more
        self._input = rest
        self._member = self._new() if rest.startswith(self._magic) else None

    def _more_input(self) -> bytes:
        data = os.pread(self._fd, _INPUT_BYTES, self._offset)
        self._offset += len(data)
        return data


class _Frames:
    """zstd, by Arrow, which reads frame after frame."""

    def __init__(self, fd: int) -> None:
        self._stream = pa.CompressedInputStream(pa.PythonFile(_Reader(fd), mode="r"), "zstd")

    def step(self) -> bytes | None:
        """See Unpacker."""
        try:
            return bytes(self._stream.read(STEP_BYTES)) or None
        except (OSError, pa.ArrowException) as e:
            raise BrokenError(cut_short="runcated" in str(e)) from e


class _Reader:
    """A descriptor as a file of Python's, which it leaves open."""

    closed = False

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._offset = 0

    def read(self, size: int = -1) -> bytes:
        data = os.pread(self._fd, size if size >= 0 else _INPUT_BYTES, self._offset)
        self._offset += len(data)
        return data

    def close(self) -> None:
        """The descriptor is its owner's."""
