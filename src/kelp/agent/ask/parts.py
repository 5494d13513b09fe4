"""An answer cut into parts. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator


def parts_of(pieces: Iterable[bytes], size: int) -> Iterator[tuple[bytes, bool]]:
    """The same bytes in parts of `size`, each with whether it is the last; one at the least.

    A part is given out when it is full, so that what comes slowly goes on its way meanwhile.
    """
    held = bytearray()
    for piece in pieces:
        held += piece
        # More than one part must be held, for one that turns out to be the last has to say so.
        while len(held) > size:
            yield bytes(held[:size]), False
            del held[:size]
    yield bytes(held), True
