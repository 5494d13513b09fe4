"""Shell patterns: what fits and what does not; any text is a pattern."""

import fnmatch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kelp.base.glob import is_pattern, matcher


@pytest.mark.parametrize(
    ("pattern", "name", "fits"),
    [
        ("kube*", "kubelet.service", True),
        ("kube*", "akube", False),
        ("*", "a/b", False),
        ("a?c", "abc", True),
        ("a[!b]c", "abc", False),
        ("a[!b]c", "adc", True),
        ("[]a]", "]", True),
        ("[z-a]", "[z-a]", True),
        ("x[", "x[", True),
        ("a.b", "axb", False),
        ("***a", "ba", True),
    ],
)
def test_what_fits(pattern, name, fits):
    assert fits == matcher(pattern)(name)


def test_what_is_a_pattern():
    assert [is_pattern(p) for p in ("*", "?", "[", "kubelet.service")] == [True, True, True, False]


@given(st.text("ab*?.", max_size=8), st.text("ab.", max_size=8))
def test_as_the_standard_library_has_it(pattern, name):
    assert fnmatch.fnmatchcase(name, pattern) == matcher(pattern)(name)


@given(st.text(max_size=12))
def test_any_text_is_a_pattern(pattern):
    matcher(pattern)("name")
