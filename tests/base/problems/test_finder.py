"""The batch and the single line say the same, whatever the bytes are."""

import pyarrow as pa
import pytest
import re2
from hypothesis import given, settings
from hypothesis import strategies as st

from kelp.base.problems import FINDERS, PROBLEM, Finder, all_rules
from kelp.base.problems.rule import Rule

LATIN1 = re2.Options()
LATIN1.encoding = re2.Options.Encoding.LATIN1

EXAMPLES = [rule.example.encode() for _, rule in all_rules()]
WORDS = [word.encode() for _, rule in all_rules() for word in rule.words]

pieces = st.one_of(st.sampled_from(EXAMPLES), st.sampled_from(WORDS), st.binary(max_size=40))
bodies = st.lists(st.lists(pieces, max_size=4).map(b" ".join), max_size=8)


@pytest.mark.parametrize("where", FINDERS)
@settings(max_examples=300)
@given(bodies)
def test_a_batch_gives_what_its_lines_give(where, lines):
    finder = FINDERS[where]
    expected = [(i, p) for i, line in enumerate(lines) if (p := finder.of(line))]
    assert expected == list(finder.find(pa.array(lines, pa.binary())))


@pytest.mark.parametrize("where", FINDERS)
@settings(max_examples=300)
@given(st.lists(pieces, max_size=4).map(b"".join))
def test_the_first_rule_whose_word_and_pattern_fit(where, line):
    """A word that lies over another must not hide it."""
    rules = [rule for place, rule in all_rules() if place == where]
    expected = next(
        (
            rule.reason
            for rule in rules
            if any(word.encode() in line for word in rule.words)
            and re2.compile(rule.pattern.encode(), LATIN1).search(line)
        ),
        None,
    )
    found = FINDERS[where].of(line)
    assert expected == (found and found.attributes[PROBLEM])


def test_a_slice_of_a_batch():
    lines = pa.array([EXAMPLES[0], b"nothing", EXAMPLES[0], b""], pa.binary())
    assert [1] == [row for row, _ in FINDERS["kernel"].find(lines.slice(1, 3))]


def test_empty_batches():
    for lines in ([], [b""], [b"", b""]):
        assert [] == list(FINDERS["node"].find(pa.array(lines, pa.binary())))


RULE = Rule(
    reason="R", severity=17, said_by="t", words=("needle",), pattern=r"needle (?P<a>\w*)",
    example="needle x",
)  # fmt: skip


def test_a_word_that_two_lines_make_together_is_none():
    finder = Finder([RULE])
    assert [2] == [
        row for row, _ in finder.find(pa.array([b"a need", b"le x", b"needle y"], pa.binary()))
    ]


def test_long_lines_are_looked_at_at_both_ends():
    finder = Finder([RULE])
    filler = b"." * 1_000_000
    assert finder.of(b"needle a" + filler) is not None
    assert finder.of(filler + b"needle a") is not None


def test_what_is_caught_is_cut():
    found = Finder([RULE]).of(b"needle " + b"x" * 1000)
    assert 256 == len(found.attributes["problem_a"])


def test_bytes_that_are_no_utf8_are_told_as_escapes():
    found = Finder([Rule(**{f: getattr(RULE, f) for f in RULE.__struct_fields__} | {
        "pattern": r"needle (?P<a>.*)"})]).of(b"needle \xff\xe4")  # fmt: skip
    assert "\\xff\\xe4" == found.attributes["problem_a"]
