"""One file of a container instance: what of it has been given out, and the next piece of it.

A LogFile outlives its names. The file is renamed, its copy compressed, the original deleted: the
LogFile stays, with the offset up to which its content was given out. Whether a file found in a
folder is the one of this LogFile is decided in `reconcile`; what comes after it in `instancelog`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from kelp.agent.collect.fingerprint import EMPTY, FINGERPRINT_BYTES, Fingerprint, fingerprint
from kelp.agent.collect.lines import end_of_lines, last_stamp
from kelp.agent.collect.paths import LogName
from kelp.agent.collect.sources import PackedSource, PlainSource, packed_head, packed_size_hint

MIN_READ_BYTES = 1 << 16
"""The least that is read of a file with more to give: smaller shares cost more calls than bytes."""

_SCAN_BYTES = 1 << 20  # a too long line is searched for its end in blocks of this size
_SCAN_AT_ONCE = 1 << 26  # … and at most so many bytes of it in one go, for the others' sake


class Piece(NamedTuple):
    """`length` bytes lie in the room that was given; the file is then read up to `advance` more."""

    length: int
    cut: int
    advance: int


class LogFile:
    """State of one file; `offset`, `size` and `looked` count uncompressed bytes.

    offset       given out up to here
    size         verified size: bytes that were seen to belong to this content
    found_size   size at the last look, not yet verified to be of this content
    looked       examined up to here; what lies between offset and looked is no whole line yet
    known_size   size that the content once had, where what is left of it may be less
    base         position of the first byte in the instance; None until the files before are done
    gone         no name leads to it any more
    lost         nothing leads to its content any more: the rest is a loss
    suspect      the content is no longer what it was (truncated, or another file): to reconcile
    """

    __slots__ = (
        "_scanned",
        "base",
        "closed_since",
        "device",
        "done",
        "fd",
        "found_size",
        "gone",
        "grown_at",
        "head",
        "inode",
        "known_size",
        "looked",
        "lost",
        "lost_reason",
        "mark",
        "mtime_ns",
        "name",
        "offset",
        "path",
        "read_stamp",
        "settled_ns",
        "size",
        "source",
        "suspect",
        "want",
    )  # fmt: skip

    def __init__(self, path: Path, name: LogName) -> None:
        self.path, self.name = path, name
        self.device = self.inode = 0
        self.fd = -1
        self.source: PlainSource | PackedSource | None = None
        self.mark: Fingerprint = EMPTY
        self.head = b""
        self.base: int | None = None
        self.offset = self.size = self.found_size = self.looked = 0
        self.known_size = 0
        self.want = 0
        self.mtime_ns = 0
        self.settled_ns = 0  # the later of the times of its last write and of its last rename
        self.grown_at = 0.0
        self.closed_since: float | None = None
        self.gone = self.lost = self.done = self.suspect = False
        self.lost_reason = "rotated_away"
        self.read_stamp = b""
        self._scanned = 0

    def open(self, fd: int, head: bytes, now: float) -> None:
        """Take over a descriptor whose content was seen to begin with `head`."""
        self.close()
        self.fd = fd
        self.source = PackedSource(fd) if self.name.gz else PlainSource(fd)
        self.suspect = self.lost = self.gone = False
        self.grown_at = now
        self._learn(head)
        self.refresh(now)
        if self.name.gz:
            hint = packed_size_hint(fd, os.fstat(fd).st_size)
            self.found_size = max(self.size, hint, self.offset)
        else:
            self.size = max(self.found_size, self.offset)

    def close(self) -> None:
        """Give the descriptor back; the file stays known by its fingerprint."""
        if self.fd >= 0:
            os.close(self.fd)
        self.fd, self.source, self.head = -1, None, b""
        self.looked = self.offset

    def _learn(self, head: bytes) -> None:
        self.head = head
        if len(head) != self.mark.length:
            self.mark = fingerprint(head)

    def refresh(self, now: float) -> None:
        """Look how large the file is now; a file that shrank below what was read is suspect."""
        status = os.fstat(self.fd)
        self.device, self.inode = status.st_dev, status.st_ino
        self.mtime_ns = status.st_mtime_ns
        self.settled_ns = max(status.st_mtime_ns, status.st_ctime_ns)
        if self.name.gz:
            return
        if status.st_size != self.found_size:
            self.grown_at = now
        self.found_size = status.st_size
        self.suspect |= status.st_size < max(self.looked, self.offset)

    @property
    def ended(self) -> bool:
        """Whether all bytes that there are were given out."""
        return self._at_end(self.offset)

    @property
    def unopened(self) -> bool:
        """Whether it was never to be opened, so that its inode is all that is known of it."""
        return self.fd < 0 and not self.mark.length and self.lost_reason == "unreadable"

    @property
    def begun(self) -> bool:
        """Whether something of it was given out or is settled, so that nothing may come before."""
        return self.done or self.lost or self.offset > 0

    @property
    def unread(self) -> int:
        """Bytes not given out yet, as far as known."""
        return 0 if self.done else max(self.found_size, self.size) - self.offset

    @property
    def readable(self) -> int:
        """Bytes that a read could give now; 0 where nothing came since the last look."""
        if isinstance(self.source, PackedSource):
            return 0 if self.ended else max(self.found_size - self.offset, MIN_READ_BYTES)
        return self.found_size - self.offset if self.found_size > self.looked else 0

    def still_itself(self) -> bool:
        """Whether the open file begins as it did; learns more of the beginning where it grew."""
        if self.name.gz:
            return True
        head = os.pread(self.fd, FINGERPRINT_BYTES, 0)
        if not head.startswith(self.head):
            self.suspect = True
            return False
        if len(head) > len(self.head):
            self._learn(head)
        return True

    def quiet_s(self, now: float, now_ns: int) -> float:
        """Seconds since the file was written to or renamed, by our own looks or its times.

        The wall clock may have been turned; our looks begin when the file was opened.
        """
        return max(now - self.grown_at, (now_ns - self.settled_ns) / 1e9)

    def measure(self, now: float) -> bool:
        """Take the present size for the file's own; False where the file is suspect."""
        self.refresh(now)
        if not self.suspect and self.still_itself() and not self.name.gz:
            self.size = max(self.size, self.found_size)
        return not self.suspect

    def read(self, room: memoryview, max_record: int, *, last: bool) -> Piece | None:
        """The next piece, in `room`; None where there is none now. Raises OSError.

        `last`: nothing will be written any more, so a rest without newline is a piece too. Bytes
        count only when the file is seen *after* the read to begin as before: a truncation in
        between would otherwise pass other bytes for ours.
        """
        if self._scanned:
            return self._read_cut(room, max_record, last=last)
        source = self.source
        assert source is not None
        n = source.read_at(self.offset, room)
        if not self.still_itself():
            return None
        self.looked = self.offset + n
        self.size = max(self.size, self.looked, 0 if self.name.gz else self.found_size)
        end = end_of_lines(room[:n])
        if end:
            return Piece(end, 0, end)
        if n > max_record:
            self._scanned = self.offset + max_record
            return self._read_cut(room, max_record, last=last)
        if self._at_end(self.looked):
            return Piece(n, 0, n) if last and n else None
        self.suspect |= n < len(room)  # shrank since we looked
        self.want = min(max(2 * n, MIN_READ_BYTES), max_record + 1)
        return None

    def _at_end(self, offset: int) -> bool:
        if isinstance(self.source, PackedSource):
            return self.source.ended and offset >= self.source.reached
        return offset >= self.found_size

    def give_out(self, piece: Piece, room: memoryview) -> None:
        """Count a piece as given out."""
        self.offset += piece.advance
        self.looked = max(self.looked, self.offset)
        self.want = 0
        self.read_stamp = last_stamp(room[: piece.length]) or self.read_stamp
        if self.source is not None:
            self.source.release(self.offset)

    def _read_cut(self, room: memoryview, max_record: int, *, last: bool) -> Piece | None:
        """A line beyond the limit: its beginning, once its end is found; nothing before."""
        source = self.source
        assert source is not None
        found = self._find_newline(last=last)
        if found is None:
            return None
        end, newline = found
        self._scanned = 0
        n = source.read_at(self.offset, room[:max_record])
        return Piece(n, end - self.offset - n, end + newline - self.offset)

    def _find_newline(self, *, last: bool) -> tuple[int, int] | None:
        """Where the line ends and how long its end is (1, or 0 at a last one's); None: not yet."""
        source = self.source
        assert source is not None
        block = memoryview(bytearray(_SCAN_BYTES))
        for _ in range(_SCAN_AT_ONCE // _SCAN_BYTES):
            n = source.read_at(self._scanned, block)
            if not self.still_itself():
                return None
            at = bytes(block[:n]).find(b"\n")
            if at >= 0:
                return self._scanned + at, 1
            self._scanned += n
            self.looked = self._scanned
            self.size = max(self.size, self._scanned)
            if n < len(block):
                return (self._scanned, 0) if last else None
        return None


def read_head(fd: int, *, gz: bool) -> bytes:
    """A file's first uncompressed bytes, at most FINGERPRINT_BYTES. Raises OSError."""
    return packed_head(fd, FINGERPRINT_BYTES) if gz else os.pread(fd, FINGERPRINT_BYTES, 0)
