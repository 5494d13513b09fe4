from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kelp.base.gather import slices, windows, word, words

buffers = st.binary(max_size=60)


@given(buffers, st.lists(st.integers(0, 60), max_size=9), st.sampled_from([1, 8, 12, 16, 48]))
def test_windows_end_in_zeros_beyond_the_data(data: bytes, places: list[int], width: int) -> None:
    places = [min(p, len(data)) for p in places]
    found = windows(np.frombuffer(data, np.uint8), np.array(places, np.int64), width)
    assert [data[p : p + width].ljust(width, b"\0") for p in places] == [r.tobytes() for r in found]


def test_words_are_little_endian() -> None:
    data = np.frombuffer(b"abcdefghij", np.uint8)
    found = words(data, np.array([0, 2]), 1)
    assert [[word(b"abcdefgh")], [word(b"cdefghij")]] == found.tolist()
    assert int.from_bytes(b"ab", "little") == word(b"ab")


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 60), st.integers(0, 30)), max_size=9))
def test_slices_of_two_buffers(parts: list[tuple[bool, int, int]]) -> None:
    texts = [bytes(range(65, 125)), bytes(range(125, 185))]
    parts = [(b, min(p, 60), min(n, 60 - min(p, 60))) for b, p, n in parts]
    place, length = (np.array([p[i] for p in parts], np.int64) for i in (1, 2))
    source = np.array([p[0] for p in parts], np.int32)
    data = [np.frombuffer(t, np.uint8) for t in texts]
    expected = [texts[b][p : p + n] for b, p, n in parts]
    assert expected == slices(place, length, *data, source=source).to_pylist()
