"""What logs may do to a terminal: set colours, and nothing else.

Bodies come from anywhere; a control sequence in one could rewrite what stands above it or type for
the reader. A pipe gets the bytes as they are.
"""

from __future__ import annotations

import re

# ESC that does not begin a colour (SGR), and the other control characters but the tab.
_UNSAFE = re.compile(rb"\x1b(?!\[[0-9;:]*m)|[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f]|\xc2[\x80-\x9f]")


def harmless(body: bytes) -> bytes:
    """The text with control characters shown instead of done; newlines, tabs, colours stay."""
    return _UNSAFE.sub(_visible, body.removesuffix(b"\r"))


def _visible(match: re.Match[bytes]) -> bytes:
    """A control character as its picture (U+2400 …), the others as the replacement character."""
    code = match[0][0]
    if code < 0x20:
        return chr(0x2400 + code).encode()
    return "␡".encode() if code == 0x7F else "\N{REPLACEMENT CHARACTER}".encode()
