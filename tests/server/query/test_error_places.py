"""Every error of a query names a place in it; and places are no part of what a tree says."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings

from kelp.server.ports import QueryError
from kelp.server.query.logql.errors import NOWHERE, parse_error
from kelp.server.query.logql.parser import MAX_QUERY_LENGTH, parse
from kelp.server.query.logql.printer import to_text
from kelp.server.query.service import parsed
from tests.server.query import mutations

_PLACE = re.compile(r"error at line (\d+), col (\d+): \S")


def _place(text: str) -> tuple[int, int] | None:
    """Where an error says that it is; None where the query is right."""
    try:
        parsed(text)
    except QueryError as e:
        found = _PLACE.search(str(e))
        assert found is not None, str(e)
        assert e.has_place
        return int(found[1]), int(found[2])
    return None


@given(mutations.queries())
@settings(max_examples=600, deadline=None)
def test_a_nearly_right_query_is_right_or_wrong_at_a_place_in_it(text: str) -> None:
    place = _place(text)
    if place is None:
        assert parse(text) == parse(to_text(parse(text)))
        return
    lines = text.split("\n")
    line, column = place
    assert 1 <= line <= len(lines)
    assert 1 <= column <= len(lines[line - 1]) + 1


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('sum(\n  rate({app="web"} |~ "(" [5m])\n)', (2, 23)),
        ('{a="b"}\n| json\n| label_format x="{{", y="z"', (3, 16)),
        ('{a="b"} | x = 1 or y = ip("q")', (1, 27)),
        ('{a="b"} | x="y" |= "a" or ip("q")', (1, 30)),
        ('1 + sum by (a) (rate({b=""}[1m]))', (1, 22)),
        ('vector(1) + {a="b"}', (1, 13)),
        ('avg_over_time({a="b"} | unwrap x | y = ip("q") [5m])', (1, 43)),
        ('rate(({a="b"} | logfmt z="a b")[5m])', (1, 26)),
        ('{é="ü", a="b"} |= "ö" |~ "("', (1, 26)),
        ('label_replace(vector(1), "a", "b",\n "c", "[")', (2, 7)),
        ("\n\n  1 or vector(1)", (3, 3)),
        ('{a="b"}' + " |= `x`" * 3000, (1, 8 + 500 * 7 + 1)),
        ('{a="b"} | x="' + "y" * MAX_QUERY_LENGTH + '"', (1, MAX_QUERY_LENGTH)),
    ],
    ids=lambda value: str(value)[:20],
)
def test_the_place_is_that_of_the_part_that_is_wrong(text: str, place: tuple[int, int]) -> None:
    assert place == _place(text)


def test_what_is_too_much_names_its_limit() -> None:
    with pytest.raises(QueryError, match=r"expected at most 500$"):
        parsed('{a="b"}' + " |= `x`" * 3000)


def test_places_do_not_tell_trees_apart() -> None:
    one, other = parse('{a="b"} | x > 5'), parse('\n {a="b"}\n| x  >5')
    assert one == other
    assert hash(one) == hash(other)
    assert repr(one) == repr(other)
    assert one.at != other.at


def test_a_tree_without_text_has_lokis_form_of_an_error() -> None:
    assert "parse error : it is wrong" == str(parse_error("it is wrong", NOWHERE))
