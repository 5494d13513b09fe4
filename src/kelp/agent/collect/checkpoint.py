"""What must be known of an instance to go on after a crash, as bytes for the pipeline to commit.

One checkpoint an instance suffices, because its files are read strictly one after the other: the
file being read with the offset, the finished ones that still lie in the folder (so that they are
not taken for new), and those that wait (so that what vanishes of them is a loss of known size).
"""

from __future__ import annotations

import msgspec

VERSION = 1


class FileMark(msgspec.Struct, frozen=True, array_like=True):
    """A file as it can be found again: by its Fingerprint; `device` and `inode` are a hint."""

    digest: str
    start: str
    length: int
    size: int
    device: int
    inode: int
    name: str


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where an instance is read to.

    `next_base` is where the next file begins whose base is not known. Without `current`, every file
    before is read to its end.
    """

    version: int = VERSION
    next_base: int = 0
    done: list[FileMark] = []
    current: FileMark | None = None
    base: int = 0
    offset: int = 0
    waiting: list[FileMark] = []
    stamp: bytes = b""  # beginning of the last line that was given out


class CheckpointError(ValueError):
    """The bytes are no checkpoint of a version that we know."""


def encode(checkpoint: Checkpoint) -> bytes:
    """As JSON, so that a person can read it in the checkpoint database."""
    return msgspec.json.encode(checkpoint)


def decode(data: bytes) -> Checkpoint:
    """Raises CheckpointError."""
    try:
        checkpoint = msgspec.json.decode(data, type=Checkpoint)
    except msgspec.DecodeError as e:
        raise CheckpointError(f"expected a checkpoint of version {VERSION}; got {e}") from e
    if checkpoint.version != VERSION:
        raise CheckpointError(f"expected checkpoint version {VERSION}; got {checkpoint.version}")
    return checkpoint
