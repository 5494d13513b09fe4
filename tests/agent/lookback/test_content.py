"""Pieces of whole lines and single lines, plain and compressed, against the text as a whole."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kelp.agent.lookback import content
from kelp.agent.lookback.content import is_broken, line_at, opened, pieces

TEXTS = st.lists(st.binary(max_size=12).map(lambda b: b.replace(b"\n", b"")), max_size=8).map(
    b"\n".join
) | st.binary(max_size=60)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("content") / "0.log"


def write(path: Path, text: bytes, gz: bool) -> None:
    path.write_bytes(gzip.compress(text, 1) if gz else text)


@given(TEXTS, st.booleans(), st.integers(0, 100))
def test_pieces_are_the_lines_up_to_the_end(path: Path, text: bytes, gz: bool, end: int) -> None:
    write(path, text, gz)
    with opened(path, gz=gz) as source:
        found = list(pieces(source, 0, end, 1 << 20))
    expected = text if end >= len(text) else text[: text.rfind(b"\n", 0, end) + 1]
    assert expected == b"".join(p.data for p in found)
    assert all(p.end - p.offset == len(p.data) and not p.missing for p in found)


@given(TEXTS, st.booleans())
def test_of_a_long_line_the_head_is_kept_and_the_rest_counted(
    path: Path, text: bytes, gz: bool
) -> None:
    write(path, text, gz)
    before = content.BLOCK_BYTES, content._HEAD_BYTES
    content.BLOCK_BYTES, content._HEAD_BYTES = 5, 0
    try:
        with opened(path, gz=gz) as source:
            found = list(pieces(source, 0, 1 << 30, 4))
    finally:
        content.BLOCK_BYTES, content._HEAD_BYTES = before
    assert [0, *(p.end for p in found)][:-1] == [p.offset for p in found]
    assert sum(p.end - p.offset for p in found) == len(text)
    for piece in found:
        whole = text[piece.offset : piece.end]
        assert whole.startswith(piece.data)
        if piece.missing:
            assert whole.count(b"\n") <= 1
            assert len(whole.removesuffix(b"\n")) == len(piece.data) + piece.missing
        else:
            assert whole == piece.data


@given(TEXTS, st.booleans(), st.integers(0, 70), st.integers(1, 20))
def test_the_line_at_an_offset(path: Path, text: bytes, gz: bool, at: int, limit: int) -> None:
    write(path, text, gz)
    scan = content._SCAN_BYTES
    content._SCAN_BYTES = 7
    try:
        with opened(path, gz=gz) as source:
            found = line_at(source, at, limit)
    finally:
        content._SCAN_BYTES = scan
    if at >= len(text):
        assert found is None
        return
    assert found is not None
    start = text.rfind(b"\n", 0, at) + 1
    newline = text.find(b"\n", at)
    stop = len(text) if newline < 0 else newline
    assert (start, stop + (newline >= 0)) == (found.offset, found.end)
    assert text[start:stop][:limit] == found.data
    assert len(text[start:stop]) - len(found.data) == found.missing


def test_damaged_data_end_with_the_last_whole_line(path: Path) -> None:
    text = b"".join(b"%09d %b\n" % (n, os.urandom(20).hex().encode()) for n in range(2000))
    packed = gzip.compress(text)
    path.write_bytes(packed[: len(packed) // 2])
    with opened(path, gz=True) as source:
        found = b"".join(p.data for p in pieces(source, 0, 1 << 30, 1 << 20))
        assert is_broken(source)
    assert 0 < len(found) < len(text)
    assert text.startswith(found)
    assert found.endswith(b"\n")
