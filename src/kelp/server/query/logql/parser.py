"""Tokens to a tree: recursive descent, with operator precedence for binary operations and filters.

Errors name the token that was met and, where few, those that could have stood there, as Loki's
generated parser does. Errors of meaning (an aggregation without its unwrap) are collected and
reported only once the whole text has been read, so that a syntax error behind them goes first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from kelp.server.ports import QueryError
from kelp.server.query.logql import checks, tokens
from kelp.server.query.logql import expressions as ast
from kelp.server.query.logql.errors import parse_error, syntax_error
from kelp.server.query.logql.filters import FilterParser
from kelp.server.query.logql.literals import parse_float
from kelp.server.query.logql.stages import StageParser
from kelp.server.query.logql.tokens import Token, tokenize

MAX_QUERY_LENGTH = 131_072  # characters, as Loki
MAX_DEPTH = 100
"""Nested parentheses and operations: far more than anyone writes, far less than Python's stack."""

_T = TypeVar("_T")
_LEVELS = {
    "or": 1, "and": 2, "unless": 2, "==": 3, "!=": 3, ">": 3, ">=": 3, "<": 3, "<=": 3,
    "+": 4, "-": 4, "*": 5, "/": 5, "%": 5, "^": 6,
}  # fmt: skip
_RANGE_KINDS = {name.upper(): name for name in tokens.RANGE_OPS}
_VECTOR_KINDS = {name.upper(): name for name in tokens.VECTOR_OPS}


