"""Cutting a body at the record limit, so that it shows, and so that UTF-8 stays UTF-8."""

from __future__ import annotations

from kelp.model.batch import ATTR_TRUNCATED, TRUNCATION_MARKER

Marks = dict[str, str]


def cut(body: bytes, missing: int) -> tuple[bytes, Marks]:
    """The body with the marker behind it, and the mark that says how much is missing.

    `missing` bytes were cut already; a character that the cut went through goes with them.
    """
    kept = body[: len(body) - _broken_tail(body)]
    return kept + TRUNCATION_MARKER, {ATTR_TRUNCATED: str(missing + len(body) - len(kept))}


def _broken_tail(body: bytes) -> int:
    """How many bytes at the end begin a UTF-8 sequence without finishing it (0 … 3)."""
    for back in range(1, min(3, len(body)) + 1):
        byte = body[-back]
        if byte & 0xC0 == 0x80:
            continue
        needed = 4 if byte >= 0xF0 else 3 if byte >= 0xE0 else 2 if byte >= 0xC0 else 1
        return back if needed > back else 0
    return 0
