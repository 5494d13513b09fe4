"""Label filters: `a="x" and b > 5 or c`, with Loki's precedence.

`and` binds closer than `or`; a comma or a blank is an `and` too, but whatever follows it is read
first: `a, b or c` is `a and (b or c)`.
"""

from __future__ import annotations

from kelp.server.query.logql import checks, tokens
from kelp.server.query.logql import expressions as ast
from kelp.server.query.logql.cursor import Cursor
from kelp.server.query.logql.errors import Place, parse_error
from kelp.server.query.logql.tokens import Token

_MATCHES = ("=", "!=", "=~", "!~")
_COMPARES = ("=", "!=", "==", ">", ">=", "<", "<=")
_MAX_TERMS = 200  # in a query; comma-joined ones nest, and their evaluation recurses
_MAX_PARENTHESES = 50


class FilterParser(Cursor):
    """Matchers and label filters."""

    _terms = 0
    _parentheses = 0

    def literal(self) -> float:
        """A number with its sign; the whole parser knows how to read one."""
        raise AssertionError("the parser of expressions overrides this")

    def selector(self) -> tuple[ast.Matcher, ...]:
        """`{a="b", c=~"d"}`."""
        self.expect("{")
        if self.accept("}"):
            return ()
        matchers = [self.matcher()]
        while self.accept(","):
            matchers.append(self.matcher())
        self.expect("}", ",")
        return tuple(matchers)

    def matcher(self) -> ast.Matcher:
        """`name op "text"`."""
        name = self.expect(tokens.IDENTIFIER, *(["}"] if self.at(",") else []))
        if not self.at(*_MATCHES):
            raise self.unexpected(*_MATCHES)
        op = self.take().kind
        return _matcher(name.text, op, self.expect(tokens.STRING), name.at)

    def label_filter(self, level: int = 0) -> ast.Filter:
        """A filter with its connectives; `level` 1 stands inside an `or`, 2 inside an `and`."""
        left = self._filter_term()
        at = left.at
        while True:
            if self.at("or") and level < 1 + (level == 0):
                self.take()
                left = ast.Or(left, self.label_filter(1), at=at)
            elif self.at("and") and level < 2:
                self.take()
                left = ast.And(left, self.label_filter(2), at=at)
            elif self.accept(",") or self.at(tokens.IDENTIFIER, "("):
                left = ast.And(left, self.label_filter(0), at=at)
            else:
                return left

    def _filter_term(self) -> ast.Filter:
        self._terms += 1
        if self._terms > _MAX_TERMS:
            raise parse_error(
                f"too many label filters in a query: expected at most {_MAX_TERMS}", self.here
            )
        if self.accept("("):
            return self._filter_in_parentheses()
        name = self.expect(tokens.IDENTIFIER)
        if not self.at(*_COMPARES, "=~", "!~"):
            raise self.unexpected_for(f"one of {' '.join((*_COMPARES, '=~', '!~'))}")
        return self._comparison(name, self.take().kind)

    def _filter_in_parentheses(self) -> ast.Filter:
        self._parentheses += 1
        if self._parentheses > _MAX_PARENTHESES:
            raise parse_error(
                f"label filters are nested too deeply: expected at most {_MAX_PARENTHESES} levels",
                self.here,
            )
        inner = self.label_filter()
        self.expect(")")
        self._parentheses -= 1
        return inner

    def _comparison(self, name: Token, op: str) -> ast.Filter:
        label, at = name.text, name.at
        if op in _MATCHES and self.at(tokens.STRING):
            return _matcher(label, op, self.take(), at)
        if op in ("=~", "!~"):
            raise self.unexpected(tokens.STRING)
        if op in ("=", "!=") and self.accept("ip"):
            self.expect("(")
            pattern = self.expect(tokens.STRING)
            self.expect(")")
            return ast.IpFilter(label, op, pattern.text, at=pattern.at)
        wanted = _wanted_behind(op)
        op = "=" if op == "==" else op
        if token := self.accept(tokens.DURATION):
            return ast.DurationFilter(label, op, token.value, at=at)
        if token := self.accept(tokens.BYTES):
            return ast.BytesFilter(label, op, token.value, at=at)
        if self.at(tokens.NUMBER, "+", "-"):
            return ast.NumberFilter(label, op, self.literal(), at=at)
        raise self.unexpected_for(wanted)


def _wanted_behind(op: str) -> str:
    numbers = "a number, a duration like 1h30m or a size like 5MB"
    return f'"a text", ip("…"), {numbers}' if op in ("=", "!=") else numbers


def _matcher(name: str, op: str, value: Token, at: Place) -> ast.Matcher:
    if op in ("=~", "!~") and (message := checks.regexp_problem(value.text)):
        raise parse_error(message, value.at)
    return ast.Matcher(name, op, value.text, at=at)
