"""What the agent knows of files, and of bytes that it could not collect."""

from __future__ import annotations

import msgspec


class SourceFile(msgspec.Struct, frozen=True, kw_only=True):
    """One file that bytes were read from; where a record's position leads back to.

    A record at `position` p of the instance lies at byte p - base of the file for which
    base <= p < base + size (size of the uncompressed bytes).
    """

    path: str
    device: int
    inode: int
    fingerprint: str  # hex of the hash of the first `fingerprint_bytes` bytes
    fingerprint_bytes: int
    base: int  # position of the file's first byte in its container instance's log
    size: int  # uncompressed bytes known so far
    labels: dict[str, str]  # of the instance: a stream's labels without `stream`


class Loss(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes of one container instance that were gone before they were read."""

    labels: dict[str, str]  # of the instance: a stream's labels without `stream`
    position: int  # where they would have stood
    size_bytes: int  # uncompressed where known; 0 where only the fact is known
    start_ns: int  # between these two times (timestamps of the records around, or file times)
    end_ns: int
    reason: str  # one of LOSS_REASONS


LOSS_REASONS = ("rotated_away", "deleted", "truncated", "unreadable")
