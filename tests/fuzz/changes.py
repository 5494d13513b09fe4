"""Inputs out of known ones: cut, joined, repeated, with bytes that parsers stumble over."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

# What begins, ends and escapes something; numbers that do not fit; bytes that are no text.
TOKENS = [
    b'"', b"'", b"`", b"\\", b"\\\\", b'\\"', b"{", b"}", b"[", b"]", b"(", b")", b"<", b">",
    b"<_>",
    b"{{", b"}}", b"{}", b"[]", b'""', b"=", b'="', b":", b",", b";", b"|", b"|=", b" ", b"  ",
    b"\n", b"\n\n", b"\r", b"\t", b"\0", b"\x1b[", b"\x7f", b"\xff", b"\xc3", b"\xe2\x80\xa8",
    b"\xf0\x9f\x98\x80", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\\u0000", b"\\ud800", b"\\u00e4",
    b"0", b"-0", b"-1", b"1e999", b"9" * 20, b"18446744073709551616", b"0.1", b"NaN", b"null",
    b"true", b"%", b"%s", b"#", b"/*", b"//", b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01",
    b"\xff\xff\xff\xff\xff\xff\xff\x7f", b"Z", b"+24:00", b"0000-00-00", b"Feb 30",
]  # fmt: skip


def changed(random: Random, seeds: Sequence[bytes], fragments: Sequence[bytes]) -> bytes:
    """One input: a known one, mostly, with some changes."""
    data = random.choice(seeds) if random.random() < 0.9 else b""
    for _ in range(random.choice((1, 1, 2, 3, 8))):
        data = _change(random, data, seeds, fragments)
    return data[:4096]


def _change(
    random: Random, data: bytes, seeds: Sequence[bytes], fragments: Sequence[bytes]
) -> bytes:
    begin, end = sorted((random.randint(0, len(data)), random.randint(0, len(data))))
    if random.random() < 0.5:
        end = min(end, begin + 2)
    match random.randrange(7):
        case 0:
            put = random.choice(TOKENS)
        case 1:
            put = random.choice(fragments) if fragments else b""
        case 2:
            put = random.choice(seeds)[begin:end]
        case 3:
            put = data[begin:end] * random.choice((2, 2, 3, 20))
        case 4:
            put = bytes([random.randrange(256)])
        case 5:
            return data[:begin] if random.random() < 0.5 else data[end:]
        case _:
            put = b""
    return data[:begin] + put + data[end:]
