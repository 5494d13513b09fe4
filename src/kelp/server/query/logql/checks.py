"""What a query must mean to be one: the rules that the grammar alone does not hold."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable

from kelp.server.query.logql import expressions as ast
from kelp.server.query.logql.errors import Place, parse_error
from kelp.server.query.logql.literals import parse_float
from kelp.server.query.logql.patterns import parse_parser_pattern
from kelp.server.query.logql.regexps import compile_regexp
from kelp.server.query.logql.tokens import Token

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


def checked_regexp(token: Token) -> ast.Regexp:
    """A `regexp` stage; its groups must be named, each once."""
    pattern, at = token.text, token.at
    if message := regexp_problem(pattern):
        raise parse_error(f"invalid regexp parser: {message}", at)
    names = [name for name in _GROUP_NAME.findall(pattern) if name]
    if not names:
        raise parse_error(
            "invalid regexp parser: at least one named capture must be supplied", at, "(?P<name>…)"
        )
    for name in names:
        if names.count(name) > 1:
            raise parse_error(
                f"invalid regexp parser: duplicate extracted label name '{name}'", at,
                "each name once",
            )  # fmt: skip
    return ast.Regexp(pattern, at=at)


def checked_pattern(token: Token) -> ast.Pattern:
    """A `pattern` stage."""
    try:
        parse_parser_pattern(token.text)
    except ValueError as e:
        raise parse_error(
            f"invalid pattern parser: {e}", token.at,
            "texts with captures <name> or <_> between them, each name once",
        ) from None  # fmt: skip
    return ast.Pattern(token.text, at=token.at)


def range_parameter(op: Token, name: str, parameter: Token | None) -> float | None:
    """The quantile of quantile_over_time; no other range aggregation takes a number."""
    if parameter is None:
        if name == "quantile_over_time":
            raise parse_error(
                f"parameter required for operation {name}", op.at, "a number as in (0.99, …)"
            )
        return None
    if name != "quantile_over_time":
        raise parse_error(
            f"parameter {parameter.text} not supported for operation {name}", parameter.at,
            "a log range alone",
        )  # fmt: skip
    try:
        return parse_float(parameter.text)
    except ValueError as e:
        message = f"invalid parameter for operation {name}: {e}"
        raise parse_error(message, parameter.at, "a number") from None


def check_range_aggregation(node: ast.RangeAggregation) -> None:
    """Which range aggregations take a grouping, need an unwrap, or must not have one."""
    op, unwrap, by = node.op, node.range.unwrap, node.grouping
    if by is not None and op not in _GROUPED_RANGE_OPS:
        raise parse_error(
            f"grouping not allowed for {op} aggregation", by.at,
            f"no by and without here; group around it, as in sum by (…) ({op}(…))",
        )  # fmt: skip
    if unwrap is not None and op in _NEVER_UNWRAPPED:
        raise parse_error(f"invalid aggregation {op} with unwrap", unwrap.at, "no unwrap")
    if unwrap is None and op not in _PLAIN_RANGE_OPS:
        raise parse_error(
            f"invalid aggregation {op} without unwrap", node.at, "| unwrap LABEL before the range"
        )


def vector_parameter(
    op: Token, name: str, parameter: Token | None, by: ast.Grouping | None
) -> int | None:
    """The k of topk, bottomk and approx_topk; no other vector aggregation takes a number."""
    if name not in _RANKED:
        if parameter is not None:
            raise parse_error(
                f"unsupported parameter for operation {name}({parameter.text},", parameter.at,
                "an expression alone",
            )  # fmt: skip
        return None
    if parameter is None:
        raise parse_error(
            f"parameter required for operation {name}", op.at, f"a number as in {name}(10, …)"
        )
    if not parameter.text.isdecimal():
        message = f"invalid parameter {name}({parameter.text},"
        raise parse_error(message, parameter.at, "a whole number above 0")
    if int(parameter.text) <= 0:
        message = f"invalid parameter (must be greater than 0) {name}({parameter.text}"
        raise parse_error(message, parameter.at)
    if name == "approx_topk" and by is not None:
        raise parse_error(
            f"grouping not allowed for {name} aggregation", by.at, "no by and without here"
        )
    return int(parameter.text)


def check_matchers(matchers: tuple[ast.Matcher, ...], at: Place) -> None:
    """At least one matcher must say what is wanted, not only what is not; `at` is the selector."""
    for matcher in matchers:
        if matcher.op in ("=", "=~") and not _matches_empty(matcher):
            return
        if matcher.op in ("!=", "!~") and not _matches_empty(matcher):
            return
    raise parse_error(NO_SELECTION, at)


def _matches_empty(matcher: ast.Matcher) -> bool:
    if matcher.op in ("=", "!="):
        return (matcher.value == "") == (matcher.op == "=")
    found = compile_regexp(matcher.value, whole=True).search(b"") is not None
    return found == (matcher.op == "=~")


def check(expression: ast.Expression) -> None:
    """The rules for a whole tree; QueryError for the first that is broken."""
    match expression:
        case ast.LogQuery():
            check_matchers(expression.matchers, expression.at)
        case ast.RangeAggregation():
            check_matchers(expression.range.query.matchers, expression.range.query.at)
        case ast.VectorAggregation():
            if expression.op in ("sort", "sort_desc") and (
                expression.grouping and expression.grouping.labels
            ):
                raise parse_error(
                    "sort and sort_desc doesn't allow grouping by ", expression.grouping.at,
                    "no by and without here",
                )  # fmt: skip
            _check_vector(expression.expression)
        case ast.LabelReplace():
            _check_vector(expression.expression)
        case ast.BinaryOperation():
            check(expression.left)
            check(expression.right)
        case _:
            pass


def _check_vector(expression: ast.Expression) -> None:
    """The rules for what aggregations and functions take: series, no bare number."""
    if ast.is_scalar(expression):
        raise parse_error(
            "unexpected expr type (*syntax.LiteralExpr)", expression.at,
            "series; vector(…) makes one of a number",
        )  # fmt: skip
    check(expression)


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
