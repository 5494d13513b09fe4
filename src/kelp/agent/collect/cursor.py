"""How far the journal was read, as the bytes that the pipeline commits."""

from __future__ import annotations

import msgspec

VERSION = 1


class Place(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Behind which entry to go on.

    `next` is the position of the next entry: the first one of all has its time in microseconds, and
    from there they are counted. So positions rise also over a start without checkpoints, as long as
    there are fewer than a million entries a second.
    """

    version: int = VERSION
    cursor: str = ""  # of the last entry that was given out; empty: there is none, or it is no use
    realtime_us: int = 0  # its time
    next: int = 0
    filter: str = ""  # what was asked for: another filter may not show the same entry again


def encode(place: Place) -> bytes:
    """As JSON, so that a person can read it in the checkpoint database."""
    return msgspec.json.encode(place)


def decode(data: bytes) -> Place | None:
    """None where the bytes are no place of this version."""
    try:
        place = msgspec.json.decode(data, type=Place)
    except msgspec.DecodeError:
        return None
    return place if place.version == VERSION else None
