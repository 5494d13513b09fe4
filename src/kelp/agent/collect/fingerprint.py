"""File identity by content: a hash over a file's first bytes.

A node gives the inode of a deleted log to the next one at once, and a compressed copy has another
inode than the file that it was made of. So a log is known by how its uncompressed content begins;
device and inode only say where to look first.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import NamedTuple

FINGERPRINT_BYTES = 1024
"""More than the first line of nearly every log, time stamp included; one small read."""

TELLING_BYTES = 32
"""A fingerprint of fewer bytes may not even hold the first line's time: alone it proves nothing."""


class Fingerprint(NamedTuple):
    """Hash of the first `length` bytes; `length` is below FINGERPRINT_BYTES for a short file.

    `start` is the hash of the first TELLING_BYTES, empty where there are fewer.
    """

    length: int
    digest: str
    start: str

    def matches(self, head: bytes) -> bool:
        """Whether `head` (a file's first bytes) begins as the fingerprinted file did.

        A fingerprint of nothing matches nothing: an empty file could be any.
        """
        if not 0 < self.length <= len(head):
            return False
        return digest(head[: self.length]) == self.digest

    def begun_by(self, head: bytes) -> bool:
        """Whether a shorter `head` may be of a copy, made before the file grew: its start is."""
        if not TELLING_BYTES <= len(head) < self.length:
            return False
        return digest(head[:TELLING_BYTES]) == self.start


EMPTY = Fingerprint(0, "", "")


def digest(head: bytes) -> str:
    """32 hex digits for a file's first bytes."""
    return blake2b(head, digest_size=16).hexdigest()


def fingerprint(head: bytes) -> Fingerprint:
    """The fingerprint of a file that begins with `head`."""
    head = head[:FINGERPRINT_BYTES]
    start = digest(head[:TELLING_BYTES]) if len(head) >= TELLING_BYTES else ""
    return Fingerprint(len(head), digest(head), start) if head else EMPTY
