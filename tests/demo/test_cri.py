import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kelp.demo.cri import FRAGMENT_BYTES, cri_lines, format_time

LINE = re.compile(
    rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z) (stdout|stderr) ([PF]) ([^\n]*)\n"
)


@pytest.mark.parametrize(
    ("time_ns", "expected"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (1_700_000_000_123_456_789, "2023-11-14T22:13:20.123456789Z"),
        (1_700_000_000_100_000_000, "2023-11-14T22:13:20.1Z"),
        (1_700_000_000_000_000_001, "2023-11-14T22:13:20.000000001Z"),
    ],
)
def test_times_are_rfc_3339_with_nanoseconds(time_ns, expected):
    assert expected == format_time(time_ns)


def test_a_short_line_is_one_full_line():
    expected = b"1970-01-01T00:00:00.000000007Z stderr F hello\n"
    assert expected == cri_lines(7, "stderr", b"hello")


def test_an_empty_line_is_a_line():
    assert cri_lines(0, "stdout", b"") == b"1970-01-01T00:00:00Z stdout F \n"


@given(st.integers(0, 3 * FRAGMENT_BYTES + 5), st.integers(0, 2**61))
def test_a_long_line_is_fragments_that_join_to_it(size, time_ns):
    body = bytes(ord("a") + i % 26 for i in range(size))
    written = cri_lines(time_ns, "stdout", body)
    found = list(LINE.finditer(written))
    assert written == b"".join(m[0] for m in found)
    assert body == b"".join(m[4] for m in found)
    assert [b"P"] * (len(found) - 1) + [b"F"] == [m[3] for m in found]
    assert all(len(m[4]) == FRAGMENT_BYTES for m in found[:-1])
