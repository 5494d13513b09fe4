"""A log file's content in pieces of whole lines, plain or compressed, in bounded memory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from kelp.agent.collect.lines import end_of_lines
from kelp.agent.collect.sources import PackedSource, PlainSource, Source

BLOCK_BYTES = 4 << 20
_SCAN_BYTES = 1 << 20
_HEAD_BYTES = 128  # what stands before a body; the limit of a record counts bodies


class Piece(NamedTuple):
    """Whole lines from `offset` (uncompressed) up to `end`, with or without their last newline.

    `missing` > 0: it is one line, of which so many bytes are not in `data`.
    """

    offset: int
    end: int
    data: bytes
    missing: int = 0


@contextmanager
def opened(path: Path, *, gz: bool) -> Iterator[Source]:
    """The content of a file; raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        yield PackedSource(fd) if gz else PlainSource(fd)
    finally:
        os.close(fd)


def pieces(source: Source, start: int, end: int, max_record_bytes: int) -> Iterator[Piece]:
    """The lines that begin at or behind `start` and before `end`; `start` is a line's first byte.

    A line without newline at the end of the content is given too; one that is cut by `end` (the
    agent has not read further), or by damage, is not. Raises OSError.
    """
    limit = max_record_bytes + _HEAD_BYTES
    room = memoryview(bytearray(max(BLOCK_BYTES, limit)))
    size, at = BLOCK_BYTES, start
    while at < end:
        block = room[: min(size, end - at)]
        n = source.read_at(at, block)
        stop = end_of_lines(block[:n])
        if stop:
            yield Piece(at, at + stop, bytes(block[:stop]))
            at, size = at + stop, BLOCK_BYTES
            source.release(at)
        elif n < len(block):
            if n and not is_broken(source):
                yield Piece(at, at + n, bytes(block[:n]))
            return
        elif n < end - at and n < len(room):
            size = len(room)
        elif n == end - at:
            if ends_at(source, end):
                yield Piece(at, end, bytes(block))
            return
        else:
            kept = bytes(block[:limit])
            found = _find_newline(source, at + limit)
            if found[1] > end:
                return
            yield Piece(at, found[1], kept, found[0] - at - len(kept))
            at, size = found[1], BLOCK_BYTES


def is_broken(source: Source) -> bool:
    """Whether the content goes on, but cannot be read: compressed data that are damaged or cut."""
    return isinstance(source, PackedSource) and source.broken


def ends_at(source: Source, offset: int) -> bool:
    """Whether the content has no byte at `offset` or behind; raises OSError."""
    return source.read_at(offset, memoryview(bytearray(1))) == 0


def _find_newline(source: Source, start: int) -> tuple[int, int]:
    """(where the line's text ends, where the next line begins)."""
    block = memoryview(bytearray(_SCAN_BYTES))
    at = start
    while n := source.read_at(at, block):
        found = bytes(block[:n]).find(b"\n")
        if found >= 0:
            return at + found, at + found + 1
        at += n
        source.release(at)
    return at, at


def line_at(source: Source, offset: int, limit: int) -> Piece | None:
    """The line that the byte at `offset` is in, its first `limit` bytes.

    None where the content ends before. Raises OSError.
    """
    start, at, before = 0, 0, memoryview(bytearray(_SCAN_BYTES))
    if isinstance(source, PackedSource):  # can be read forward only
        while at < offset:
            block = before[: min(len(before), offset - at)]
            n = source.read_at(at, block)
            newline = bytes(block[:n]).rfind(b"\n")
            start = at + newline + 1 if newline >= 0 else start
            if n < len(block):
                return None
            at += n
            source.release(start)
    else:
        start = _line_start(source, offset, before)
    text_end, next_line = _find_newline(source, offset)
    if text_end == next_line and ends_at(source, offset):
        return None
    kept = memoryview(bytearray(min(text_end - start, limit)))
    n = source.read_at(start, kept)
    return Piece(start, next_line, bytes(kept[:n]), text_end - start - n)


def _line_start(source: Source, offset: int, block: memoryview) -> int:
    at = offset
    while at > 0:
        size = min(len(block), at)
        n = source.read_at(at - size, block[:size])
        newline = bytes(block[:n]).rfind(b"\n")
        if newline >= 0:
            return at - size + newline + 1
        at -= size
    return 0
