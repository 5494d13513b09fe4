from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kelp.agent.assemble.split import split
from tests.agent.assemble.batches import Piece, raw_batch

lines = st.lists(st.sampled_from([b"", b"a", b"b" * 63, b"c" * 64, b"d" * 200]), max_size=80)


@given(st.lists(st.tuples(lines, st.booleans()), max_size=5))
def test_lines_of_pieces(pieces: list[tuple[list[bytes], bool]]) -> None:
    texts = [b"\n".join(some) + b"\n" * (some != [] and ended) for some, ended in pieces]
    spans = split(raw_batch([Piece("i", 0, text) for text in texts]))
    expected = [
        (number, line)
        for number, text in enumerate(texts)
        for line in (text.removesuffix(b"\n").split(b"\n") if text else [])
    ]
    found = [
        (int(piece), spans.data[a:b].tobytes())
        for piece, a, b in zip(spans.piece, spans.start, spans.stop, strict=True)
    ]
    assert expected == found


def test_nothing_but_newlines() -> None:
    spans = split(raw_batch([Piece("i", 0, b"\n" * 1000)]))
    assert np.arange(1000).tolist() == spans.start.tolist() == spans.stop.tolist()
