from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kelp.base import swar
from kelp.base.gather import Words

LETTERS = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def rows(text: bytes, words: int = 1) -> Words:
    return np.frombuffer(text, "<u8").reshape(-1, words)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (swar.letters, LETTERS),
        (swar.digits, b"0123456789"),
        (lambda w: swar.equal(w, 0x22), b'"'),
        (lambda w: swar.equal(w, 0), b"\0"),
        (lambda w: swar.equal(w, 0xFF), b"\xff"),
        (lambda w: swar.beyond(w, 0x3A), bytes(range(0x3B, 256))),
        (lambda w: swar.others(swar.digits(w)), bytes(b for b in range(256) if not 48 <= b < 58)),
    ],
)
@given(st.binary(min_size=8, max_size=8))
def test_flags_of_a_byte_whatever_stands_beside_it(
    kind: Callable[[Words], Words], expected: bytes, text: bytes
) -> None:
    flagged = kind(rows(text)).tobytes()
    assert bytes(0x80 if b in expected else 0 for b in text) == flagged


def test_flags_of_every_byte() -> None:
    every = rows(bytes(range(256)))
    assert sorted(LETTERS) == np.flatnonzero(np.frombuffer(swar.letters(every), np.uint8)).tolist()


@given(st.binary(min_size=24, max_size=24))
def test_the_first_flag_of_a_row(text: bytes) -> None:
    found = swar.first(swar.equal(rows(text, 3), 7))
    assert [text.index(7) if 7 in text else 24] == found.tolist()


@given(st.binary(min_size=8, max_size=8))
def test_digits_become_zeros(text: bytes) -> None:
    expected = bytes(48 if 48 <= b < 58 else b for b in text)
    assert expected == swar.same_digits(rows(text)).tobytes()
