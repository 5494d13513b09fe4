"""A template's text to items: text between actions, and the words inside them.

Model: text/template/parse/lex.go; https://pkg.go.dev/text/template#hdr-Text_and_spaces.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from kelp.server.query.logql.literals import unquote
from kelp.server.query.template.nodes import TemplateError

_SPACE = " \t\r\n"
_ITEM = re.compile(
    r"""(?P<space>[ \t\r\n]+)
    |(?P<string>"(?:[^"\\\n]|\\.)*")
    |(?P<raw>`[^`]*`)
    |(?P<char>'(?:[^'\\\n]|\\.)+')
    |(?P<number>[+-]?(?:0[xX][0-9a-fA-F_]+|0[oO][0-7_]+|0[bB][01_]+
        |(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9][0-9_]*)(?:[eE][+-]?[0-9_]+)?))
    |(?P<variable>\$\w*)
    |(?P<field>\.[^\W\d]\w*)
    |(?P<word>[^\W\d]\w*)
    |(?P<mark>:=|[=|().,])""",
    re.VERBOSE,
)
KEYWORDS = frozenset(
    {
        "if",
        "else",
        "end",
        "range",
        "with",
        "break",
        "continue",
        "define",
        "template",
        "block",
        "nil",
    }
)


@dataclass(frozen=True, slots=True)
class Item:
    """`kind` is text, left, right, end, a keyword, a mark, or a group of the pattern above."""

    kind: str
    text: str
    line: int
    spaced: bool = False  # a blank stands before it
    at: int = 0  # its offset in the text
    source: str = ""  # as it stands there, quotes included


class Lexer:
    """Reads one template."""

    def __init__(self, name: str, text: str) -> None:
        self._name = name
        self._text = text
        self._at = 0
        self._items: list[Item] = []

    def fail(self, message: str, line: int | None = None) -> TemplateError:
        """The error at a line; by default where the reading has come to."""
        line = self._text.count("\n", 0, self._at) + 1 if line is None else line
        return TemplateError(f"template: {self._name}:{line}: {message}")

    def run(self) -> list[Item]:
        """All items; the last is `end`."""
        trim = False
        while True:
            start = self._text.find("{{", self._at)
            end = len(self._text) if start < 0 else start
            self._emit_text(self._text[self._at : end], trim, start)
            self._at = end
            if start < 0:
                self._emit("end", "")
                return self._items
            trim = self._action()

    def _emit(self, kind: str, text: str, *, spaced: bool = False, source: str = "") -> None:
        line = self._text.count("\n", 0, self._at) + 1
        self._items.append(Item(kind, text, line, spaced, self._at, source))

    def _emit_text(self, text: str, trim: bool, action: int) -> None:
        if trim:
            text = text.lstrip(_SPACE)
        if action >= 0 and self._trims_left(action):
            text = text.rstrip(_SPACE)
        if text:
            self._emit("text", text)

    def _trims_left(self, action: int) -> bool:
        following = self._text[action + 2 : action + 4]
        return following[:1] == "-" and following[1:] in set(_SPACE)

    def _action(self) -> bool:
        """One `{{ … }}`; whether it ends with `-}}`."""
        opened = self._text.count("\n", 0, self._at) + 1
        self._at += 4 if self._trims_left(self._at) else 2
        if self._text.startswith("/*", self._at):
            return self._comment()
        self._emit("left", "{{")
        spaced = False
        while True:
            trims = self._text[self._at : self._at + 1] in set(_SPACE) and self._text.startswith(
                "-}}", self._at + 1
            )
            if trims or self._text.startswith("}}", self._at):
                self._emit("right", "}}", spaced=spaced)
                self._at += 4 if trims else 2
                return trims
            spaced = self._item(spaced, opened)

    def _comment(self) -> bool:
        close = self._text.find("*/", self._at)
        if close < 0:
            raise self.fail("unclosed comment")
        self._at = close + 2
        trims = self._text[self._at : self._at + 1] in set(_SPACE) and self._text.startswith(
            "-}}", self._at + 1
        )
        if not trims and not self._text.startswith("}}", self._at):
            raise self.fail("comment ends before closing delimiter")
        self._at += 4 if trims else 2
        return trims

    def _item(self, spaced: bool, opened: int) -> bool:
        """One item; whether it was a blank."""
        found = _ITEM.match(self._text, self._at)
        if not found:
            raise self._unreadable(opened)
        kind, text = found.lastgroup or "", found[0]
        if kind in ("word",):
            kind = text if text in KEYWORDS else "word"
        if kind in ("string", "raw"):
            text = self._unquoted(text)
        if kind != "space":
            self._emit(text if kind == "mark" else kind, text, spaced=spaced, source=found[0])
        self._at = found.end()
        return kind == "space"

    def _unquoted(self, text: str) -> str:
        try:
            return unquote(text)
        except ValueError as e:
            raise self.fail(str(e)) from None

    def _unreadable(self, opened: int) -> TemplateError:
        char = self._text[self._at : self._at + 1]
        if not char:
            return self.fail("unclosed action", opened)
        if char == '"':
            return self.fail("unterminated quoted string")
        if char == "`":
            return self.fail("unterminated raw quoted string")
        if char == "'":
            return self.fail("unterminated character constant")
        return self.fail(f"unexpected {char!r} in command")
