from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kelp.agent.collect.lines import end_of_lines, last_stamp, stamp_ns

blocks = st.lists(
    st.tuples(st.integers(0, 70_000), st.sampled_from([b"a", b"\n", b"ab\n", b"\r\n", b"\0"])),
    max_size=4,
).map(lambda parts: b"".join(unit * (size // len(unit)) for size, unit in parts))


@given(blocks)
@example(b"\n" + b"a" * 4095)
@example(b"\n" + b"a" * 4096)
@example(b"\n" + b"a" * 65536)
@example(b"\n" + b"a" * 200_000)
def test_whole_lines_end_behind_the_last_newline(block: bytes) -> None:
    assert block.rfind(b"\n") + 1 == end_of_lines(memoryview(block))


@given(st.lists(st.binary(max_size=100).map(lambda b: b.replace(b"\n", b"")), min_size=1))
def test_the_last_line_is_where_the_stamp_is(lines: list[bytes]) -> None:
    block = b"".join(line + b"\n" for line in lines)
    stamp = last_stamp(memoryview(block))
    assert (lines[-1] + b"\n")[:40] == stamp


def test_no_stamp_of_a_line_that_begins_far_back() -> None:
    assert last_stamp(memoryview(b"a" * 5000 + b"\n")) == b""


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"1970-01-01T00:00:01.000000002Z stdout F x", 1_000_000_002),
        (b"1970-01-01T01:00:01.5+01:00 stdout F x", 1_500_000_000),
        (b"1970-01-01T00:00:00Z stderr P", 0),
        (b"1969-12-31T23:59:59.5Z stdout F x", -500_000_000),
        (b"2026-02-30T00:00:00Z stdout F no such day", 0),
        (b"2026-11-20T10:11:12.123456789123Z stdout", 1795169472123456789),
        (b"no time at all", 0),
        (b"", 0),
    ],
)
def test_times(line: bytes, expected: int) -> None:
    assert expected == stamp_ns(line)


@given(st.binary(max_size=60))
def test_any_bytes_give_a_time_or_none(line: bytes) -> None:
    assert isinstance(stamp_ns(line), int)
