"""Reading queries: golden pairs, errors, limits, and the way back through the printer."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kelp.server.ports import QueryError
from kelp.server.query.logql.parser import (
    MAX_QUERY_LENGTH,
    parse,
    parse_log_query,
    parse_matchers,
)
from kelp.server.query.logql.printer import format_query, to_text
from kelp.server.query.service import parsed
from tests.server.query import trees
from tests.server.query.golden import Case, cases


@pytest.mark.parametrize("case", cases("printed.txt"), ids=str)
def test_prints_in_one_style(case: Case) -> None:
    assert case.output == format_query(parse(case.text))


@pytest.mark.parametrize("case", cases("printed.txt"), ids=str)
def test_golden_queries_read_back(case: Case) -> None:
    tree = parse(case.text)
    assert tree == parse(to_text(tree))
    assert tree == parse(format_query(tree))


@pytest.mark.parametrize("case", cases("errors.txt"), ids=str)
def test_tells_what_is_wrong(case: Case) -> None:
    with pytest.raises(QueryError) as caught:
        parsed(case.text)
    assert case.output == str(caught.value)


@given(trees.expressions())
@settings(max_examples=300, deadline=None)
def test_what_is_printed_reads_back_to_the_same_tree(tree: trees.Expression) -> None:
    assert tree == parse(to_text(tree))
    assert tree == parse(format_query(tree))


@given(st.text(max_size=60))
@settings(max_examples=300, deadline=None)
def test_any_text_is_a_query_or_a_query_error(text: str) -> None:
    _read(text)


_PIECES = st.sampled_from(
    ['{', '}', 'a', '=', '"x"', '`', '[5m]', '[', '|', '|=', '!~', 'json', 'rate(', 'sum', 'by (',
     ')', '(', '5', '1h', '3MB', 'or', 'and', 'on', 'unwrap', 'offset', '-', '--strict', 'topk(2,',
     'ip(', ',', '\n', '#', '{{', '.', '==', 'bool', '\x00', '\udcff', '0x', '1e', "'a'"]
)  # fmt: skip


@given(st.lists(_PIECES, max_size=25))
@settings(max_examples=500, deadline=None)
def test_any_heap_of_tokens_is_a_query_or_a_query_error(pieces: list[str]) -> None:
    _read(" ".join(pieces))
    _read("".join(pieces))


def _read(text: str) -> None:
    try:
        tree = parsed(text)
    except QueryError:
        return
    assert tree == parse(to_text(tree))


@pytest.mark.parametrize(
    "text",
    [
        "(" * 5000,
        "-" * 5000 + "1",
        "sum(" * 3000 + "1" + ")" * 3000,
        "1" + " + 1" * 20_000,
        "1" + " ^ 1" * 20_000,
        'rate({a="b"} | ' + "(" * 3000 + 'x="y"',
        '{a="b"} | x="y"' + ' or x="y"' * 5000,
        '{a="b"}' + " | json" * 5000,
        "rate(" + "(" * 3000 + '{a="b"}[5m]',
        '{a="b"} | line_format "' + "{{if .a}}" * 3000 + '"',
        '{a="b"} | line_format "{{' + "(" * 3000 + '"',
        "x" * MAX_QUERY_LENGTH,
    ],
    ids=lambda text: text[:12],
)
def test_what_is_too_deep_or_long_is_refused(text: str) -> None:
    with pytest.raises(QueryError):
        parsed(text)


def test_keywords_in_any_case() -> None:
    assert parse('sum by (a) (rate({a="b"}[5m]))') == parse('SUM BY (a) (RATE({a="b"}[5m]))')
    assert parse('{a="b"} | json') == parse('{a="b"} | JSON')


def test_a_log_query_alone() -> None:
    assert (
        "error at line 1, col 1: only log selector is supported; expected a log query like "
        '{app="web"}'
    ) == str(_error(lambda: parse_log_query("vector(1)")))


def test_matchers_alone() -> None:
    assert len(parse_matchers('{a="b", c!="d"}')) == 2
    assert parse_matchers("{}", strict=False) == ()
    assert (
        "error at line 1, col 9: only label matchers are supported; expected nothing behind the "
        "selector"
    ) == str(_error(lambda: parse_matchers('{a="b"} | json')))


def _error(read: object) -> QueryError:
    with pytest.raises(QueryError) as caught:
        read()  # type: ignore[operator]
    return caught.value
