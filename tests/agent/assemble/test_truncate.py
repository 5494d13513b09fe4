from __future__ import annotations

import pytest

from kelp.agent.assemble.truncate import cut
from kelp.model.batch import ATTR_TRUNCATED, TRUNCATION_MARKER


@pytest.mark.parametrize("char", ["é", "€", "𝄞", "\u0800", "\U00010000", "\u07ff", "\uffff"])
def test_a_character_that_the_cut_goes_through_goes_with_it(char: str) -> None:
    whole = b"ab" + char.encode()
    for end in range(2, len(whole) + 1):
        kept = whole if end == len(whole) else b"ab"
        expected = (kept + TRUNCATION_MARKER, {ATTR_TRUNCATED: str(5 + end - len(kept))})
        assert expected == cut(whole[:end], 5)


def test_bytes_that_begin_no_character_stay() -> None:
    for body in (b"", b"a\x80", b"a\x80\x80\x80", b"\x80", b"abc"):
        assert (body + TRUNCATION_MARKER, {ATTR_TRUNCATED: "1"}) == cut(body, 1)
