"""The stage `logfmt`: `key=value key="quoted value" flag`.

A wrong pair is passed over, and with `--strict` ends the line and marks it. Model: Loki's
pkg/logql/log/logfmt/decode.go.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from kelp.server.query.logql.expressions import Extraction
from kelp.server.query.logql.literals import quote
from kelp.server.query.pipeline.hints import Hints, WantedNames
from kelp.server.query.pipeline.json_parser import note_error
from kelp.server.query.pipeline.json_scan import unescape
from kelp.server.query.pipeline.names import printable, sanitize
from kelp.server.query.pipeline.row import EXTRACTED, Row
from kelp.server.query.sql.text import to_text

ERROR = "LogfmtParserErr"

_GARBAGE = re.compile(r"[\x00-\x20]*")
_KEY = re.compile(r'[^\x00-\x20="]*')
_VALUE = re.compile(r'[^\x00-\x20="]*')
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_WORD_REST = re.compile(r"[^\x00-\x20]*")
_SOUND = re.compile(
    r'[\x00-\x20]*([^\x00-\x20="]+)'
    r'(?:="((?:[^"\\]|\\.)*)"|=([^\x00-\x20="]*)(?=[\x00-\x20]|\Z)|(?=[\x00-\x20]|\Z))',
    re.DOTALL,
)
_CONTROL = re.compile(r"[\x00-\x1f]")


class Fault(str):
    """What is wrong with a pair, with its place; stands among the pairs."""

    __slots__ = ()


def _fault(message: str, at: int) -> Fault:
    return Fault(f"logfmt syntax error at pos {at + 1} : {message}")


def each_pair(text: str) -> Iterator[tuple[str, str] | Fault]:
    """Keys and values in order, and the faults between them; a key alone has an empty value."""
    at = 0
    sound = _SOUND.match
    while True:
        while found := sound(text, at):  # most pairs, by one match each
            key, quoted, plain = found.groups()
            if (quoted and "\\" in quoted) or not key.isascii():
                break
            yield key, quoted or plain or ""
            at = found.end()
        at = _end(_GARBAGE, text, at)
        if at >= len(text):
            return
        pair, at = _pair(text, at)
        yield pair


def _end(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at)
    return found.end() if found else at


def _skip_word(message: str, text: str, at: int) -> tuple[Fault, int]:
    return _fault(message, at), _end(_WORD_REST, text, at)


def _unexpected(text: str, at: int) -> str:
    return "unexpected " + ("'\"'" if text[at] == '"' else quote(text[at]).replace('"', "'"))


def _pair(text: str, at: int) -> tuple[tuple[str, str] | Fault, int]:
    end = _end(_KEY, text, at)
    mark = text[end : end + 1]
    key = text[at:end]
    if mark == '"' or (mark == "=" and not key):
        return _skip_word(_unexpected(text, end), text, end)
    if not key.isascii() and any(c == "\ufffd" or "\ud800" <= c <= "\udfff" for c in key):
        return _skip_word("invalid key", text, end)
    if mark != "=":
        return (key, ""), end
    if text[end + 1 : end + 2] == '"':
        return _quoted(text, key, end + 1)
    at = end + 1
    end = _end(_VALUE, text, at)
    if text[end : end + 1] in ("=", '"'):
        return _skip_word(_unexpected(text, end), text, end)
    return (key, text[at:end]), end


def _quoted(text: str, key: str, at: int) -> tuple[tuple[str, str] | Fault, int]:
    found = _QUOTED.match(text, at)
    if not found:
        return _fault("unterminated quoted value", len(text)), len(text)
    raw = found[1]
    value = raw if "\\" not in raw else None if _CONTROL.search(raw) else _unquote(raw)
    if value is None:
        return _fault("invalid quoted value", found.end()), found.end()
    return (key, value), found.end()


def _unquote(raw: str) -> str | None:
    return unescape(raw.replace("\\'", "'"))


class LogfmtParser:
    """`logfmt`, all fields."""

    def __init__(self, hints: Hints, *, strict: bool, keep_empty: bool) -> None:
        self._hints = hints
        self._names = WantedNames(hints)
        self._strict = strict
        self._keep_empty = keep_empty

    def __call__(self, row: Row) -> bool:
        """See compile.Step."""
        hints, names, keep_empty = self._hints, self._names, self._keep_empty
        if hints.satisfied(row.extracted):
            return True
        for pair in each_pair(to_text(row.line)):
            if isinstance(pair, Fault):
                if self._strict:
                    note_error(row, hints, ERROR, pair)
                    return True
                continue
            key, value = pair
            name = names[key]
            if not name:
                continue
            if row.taken(name):
                name += EXTRACTED
            if name in row.extracted or not hints.wants(name) or not (value or keep_empty):
                continue
            row.set_parsed(name, printable(value))
            if hints.satisfied(row.extracted):
                break
        return True


class LogfmtFieldsParser:
    """`logfmt name="field", …`: the named fields alone; one that is not there is empty."""

    def __init__(self, extractions: tuple[Extraction, ...], hints: Hints, *, strict: bool) -> None:
        self._fields = {e.name: e.path for e in extractions}
        self._name_of = {e.path: e.name for e in reversed(extractions)}
        self._hints = hints
        self._strict = strict

    def __call__(self, row: Row) -> bool:
        """See compile.Step."""
        hints = self._hints
        if hints.satisfied(row.extracted):
            return True
        for name in self._fields:
            if not row.taken(name):
                row.set_parsed(name, "")
        for pair in each_pair(to_text(row.line)):
            if isinstance(pair, Fault):
                if self._strict:
                    note_error(row, hints, ERROR, pair)
                    return True
                continue
            key = sanitize(pair[0])
            name = self._name_of.get(key, key)
            if name not in self._fields:
                continue
            if row.taken(name):
                name += EXTRACTED
                if name in row.extracted or not hints.wants(name):
                    break
            row.set_parsed(name, "" if printable(pair[1]) != pair[1] else pair[1])
        return True


_BLANKS = " \t\n"
_FIELD_PATH = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def parse_field(text: str) -> str:
    """The field that `name="field"` names; ValueError where it is none."""
    inner = text.strip(_BLANKS)
    if inner.startswith('"'):
        return inner[1:].split('"', 1)[0].split("]", 1)[0]
    if found := _FIELD_PATH.fullmatch(inner):
        return found[0]
    found = _FIELD_PATH.match(inner)
    rest = inner[found.end() :] if found else inner
    if not rest:
        raise ValueError("syntax error: unexpected $end, expecting KEY or STRING")
    raise ValueError(f"unexpected char {rest.lstrip(_BLANKS)[0]}")
