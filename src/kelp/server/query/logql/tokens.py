"""Text to tokens, with Loki's rules on what is a keyword, a number, a duration or a size.

Loki's lexer is Go's text/scanner with a second look at some tokens: `1h30m` is a duration, `3MB` a
size, `[5m]` one token, and a function's name is a function only where a parenthesis (or by/without
and one) follows, so that a label may be called `count`. What cannot be read becomes an ERROR token:
the parser reports it when it gets there, and so an earlier syntax error goes first.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from kelp.server.query.logql.errors import Place
from kelp.server.query.logql.literals import (
    parse_bytes,
    parse_duration,
    parse_prometheus_duration,
    unquote,
)

END = "$end"  # kinds as yacc names them in messages
ERROR = "ERROR"
IDENTIFIER = "IDENTIFIER"
STRING = "STRING"
NUMBER = "NUMBER"
DURATION = "DURATION"
BYTES = "BYTES"
RANGE = "RANGE"
FLAG = "FUNCTION_FLAG"

RANGE_OPS = (
    "count_over_time", "rate", "rate_counter", "bytes_over_time", "bytes_rate", "avg_over_time",
    "sum_over_time", "min_over_time", "max_over_time", "stdvar_over_time", "stddev_over_time",
    "quantile_over_time", "first_over_time", "last_over_time", "absent_over_time",
)  # fmt: skip
VECTOR_OPS = (
    "sum", "avg", "count", "max", "min", "stddev", "stdvar", "bottomk", "topk", "sort",
    "sort_desc", "approx_topk",
)  # fmt: skip
CONVERSIONS = ("bytes", "duration", "duration_seconds")

# Only before a parenthesis; the kind is the name that Loki's messages use.
FUNCTIONS = {
    **{name: name.upper() for name in (*RANGE_OPS, *VECTOR_OPS, "vector")},
    **{name: f"{name.upper()}_CONV" for name in CONVERSIONS},
    "label_replace": "label_replace",
    "ip": "ip",
}
KEYWORDS = frozenset({
    "unwrap", "by", "without", "bool", "label_replace", "offset", "on", "ignoring", "group_left",
    "group_right", "or", "and", "unless", "json", "regexp", "logfmt", "unpack", "pattern",
    "label_format", "line_format", "ip", "decolorize", "drop", "keep",
})  # fmt: skip
_OPERATORS = re.compile(r"\|=|\|~|\|>|!=|!~|!>|=~|==|>=|<=|[,.{}=|()\[\]+\-*/%^<>]")
_FLAGS = re.compile(r"--strict(?![A-Za-z-])|--keep-empty(?![A-Za-z-])")

_SPACE = re.compile(r"(?:[ \t\r\n]+|#[^\n]*|//[^\n]*|/\*.*?\*/)+", re.DOTALL)
_IDENTIFIER = re.compile(r"[^\W\d]\w*")
_NUMBER = re.compile(
    r"0[xX][0-9a-fA-F_]*(?:\.[0-9a-fA-F_]*)?(?:[pP][+-]?[0-9_]*)?|0[oO][0-9_]*|0[bB](?=[01])[01_]*"
    r"|(?:[0-9][0-9_]*(?:\.[0-9_]*)?|\.[0-9][0-9_]*)(?:[eE][+-]?[0-9_]*)?"
)
# Longer ones are none: what may be one is read once for each of its numbers.
_DURATION_TAIL = re.compile(r"[\dnuµmshdwy.]{1,128}")
_BYTES_TAIL = re.compile(r"[\dBikKMGTP.]{1,128}")
_STRING = re.compile(r'"(?:[^"\\\n]|\\.)*"')
_RAW_STRING = re.compile(r"`[^`]*`")
_CALL = re.compile(r"\s*(?:\(|(?:by|without)\s*\()", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Token:
    """`kind` is the operator or keyword itself, or one of the constants above."""

    kind: str
    text: str
    line: int
    column: int
    value: int = 0  # of DURATION and RANGE in nanoseconds, of BYTES in bytes

    @property
    def at(self) -> Place:
        """Where it begins."""
        return Place(self.line, self.column)


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.line = 1
        self.line_start = 0
        self.tokens: list[Token] = []

    def emit(self, kind: str, end: int, text: str | None = None, value: int = 0) -> None:
        raw = self.text[self.at : end]
        column = self.at - self.line_start + 1
        self.tokens.append(Token(kind, raw if text is None else text, self.line, column, value))
        self._advance(end)

    def _advance(self, end: int) -> None:
        newlines = self.text.count("\n", self.at, end)
        if newlines:
            self.line += newlines
            self.line_start = self.text.rindex("\n", self.at, end) + 1
        self.at = end

    def fail(self, message: str) -> None:
        self.emit(ERROR, len(self.text), message)

    def run(self) -> list[Token]:
        while True:
            if space := _SPACE.match(self.text, self.at):
                self._advance(space.end())
            if self.at >= len(self.text):
                self.emit(END, self.at)
                return self.tokens
            self._scan_one()

    def _scan_one(self) -> None:
        char = self.text[self.at]
        if char in '"`':
            self._string(char)
        elif char == "[":
            self._range()
        elif char == "-" and self._after_minus():
            return
        elif number := _NUMBER.match(self.text, self.at):
            self._number(number.end())
        elif name := _IDENTIFIER.match(self.text, self.at):
            self._word(name.end())
        elif operator := _OPERATORS.match(self.text, self.at):
            self.emit(operator[0], operator.end())
        elif char == "\0":
            self.fail("invalid character NUL")
        elif "\ud800" <= char <= "\udfff":
            self.fail("invalid UTF-8 encoding")
        else:
            self.emit(IDENTIFIER, self.at + 1)

    def _string(self, quote: str) -> None:
        pattern = _RAW_STRING if quote == "`" else _STRING
        match = pattern.match(self.text, self.at)
        if not match:
            self.fail(f"literal not terminated; expected {quote} at its end")
            return
        try:
            self.emit(STRING, match.end(), unquote(match[0]))
        except ValueError as e:
            escapes = r"\n \t \r \" \\ \xNN \uNNNN"
            self.fail(f"{e}; expected escapes like {escapes}, or backticks around the text")

    def _range(self) -> None:
        end = self.text.find("]", self.at)
        if end < 0:
            self.fail("missing closing ']' in duration")
            return
        try:
            value = parse_prometheus_duration(self.text[self.at + 1 : end])
        except ValueError as e:
            self.fail(f"{e}; expected one like [5m], [1h30m] or [1d]")
            return
        self.emit(RANGE, end + 1, value=value)

    def _after_minus(self) -> bool:
        """A parser's flag (`--strict`) or a negative duration (`-5m`)."""
        if flag := _FLAGS.match(self.text, self.at):
            self.emit(FLAG, flag.end())
            return True
        return self._duration(self.at + 1)

    def _number(self, end: int) -> None:
        if not self._duration(end) and not self._bytes(end):
            self.emit(NUMBER, end)

    def _duration(self, end: int) -> bool:
        tail = _DURATION_TAIL.match(self.text, end)
        if not tail:
            return False
        try:
            value = parse_duration(self.text[self.at : tail.end()])
        except ValueError:
            return False
        self.emit(DURATION, tail.end(), value=value)
        return True

    def _bytes(self, end: int) -> bool:
        tail = _BYTES_TAIL.match(self.text, end)
        if not tail:
            return False
        try:
            value = parse_bytes(self.text[self.at : tail.end()])
        except ValueError:
            return False
        self.emit(BYTES, tail.end(), value=value)
        return True

    def _word(self, end: int) -> None:
        word = self.text[self.at : end].lower()
        if word in FUNCTIONS:
            kind = FUNCTIONS[word] if _CALL.match(self.text, end) else IDENTIFIER
            self.emit(kind, end)
        else:
            self.emit(word if word in KEYWORDS else IDENTIFIER, end)


def tokenize(text: str) -> list[Token]:
    """All tokens; the last is END or follows an ERROR, which ends the reading."""
    return _Scanner(text).run()
