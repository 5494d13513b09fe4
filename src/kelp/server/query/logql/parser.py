"""Tokens to a tree: recursive descent, with operator precedence for binary operations and filters.

Errors name the token that was met and, where few, those that could have stood there, as Loki's
generated parser does. Errors of meaning (an aggregation without its unwrap) are collected and
reported only once the whole text has been read, so that a syntax error behind them goes first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from kelp.server.ports import QueryError
from kelp.server.query.logql import checks, tokens
from kelp.server.query.logql import expressions as ast
from kelp.server.query.logql.errors import Place, meaning_error, parse_error
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
            # Its end is what is too much: the first character that is more than allowed.
            raise parse_error(f"input size too long ({len(text)} > {MAX_QUERY_LENGTH})", _end(text))
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

    def _late(self, message: str, at: Place, expected: str = "") -> None:
        self._late_errors.append(parse_error(message, at, expected))

    def _nested(self, parse: Callable[[], _T]) -> _T:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise parse_error(
                f"query is nested too deeply: expected at most {MAX_DEPTH} levels", self.here
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
                self._late(f"expected at most {MAX_DEPTH} binary operations in a row", self.here)
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
                self._late(
                    f"unexpected type for {side} leg of binary operation ({op}): {kind}", leg.at,
                    "a metric query or a number",
                )  # fmt: skip
            elif op in ast.SET_OPERATIONS and ast.is_scalar(leg):
                value = checks.scalar_value(leg)
                self._late(
                    f"unexpected literal for {side} leg of logical/set binary operation ({op}): "
                    f"{value:f}",
                    leg.at,
                    "a metric query",
                )
        return ast.BinaryOperation(op, left, right, is_bool, matching, at=left.at)  # type: ignore[arg-type] # a log query as a leg has just been refused

    def _matching(self) -> ast.Matching:
        if not self.at("on", "ignoring"):
            return ast.Matching()
        at = self.here
        on = self.take().kind == "on"
        labels = self._labels()
        if not self.at("group_left", "group_right"):
            return ast.Matching(on, labels, at=at)
        group = self.take().kind.removeprefix("group_")
        include = self._labels() if self.at("(") else ()
        return ast.Matching(on, labels, group, include, at=at)

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
        word = self.take()
        return ast.Grouping(self._labels(), word.kind == "without", at=word.at)

    # --- primaries ----------------------------------------------------------------------------

    def _primary(self) -> ast.Expression:
        kind, at = self.peek().kind, self.here
        if kind == "{":
            return ast.LogQuery(self.selector(), self.stages(), at=at)
        if kind == "(":
            return self._parenthesis()
        if kind in _RANGE_KINDS:
            return self._range_aggregation()
        if kind in _VECTOR_KINDS:
            return self._vector_aggregation()
        if kind in (tokens.NUMBER, "+", "-"):
            return ast.Literal(self._number(), at=at)
        if kind == "label_replace":
            return self._label_replace()
        if kind == "VECTOR":
            return self._vector()
        raise self.unexpected_for('a selector like {app="web"}, an aggregation or a number')

    def _parenthesis(self) -> ast.Expression:
        self.expect("(")
        inner = self._expression(1)
        self.expect(")")
        return inner

    def _metric(self) -> ast.Metric:
        expression = self._expression(1)
        if isinstance(expression, ast.LogQuery):
            raise self.unexpected_for("a metric query like rate({…}[5m]), not a log query")
        return expression

    def _number(self) -> float:
        negative = False
        if self.at("+", "-"):
            negative = self.take().kind == "-"
        value = self._float(self.expect(tokens.NUMBER), "unable to parse literal as a float")
        return -value if negative else value

    def _float(self, number: Token, failed: str) -> float:
        try:
            return parse_float(number.text)
        except ValueError as e:
            self._late(f"{failed}: {e}", number.at)
            return 0.0

    def literal(self) -> float:
        """A number of a label filter: wrong ones are reported at once, as Loki does."""
        known = len(self._late_errors)
        value = self._number()
        if len(self._late_errors) > known:
            raise self._late_errors[known]
        return value

    def _vector(self) -> ast.VectorLiteral:
        at = self.take().at
        self.expect("(")
        number = self.expect(tokens.NUMBER)
        self.expect(")")
        value = self._float(number, "unable to parse vectorExpr as a float")
        return ast.VectorLiteral(value, at=at)

    def _label_replace(self) -> ast.LabelReplace:
        at = self.take().at
        self.expect("(")
        expression = self._metric()
        texts = []
        for _ in range(4):
            self.expect(",")
            texts.append(self.expect(tokens.STRING))
        self.expect(")")
        dst, replacement, src, regex = (t.text for t in texts)
        if message := checks.regexp_problem(regex):
            self._late(f"invalid regex in label_replace: {message}", texts[3].at)
        return ast.LabelReplace(expression, dst, replacement, src, regex, at=at)

    # --- aggregations -------------------------------------------------------------------------

    def _vector_aggregation(self) -> ast.VectorAggregation:
        word = self.take()
        op = _VECTOR_KINDS[word.kind]
        grouping = self._grouping()
        self.expect("(")
        parameter = self._parameter()
        expression = self._metric()
        self.expect(")")
        if grouping is None:
            grouping = self._grouping()
        number = None
        try:
            number = checks.vector_parameter(word, op, parameter, grouping)
        except QueryError as e:
            self._late_errors.append(e)
        return ast.VectorAggregation(op, expression, grouping, number, at=word.at)

    def _parameter(self) -> Token | None:
        if self.at(tokens.NUMBER) and self.peek(1).kind == ",":
            number = self.take()
            self.take()
            return number
        return None

    def _range_aggregation(self) -> ast.RangeAggregation:
        word = self.take()
        op = _RANGE_KINDS[word.kind]
        self.expect("(")
        parameter = self._parameter()
        log_range = self._log_range()
        self.expect(")")
        node = ast.RangeAggregation(op, log_range, None, self._grouping(), at=word.at)
        try:
            number = checks.range_parameter(word, op, parameter)
            checks.check_range_aggregation(node)
        except QueryError as e:
            self._late_errors.append(e)
            return node
        return replace(node, parameter=number)

    def _log_range(self) -> ast.LogRange:
        """`query [5m] offset 1m` or `{…} [5m] offset 1m | stages`, in parentheses or not."""
        if self.at("("):
            return self._nested(self._range_in_parentheses)
        at = self.here
        query = ast.LogQuery(self.selector(), self.stages(), at=at)
        return self._range_after(query, self.unwrap())

    def _range_in_parentheses(self) -> ast.LogRange:
        self.expect("(")
        if self.at("("):
            inner = self._nested(self._range_in_parentheses)
            self.expect(")")
            return inner
        at = self.here
        query = ast.LogQuery(self.selector(), self.stages(), at=at)
        unwrap = self.unwrap()
        if self.at(tokens.RANGE):
            log_range = self._range_after(query, unwrap)
            self.expect(")")
            return log_range
        self.expect(")", tokens.RANGE)
        return self._range_after(query, unwrap)

    def _range_after(self, query: ast.LogQuery, unwrap: ast.Unwrap | None) -> ast.LogRange:
        window = self.expect(tokens.RANGE)
        offset = self._offset()
        if not query.stages and unwrap is None:
            query = replace(query, stages=self.stages())
            unwrap = self.unwrap()
        return ast.LogRange(query, window.value, offset, unwrap, at=query.at)

    def _offset(self) -> int:
        return self.expect(tokens.DURATION).value if self.accept("offset") else 0


def parse(text: str) -> ast.Expression:
    """The tree of a query; QueryError with line and column, or with what it means wrongly."""
    return Parser(text).parse()


def parse_log_query(text: str) -> ast.LogQuery:
    """As parse, for places that take a log query alone (tail, delete, index/stats)."""
    expression = parse(text)
    if not isinstance(expression, ast.LogQuery):
        raise meaning_error(
            "only log selector is supported", expression.at, 'a log query like {app="web"}'
        )
    return expression


def parse_matchers(text: str, *, strict: bool = True) -> tuple[ast.Matcher, ...]:
    """A selector alone; without `strict` also one that selects everything (`{}`)."""
    parser = Parser(text)
    at = parser.here
    matchers = parser.selector()
    if not parser.at(tokens.END):
        parse(text)  # a syntax error is told as such
        raise meaning_error(
            "only label matchers are supported", parser.here, "nothing behind the selector"
        )
    if strict:
        checks.check_matchers(matchers, at)
    return matchers


def _end(text: str) -> Place:
    before = text[: MAX_QUERY_LENGTH - 1]
    return Place(before.count("\n") + 1, len(before) - before.rfind("\n"))


__all__ = ["MAX_DEPTH", "MAX_QUERY_LENGTH", "Token", "parse", "parse_log_query", "parse_matchers"]
