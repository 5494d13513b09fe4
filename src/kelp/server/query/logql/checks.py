"""What a query must mean to be one: the rules that the grammar alone does not hold."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable

from kelp.server.query.logql import expressions as ast
from kelp.server.query.logql.errors import parse_error
from kelp.server.query.logql.literals import parse_float
from kelp.server.query.logql.patterns import parse_parser_pattern
from kelp.server.query.logql.regexps import compile_regexp

_GROUPED_RANGE_OPS = frozenset({
    "avg_over_time", "stddev_over_time", "stdvar_over_time", "quantile_over_time",
    "max_over_time", "min_over_time", "first_over_time", "last_over_time",
})  # fmt: skip
_PLAIN_RANGE_OPS = frozenset(
    {"bytes_over_time", "bytes_rate", "count_over_time", "rate", "absent_over_time"}
)
_NEVER_UNWRAPPED = frozenset({"bytes_over_time", "bytes_rate", "count_over_time"})
_RANKED = frozenset({"topk", "bottomk", "approx_topk"})

# An escaped character, or a group's name; RE2 takes a name that stands twice.
_GROUP_NAME = re.compile(r"\\.|\(\?P?<(\w+)>")

NO_SELECTION = (
    "queries require at least one regexp or equality matcher that does not have an "
    'empty-compatible value. For instance, app=~".*" does not meet this requirement, '
    'but app=~".+" will'
)


def regexp_problem(pattern: str) -> str:
    """Why a text is no regexp, or "" where it is one."""
    try:
        compile_regexp(pattern)
    except ValueError as e:
        return str(e)
    return ""


def checked_regexp(pattern: str) -> ast.Regexp:
    """A `regexp` stage; its groups must be named, each once."""
    if message := regexp_problem(pattern):
        raise parse_error(f"invalid regexp parser: {message}")
    names = [name for name in _GROUP_NAME.findall(pattern) if name]
    if not names:
        raise parse_error("invalid regexp parser: at least one named capture must be supplied")
    for name in names:
        if names.count(name) > 1:
            raise parse_error(f"invalid regexp parser: duplicate extracted label name '{name}'")
    return ast.Regexp(pattern)


def checked_pattern(pattern: str) -> ast.Pattern:
    """A `pattern` stage."""
    try:
        parse_parser_pattern(pattern)
    except ValueError as e:
        raise parse_error(f"invalid pattern parser: {e}") from None
    return ast.Pattern(pattern)


def range_parameter(op: str, text: str | None) -> float | None:
    """The quantile of quantile_over_time; no other range aggregation takes a number."""
    if text is None:
        if op == "quantile_over_time":
            raise parse_error(f"parameter required for operation {op}")
        return None
    if op != "quantile_over_time":
        raise parse_error(f"parameter {text} not supported for operation {op}")
    try:
        return parse_float(text)
    except ValueError as e:
        raise parse_error(f"invalid parameter for operation {op}: {e}") from None


def check_range_aggregation(op: str, log_range: ast.LogRange, by: ast.Grouping | None) -> None:
    """Which range aggregations take a grouping, need an unwrap, or must not have one."""
    if by is not None and op not in _GROUPED_RANGE_OPS:
        raise parse_error(f"grouping not allowed for {op} aggregation")
    if log_range.unwrap is not None and op in _NEVER_UNWRAPPED:
        raise parse_error(f"invalid aggregation {op} with unwrap")
    if log_range.unwrap is None and op not in _PLAIN_RANGE_OPS:
        raise parse_error(f"invalid aggregation {op} without unwrap")


def vector_parameter(op: str, text: str | None, by: ast.Grouping | None) -> int | None:
    """The k of topk, bottomk and approx_topk; no other vector aggregation takes a number."""
    if op not in _RANKED:
        if text is not None:
            raise parse_error(f"unsupported parameter for operation {op}({text},")
        return None
    if text is None:
        raise parse_error(f"parameter required for operation {op}")
    if not text.isdecimal():
        raise parse_error(f"invalid parameter {op}({text},")
    if int(text) <= 0:
        raise parse_error(f"invalid parameter (must be greater than 0) {op}({text}")
    if op == "approx_topk" and by is not None:
        raise parse_error(f"grouping not allowed for {op} aggregation")
    return int(text)


def check_matchers(matchers: tuple[ast.Matcher, ...]) -> None:
    """At least one matcher must say what is wanted, not only what is not."""
    for matcher in matchers:
        if matcher.op in ("=", "=~") and not _matches_empty(matcher):
            return
        if matcher.op in ("!=", "!~") and not _matches_empty(matcher):
            return
    raise parse_error(NO_SELECTION)


def _matches_empty(matcher: ast.Matcher) -> bool:
    if matcher.op in ("=", "!="):
        return (matcher.value == "") == (matcher.op == "=")
    found = compile_regexp(matcher.value, whole=True).search(b"") is not None
    return found == (matcher.op == "=~")


def check(expression: ast.Expression) -> None:
    """The rules for a whole tree; QueryError for the first that is broken."""
    match expression:
        case ast.LogQuery():
            check_matchers(expression.matchers)
        case ast.RangeAggregation():
            check_matchers(expression.range.query.matchers)
        case ast.VectorAggregation():
            if expression.op in ("sort", "sort_desc") and (
                expression.grouping and expression.grouping.labels
            ):
                raise parse_error("sort and sort_desc doesn't allow grouping by ")
            check(expression.expression)
        case ast.LabelReplace():
            check(expression.expression)
        case ast.BinaryOperation():
            check(expression.left)
            check(expression.right)
        case _:
            pass


def _divide(left: float, right: float) -> float:
    if right:
        return left / right
    if left == 0 or math.isnan(left):
        return math.nan
    return math.copysign(math.inf, left) * math.copysign(1, right)


def modulo(left: float, right: float) -> float:
    """Go's math.Mod: the sign of the dividend; NaN for a zero divisor."""
    if right == 0 or math.isinf(left) or math.isnan(left) or math.isnan(right):
        return math.nan
    return math.fmod(left, right)


def power(left: float, right: float) -> float:
    """Go's math.Pow: IEEE 754, never an exception."""
    try:
        return math.pow(left, right)
    except OverflowError:
        odd = right == math.floor(right) and math.fmod(right, 2) != 0
        return -math.inf if left < 0 and odd else math.inf
    except ValueError:
        if left == 0:  # a negative exponent
            odd = right == math.floor(right) and math.fmod(right, 2) != 0
            return math.copysign(math.inf, left) if odd else math.inf
        return math.nan


_ARITHMETIC: dict[str, Callable[[float, float], float]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": _divide, "%": modulo,
    "^": power,
    "==": lambda a, b: float(a == b), "!=": lambda a, b: float(a != b),
    ">": lambda a, b: float(a > b), ">=": lambda a, b: float(a >= b),
    "<": lambda a, b: float(a < b), "<=": lambda a, b: float(a <= b),
}  # fmt: skip


def scalar_value(expression: ast.Expression) -> float:
    """The value of arithmetic on literals; division by zero is infinite, as IEEE 754 has it."""
    if isinstance(expression, ast.Literal):
        return expression.value
    if isinstance(expression, ast.BinaryOperation) and expression.op in _ARITHMETIC:
        return _ARITHMETIC[expression.op](
            scalar_value(expression.left), scalar_value(expression.right)
        )
    return math.nan
