"""printf as Go's fmt.Sprintf, whose own tests (fmt_test.go) hold most of these pairs."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kelp.server.query.template.printf import sprintf


@pytest.mark.parametrize(
    ("template", "values", "expected"),
    [
        ("%s and %d", ["a", 5], "a and 5"),
        ("%[1]d", [1], "1"),
        ("%[2]d", [2, 1], "1"),
        ("%[2]d %[1]d", [1, 2], "2 1"),
        ("%[2]*[1]d", [2, 5], "    2"),
        ("%6.2f", [12.0], " 12.00"),
        ("%[3]*.[2]*[1]f", [12.0, 2, 6], " 12.00"),
        ("%[1]*.[2]*[3]f", [6, 2, 12.0], " 12.00"),
        ("%10f", [12.0], " 12.000000"),
        ("%[1]*[3]f", [10, 99, 12.0], " 12.000000"),
        ("%.6f", [12.0], "12.000000"),
        ("%.[1]*[3]f", [6, 99, 12.0], "12.000000"),
        ("%6.f", [12.0], "    12"),
        ("%[1]*.[3]f", [6, 3, 12.0], "    12"),
        ("%[1]*s|%-*s|", [3, "a", 3, "b"], "  a|b  |"),
        ("%d %d %#[1]o %#o %#o", [11, 12, 13], "11 12 013 014 015"),
        ("%[5]d %[2]d %d", [1, 2, 3], "%!d(BADINDEX) 2 3"),
        ("%d %[3]d %d", [1, 2], "1 %!d(BADINDEX) 2"),
        ("%.[]", [], "%!(NOVERB)"),
        ("%.-3d", [42], "%!-(int=42)3d"),
        ("%-[", [], "%!(NOVERB)"),
        ("%[3]", [1, 2], "%!(NOVERB)"),
        ("%[x]d", [2, 1], "%!d(BADINDEX)"),
        ("%[2]2d", [2, 1], "%!d(BADINDEX)"),
        ("%[3].2d", [1, 2, 3], "%!d(BADINDEX)"),
        ("%.*d", [4], "%!d(MISSING)"),
        ("%*d|%.*d", ["x", 4, "y", 5], "%!(BADWIDTH)4|%!(BADPREC)5"),
        ("%*d", [4, 42], "  42"),
        ("%-*d|", [4, 42], "42  |"),
        ("%*d", [-4, 42], "42  "),
        ("%d", [1, 2], "1%!(EXTRA int=2)"),
        ("%[1]d", [1, 2], "1"),
        ("%d", [], "%!d(MISSING)"),
        ("100%", [], "100%!(NOVERB)"),
        ("%%%[1]s", ["x"], "%x"),
        ("%d", ["x"], "%!d(string=x)"),
        ("no verbs", [], "no verbs"),
    ],
)
def test_as_go_prints(template: str, values: list[Any], expected: str) -> None:
    assert expected == sprintf(template, values)


_PIECES = st.sampled_from(
    ["%", "[", "]", "1", "2", "99999999999", "*", ".", "-", "0", "#", "d", "s", "v", "q", "x", "é"]
)
_VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=3),
    st.lists(st.integers(), max_size=2),
)  # fmt: skip


@given(st.lists(_PIECES, max_size=12).map("".join), st.lists(_VALUES, max_size=3))
def test_never_fails(template: str, values: list[Any]) -> None:
    assert isinstance(sprintf(template, values), str)