class Parser(StageParser, FilterParser):
    """One text, read once."""

    def __init__(self, text: str) -> None:
        if len(text) >= MAX_QUERY_LENGTH:
            raise parse_error(f"input size too long ({len(text)} > {MAX_QUERY_LENGTH})")
        super().__init__(tokenize(text))
        self._depth = 0
        self._late_errors: list[QueryError] = []

    def parse(self) -> ast.Expression:
        """The tree of the whole text."""
        expression = self._expression(1)
        self.expect(tokens.END)
        if self._late_errors:
            raise self._late_errors[0]
        checks.check(expression)
        return expression

    def _late(self, message: str) -> None:
        self._late_errors.append(parse_error(message))

    def _nested(self, parse: Callable[[], _T]) -> _T:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            token = self.peek()
            raise syntax_error(
                f"query is nested too deeply: expected at most {MAX_DEPTH} levels",
                token.line,
                token.column,
            )
        try:
            return parse()
        finally:
            self._depth -= 1

    # --- binary operations --------------------------------------------------------------------

    def _expression(self, level: int) -> ast.Expression:
        return self._nested(lambda: self._operations(level))

    def _operations(self, level: int) -> ast.Expression:
        left = self._primary()
        operations = 0
        while (found := _LEVELS.get(self.peek().kind, 0)) >= level:
            operations += 1
            if operations > MAX_DEPTH:
                self._late(f"expected at most {MAX_DEPTH} binary operations in a row")
            op = self.take().kind
            is_bool = self.accept("bool") is not None
            matching = self._matching()
            right = self._expression(found if op == "^" else found + 1)
            left = self._binary(op, left, right, is_bool, matching)
        return left

    def _binary(
        self,
        op: str,
        left: ast.Expression,
        right: ast.Expression,
        is_bool: bool,
        matching: ast.Matching,
    ) -> ast.BinaryOperation:
        for side, leg in (("left", left), ("right", right)):
            if isinstance(leg, ast.LogQuery):
                kind = "*syntax.PipelineExpr" if leg.stages else "*syntax.MatchersExpr"
                self._late(f"unexpected type for {side} leg of binary operation ({op}): {kind}")
            elif op in ast.SET_OPERATIONS and ast.is_scalar(leg):
                value = checks.scalar_value(leg)
                self._late(
                    f"unexpected literal for {side} leg of logical/set binary operation ({op}): "
                    f"{value:f}"
                )
        return ast.BinaryOperation(op, left, right, is_bool, matching)  # type: ignore[arg-type] # a log query as a leg has just been refused

    def _matching(self) -> ast.Matching:
        if not self.at("on", "ignoring"):
            return ast.Matching()
        on = self.take().kind == "on"
        labels = self._labels()
        if not self.at("group_left", "group_right"):
            return ast.Matching(on, labels)
        group = self.take().kind.removeprefix("group_")
        include = self._labels() if self.at("(") else ()
        return ast.Matching(on, labels, group, include)

    def _labels(self) -> tuple[str, ...]:
        self.expect("(")
        if self.accept(")"):
            return ()
        names = [self.expect(tokens.IDENTIFIER).text]
        while self.accept(","):
            names.append(self.expect(tokens.IDENTIFIER).text)
        self.expect(")", ",")
        return tuple(names)

    def _grouping(self) -> ast.Grouping | None:
        if not self.at("by", "without"):
            return None
        without = self.take().kind == "without"
        return ast.Grouping(self._labels(), without)

    # --- primaries ----------------------------------------------------------------------------

    def _primary(self) -> ast.Expression:
        kind = self.peek().kind
        if kind == "{":
            return ast.LogQuery(self.selector(), self.stages())
        if kind == "(":
            return self._parenthesis()
        if kind in _RANGE_KINDS:
            return self._range_aggregation()
        if kind in _VECTOR_KINDS:
            return self._vector_aggregation()
        if kind in (tokens.NUMBER, "+", "-"):
            return ast.Literal(self._number())
        if kind == "label_replace":
            return self._label_replace()
        if kind == "VECTOR":
            return self._vector()
        raise self.unexpected()

    def _parenthesis(self) -> ast.Expression:
        self.expect("(")
        inner = self._expression(1)
        self.expect(")")
        return inner

    def _metric(self) -> ast.Metric:
        expression = self._expression(1)
        if isinstance(expression, ast.LogQuery):
            raise self.unexpected()
        return expression

    def _number(self) -> float:
        negative = False
        if self.at("+", "-"):
            negative = self.take().kind == "-"
        value = self._float(self.expect(tokens.NUMBER).text, "unable to parse literal as a float")
        return -value if negative else value

    def _float(self, text: str, failed: str) -> float:
        try:
            return parse_float(text)
        except ValueError as e:
            self._late(f"{failed}: {e}")
            return 0.0

    def literal(self) -> float:
        """A number of a label filter: wrong ones are reported at once, as Loki does."""
        known = len(self._late_errors)
        value = self._number()
        if len(self._late_errors) > known:
            raise self._late_errors[known]
        return value

    def _vector(self) -> ast.VectorLiteral:
        self.take()
        self.expect("(")
        text = self.expect(tokens.NUMBER).text
        self.expect(")")
        return ast.VectorLiteral(self._float(text, "unable to parse vectorExpr as a float"))

    def _label_replace(self) -> ast.LabelReplace:
        self.take()
        self.expect("(")
        expression = self._metric()
        texts = []
        for _ in range(4):
            self.expect(",")
            texts.append(self.expect(tokens.STRING).text)
        self.expect(")")
        dst, replacement, src, regex = texts
        if message := checks.regexp_problem(regex):
            self._late(f"invalid regex in label_replace: {message}")
        return ast.LabelReplace(expression, dst, replacement, src, regex)

    # --- aggregations -------------------------------------------------------------------------

    def _vector_aggregation(self) -> ast.VectorAggregation:
        op = _VECTOR_KINDS[self.take().kind]
        grouping = self._grouping()
        self.expect("(")
        parameter = self._parameter()
        expression = self._metric()
        self.expect(")")
        if grouping is None:
            grouping = self._grouping()
        number = None
        try:
            number = checks.vector_parameter(op, parameter, grouping)
        except QueryError as e:
            self._late_errors.append(e)
        return ast.VectorAggregation(op, expression, grouping, number)

    def _parameter(self) -> str | None:
        if self.at(tokens.NUMBER) and self.peek(1).kind == ",":
            number = self.take().text
            self.take()
            return number
        return None

    def _range_aggregation(self) -> ast.RangeAggregation:
        op = _RANGE_KINDS[self.take().kind]
        self.expect("(")
        parameter = self._parameter()
        log_range = self._log_range()
        self.expect(")")
        grouping = self._grouping()
        number = None
        try:
            number = checks.range_parameter(op, parameter)
            checks.check_range_aggregation(op, log_range, grouping)
        except QueryError as e:
            self._late_errors.append(e)
        return ast.RangeAggregation(op, log_range, number, grouping)

    def _log_range(self) -> ast.LogRange:
        """`query [5m] offset 1m` or `{…} [5m] offset 1m | stages`, in parentheses or not."""
        if self.at("("):
            return self._nested(self._range_in_parentheses)
        return self._range_of(self.selector())

    def _range_in_parentheses(self) -> ast.LogRange:
        self.expect("(")
        if self.at("("):
            inner = self._nested(self._range_in_parentheses)
            self.expect(")")
            return inner
        matchers = self.selector()
        stages = self.stages()
        unwrap = self.unwrap()
        if self.at(tokens.RANGE):
            log_range = self._range_after(matchers, stages, unwrap)
            self.expect(")")
            return log_range
        self.expect(")", tokens.RANGE)
        return self._range_after(matchers, stages, unwrap)

    def _range_of(self, matchers: tuple[ast.Matcher, ...]) -> ast.LogRange:
        stages = self.stages()
        return self._range_after(matchers, stages, self.unwrap())

    def _range_after(
        self,
        matchers: tuple[ast.Matcher, ...],
        stages: tuple[ast.Stage, ...],
        unwrap: ast.Unwrap | None,
    ) -> ast.LogRange:
        range_ns = self.expect(tokens.RANGE).value
        offset = self._offset()
        if not stages and unwrap is None:
            stages = self.stages()
            unwrap = self.unwrap()
        return ast.LogRange(ast.LogQuery(matchers, stages), range_ns, offset, unwrap)

    def _offset(self) -> int:
        return self.expect(tokens.DURATION).value if self.accept("offset") else 0


def parse(text: str) -> ast.Expression:
    """The tree of a query; QueryError with line and column, or with what it means wrongly."""
    return Parser(text).parse()


def parse_log_query(text: str) -> ast.LogQuery:
    """As parse, for places that take a log query alone (tail, delete, index/stats)."""
    expression = parse(text)
    if not isinstance(expression, ast.LogQuery):
        raise QueryError("only log selector is supported")
    return expression


def parse_matchers(text: str, *, strict: bool = True) -> tuple[ast.Matcher, ...]:
    """A selector alone; without `strict` also one that selects everything (`{}`)."""
    parser = Parser(text)
    matchers = parser.selector()
    if not parser.at(tokens.END):
        parse(text)  # a syntax error is told as such
        raise QueryError("only label matchers are supported")
    if strict:
        checks.check_matchers(matchers)
    return matchers


__all__ = ["MAX_DEPTH", "MAX_QUERY_LENGTH", "Token", "parse", "parse_log_query", "parse_matchers"]
