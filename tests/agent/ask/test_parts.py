from hypothesis import given
from hypothesis import strategies as st

from kelp.agent.ask.parts import parts_of


@given(st.lists(st.binary(max_size=20)), st.integers(1, 10))
def test_the_same_bytes_in_parts_the_last_marked(pieces, size):
    parts = list(parts_of(pieces, size))
    assert b"".join(pieces) == b"".join(p for p, _ in parts)
    assert [False] * (len(parts) - 1) + [True] == [last for _, last in parts]
    assert all(len(p) == size for p, _ in parts[:-1])
    assert len(parts[-1][0]) <= size


def test_a_full_part_does_not_wait_for_the_end():
    def pieces():
        yield b"abc"
        raise AssertionError("expected a part before this")

    assert next(parts_of(pieces(), 2)) == (b"ab", False)
