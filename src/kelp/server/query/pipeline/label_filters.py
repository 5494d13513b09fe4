"""Label filters over a row.

One that converts drops a row without the label, and keeps one whose value it cannot convert, with
an error: only a filter on `__error__` takes that away. A string filter reads a missing label as "".
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from kelp.server.query.logql import expressions as ast
from kelp.server.query.logql.errors import PartError
from kelp.server.query.logql.literals import parse_bytes, parse_float, parse_go_duration
from kelp.server.query.logql.regexps import compile_regexp
from kelp.server.query.pipeline.addresses import AddressFilter
from kelp.server.query.pipeline.row import ERROR, Row
from kelp.server.query.sql.text import to_bytes

FILTER_ERROR = "LabelFilterErr"
Step = Callable[[Row], bool]

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq, "!=": operator.ne, ">": operator.gt, ">=": operator.ge,
    "<": operator.lt, "<=": operator.le,
}  # fmt: skip


def label_filter(node: ast.Filter) -> Step:
    """The filter as a function of a row; ValueError for a wrong ip pattern."""
    match node:
        case ast.Matcher():
            return _string(node)
        case ast.NumberFilter():
            return _converted(node.name, parse_float, node.op, node.value)
        case ast.DurationFilter():
            return _converted(node.name, parse_go_duration, node.op, node.value)
        case ast.BytesFilter():
            return _converted(node.name, parse_bytes, node.op, node.value)
        case ast.IpFilter():
            return _address(node)
        case ast.And():
            return _and(label_filter(node.left), label_filter(node.right))
        case ast.Or():
            return _or(label_filter(node.left), label_filter(node.right))


def _and(left: Step, right: Step) -> Step:
    def both(row: Row) -> bool:
        held = left(row)  # the right one runs in any case: it may note an error
        return right(row) and held

    return both


def _or(left: Step, right: Step) -> Step:
    return lambda row: left(row) or right(row)


def label_test(node: ast.Matcher) -> Callable[[str], bool]:
    """A matcher of the pipeline as a test of a value; its dot does not match a line's end."""
    wanted = node.value
    if node.op == "=":
        return lambda value: value == wanted
    if node.op == "!=":
        return lambda value: value != wanted
    search = compile_regexp(f"^(?:{wanted})$").search
    positive = node.op == "=~"
    return lambda value: (search(to_bytes(value)) is not None) == positive


def _string(node: ast.Matcher) -> Step:
    test = label_test(node)
    name = node.name
    if name == ERROR:
        return lambda row: test(row.error)
    return lambda row: test(row.get(name) or "")


def _converted(name: str, convert: Callable[[str], Any], op: str, wanted: float) -> Step:
    compare = _COMPARE[op]

    def test(row: Row) -> bool:
        text = row.get(name)
        if text is None:
            return False
        try:
            value = convert(text)
        except ValueError as e:
            if not row.error:
                row.fail(FILTER_ERROR, str(e))
            return True
        return compare(value, wanted)

    return test


def _address(node: ast.IpFilter) -> Step:
    try:
        found = AddressFilter(node.pattern)
    except ValueError as e:
        raise PartError(str(e), node.at) from None
    positive = node.op == "="

    def test(row: Row) -> bool:
        if row.error:
            return True
        text = row.get(node.name)
        return text is not None and found(to_bytes(text)) == positive

    return test
