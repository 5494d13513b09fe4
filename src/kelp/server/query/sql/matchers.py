"""Label matchers as conditions over a value; as in Prometheus, a missing label is an empty one."""

from __future__ import annotations

from kelp.server.query.logql.expressions import Matcher
from kelp.server.query.logql.regexps import compile_regexp
from kelp.server.query.sql.text import string, to_bytes


def matcher_condition(matcher: Matcher, value: str) -> str:
    """SQL that holds where the matcher does; `value` is an expression of type String."""
    match matcher.op:
        case "=" | "!=":
            return f"{value} {matcher.op} {string(matcher.value)}"
        case "=~":
            return regexp_condition(value, matcher.value, whole=True)
        case _:
            return f"NOT ({regexp_condition(value, matcher.value, whole=True)})"


def regexp_condition(value: str, pattern: str, *, whole: bool = False) -> str:
    """SQL that holds where the pattern is found, or with `whole` is all of the value.

    ClickHouse lets a dot match a line's end unless told otherwise; Go does not, save in a
    label matcher.
    """
    if whole:
        pattern = f"^(?s:{pattern})$"
    elif "." in pattern:
        pattern = f"(?-s){pattern}"
    return f"match({value}, {string(pattern)})"


def matches(matcher: Matcher, value: str) -> bool:
    """The same, in Python."""
    if matcher.op in ("=", "!="):
        return (value == matcher.value) == (matcher.op == "=")
    found = compile_regexp(matcher.value, whole=True).search(to_bytes(value)) is not None
    return found == (matcher.op == "=~")
