"""A saved log as blocks of whole lines: files, pipes, compressed or not, in bounded memory.

Block and line have limits, so that neither a terabyte nor a file without a single line end costs
more memory than a few MiB. What a file is, its first bytes say, not its name.

Left out: formats that this Python cannot unpack, and journal files; the error says what to do.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from collections.abc import Iterator
from typing import IO, BinaryIO, cast

from kelp.base.errors import KelpError

BLOCK_BYTES = 1 << 20
# Longer than any kernel line in any wrapping; the rest of a longer line is skipped.
MAX_LINE_BYTES = 1 << 18

_PEEK_BYTES = 8


class LogCutOffError(KelpError):
    """The log could not be read to its end; what was read before holds."""


def unpacked(raw: BinaryIO, name: str) -> BinaryIO:
    """The log's own bytes; `raw` must have `peek` (a BufferedReader has).

    Raises KelpError for what is known and cannot be read here.
    """
    first = cast("IO[bytes]", raw).peek(_PEEK_BYTES)[:_PEEK_BYTES]  # type: ignore[attr-defined]  # BufferedReader's
    if first.startswith(b"\x1f\x8b"):
        return cast(BinaryIO, gzip.GzipFile(fileobj=raw))
    if first.startswith(b"\xfd7zXZ\x00"):
        return cast(BinaryIO, lzma.LZMAFile(raw))
    if first.startswith(b"BZh"):
        return cast(BinaryIO, bz2.BZ2File(raw))
    if first.startswith(b"\x28\xb5\x2f\xfd"):
        raise KelpError(
            f"{name}: expected text, gzip, xz or bzip2; got zstd. "
            f"Run: zstd -dc {name} | kelp oom --file -"
        )
    if first.startswith(b"LPKSHHRH"):
        raise KelpError(
            f"{name}: expected a text log; got a journal file. "
            f"Run: journalctl --file {name} -k -o export | kelp oom --file -"
        )
    return raw


def blocks(log: BinaryIO, name: str, block_bytes: int = BLOCK_BYTES) -> Iterator[bytes]:
    """The log in blocks that end with a line's end (the last may not).

    Raises LogCutOffError where the log is cut off or damaged, after all that could be read.
    """
    rest = b""
    skipping = False
    for piece in _pieces(log, name, block_bytes):
        if skipping:
            _, found, piece = piece.partition(b"\n")  # noqa: PLW2901 - what is left of the piece
            skipping = not found
        whole, end, tail = piece.rpartition(b"\n")
        if end:
            yield rest + whole + end
            rest = tail
        else:
            rest += tail
        if len(rest) > MAX_LINE_BYTES:
            yield rest[:MAX_LINE_BYTES] + b"\n"
            rest, skipping = b"", True
    if rest:
        yield rest


def _pieces(log: BinaryIO, name: str, size: int) -> Iterator[bytes]:
    try:
        while piece := log.read(size):
            yield piece
    except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as e:
        raise LogCutOffError(
            f"{name}: expected a whole compressed file; got one that is cut off or damaged ({e}). "
            "The kills before that place are shown"
        ) from e
    except OSError as e:
        raise LogCutOffError(f"{name}: cannot read on: {e.strerror or e}") from e
