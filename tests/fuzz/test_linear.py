"""No input is slow: sixteen times the bytes take less than sixty-four times the work.

What takes time by the square of its input takes 256 times. CPU time is compared with CPU time of
the same process, the best of three runs, and only where the first run is beyond: so what else the
machine does decides nothing.
"""

from __future__ import annotations

import time

import pytest

from tests.fuzz.parsers import PARSERS, Parser

LARGER, ALLOWED = 16, 64
RUNS = 3
MAX_SEEDS = 8
LEAST_S = 0.0005  # less is the price of a call

# All languages' traces are read by one automaton.
CHECKED = [p for p in PARSERS if not p.name.startswith("trace-")] + [
    next(p for p in PARSERS if p.name == "trace-java")
]

FILLINGS = [
    b" ", b"a", b"0", b"\n", b'"', b"'", b"\\", b'\\"', b"{", b"[", b"(", b"<", b"}", b"{{", b"<_>",
    b"=", b"a=", b'a="', b"a=b ", b'{"a":', b'"a":1,', b"[[1],", b",", b":", b"/", b".", b"-", b"|",
    b"\xff", b"\xc3", b"\x80", b"\x1b[", b"\x1b[1;", b"\tat ", b"  File ", b"1.", b"::", b"10.",
]  # fmt: skip


def inputs_of(parser: Parser, filling: bytes, size: int) -> list[list[bytes]]:
    """The filling alone, in the middle of a known input, and the known input again and again."""
    seed = parser.seeds[0] if parser.seeds else b""
    middle = len(seed) // 2
    filled = filling * (size // len(filling))
    return [[filled], [seed[:middle] + filled + seed[middle:]]]


def seconds(parser: Parser, inputs: list[bytes]) -> float:
    began = time.process_time()
    parser.run(inputs)
    return time.process_time() - began


def ratio(parser: Parser, small: list[bytes], large: list[bytes]) -> float:
    least = max(seconds(parser, small), LEAST_S)
    return seconds(parser, large) / least


def check(parser: Parser, small: list[bytes], large: list[bytes]) -> None:
    found = []
    for _ in range(RUNS):
        found.append(ratio(parser, small, large))
        if found[-1] < ALLOWED:
            return
    pytest.fail(f"{parser.name}: {min(found):.0f} times the work for {large[0][:80]!r} …")


@pytest.mark.parametrize("parser", CHECKED, ids=lambda p: p.name)
def test_the_work_grows_as_the_input(parser: Parser) -> None:
    parser.run(list(parser.seeds))  # what is made at the first use
    for filling in FILLINGS:
        small = inputs_of(parser, filling, parser.large_bytes // LARGER)
        large = inputs_of(parser, filling, parser.large_bytes)
        for one, sixteen in zip(small, large, strict=True):
            check(parser, one, sixteen)
    for seed in parser.seeds[:MAX_SEEDS]:
        often = max(parser.large_bytes // LARGER // max(len(seed), 1), 1)
        check(parser, [seed * often], [seed * often * LARGER])
        check(parser, [seed] * often, [seed] * often * LARGER)
