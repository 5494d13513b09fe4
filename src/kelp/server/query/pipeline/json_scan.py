"""Reading JSON objects as Loki's scanner does: leniently, from the left, up to the first fault.

What stands behind the object's end does not matter, numbers are not looked into, and arrays only
for their closing bracket; so `{"a":1,"b":` gives `a` and an error. A sound object is read by the
standard library; the lenient scanner is for the rest.
Model: github.com/grafana/jsonparser, ObjectEach and Get.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NoReturn

from kelp.server.query.sql.text import to_text

MAX_DEPTH = 200

_SPACE = re.compile(r"[ \t\r\n]*")
_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_TOKEN_END = re.compile(r"[^ \t\r\n,}\]]*")
_BLOCK = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]]', re.DOTALL)

NO_OBJECT = "Value looks like object, but can't find closing '}' symbol"
NO_ARRAY = "Value is array, but can't find closing ']' symbol"
NO_STRING = "Value is string, but can't find closing '\"' symbol"
MALFORMED = "Malformed JSON error"
UNKNOWN = "Unknown value type"


class Number(str):
    """A number, as it was written."""

    __slots__ = ()


class Pairs(list[tuple[str, Any]]):
    """An object: its keys and values in order, keys that come twice included."""

    __slots__ = ()


class JsonError(Exception):
    """The text is no JSON from some place on."""


def _refuse(_: str) -> NoReturn:
    raise ValueError(UNKNOWN)


_decoder = json.JSONDecoder(
    object_pairs_hook=Pairs,
    parse_float=Number,
    parse_int=Number,
    parse_constant=_refuse,
    strict=False,
)


def sound_object(line: bytes) -> Pairs | None:
    """The whole object of a line of sound JSON; None where the line is anything else."""
    try:
        value = _decoder.decode(to_text(line))
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, Pairs) else None


def each_pair(text: str) -> Iterator[tuple[str, Any]]:
    """Keys and values of an object, up to the first fault, which raises JsonError.

    A value is a str, Number, bool or None; an object or array comes as Raw text.
    """
    at = _skip(text, 0)
    if text[at : at + 1] != "{":
        raise JsonError(NO_OBJECT)
    at = _skip(text, at + 1)
    if text[at : at + 1] == "}":
        return
    while True:
        key, at = _key(text, at)
        value, at = _value(text, at)
        yield key, value
        at = _skip(text, at)
        mark = text[at : at + 1]
        if mark == "}":
            return
        if mark != ",":
            raise JsonError(NO_ARRAY if not mark else NO_OBJECT)
        at = _skip(text, at + 1)


def each_element(text: str) -> Iterator[Any]:
    """Values of an array, as each_pair gives those of an object."""
    at = _skip(text, 1)
    if text[at : at + 1] == "]":
        return
    while True:
        value, at = _value(text, at)
        yield value
        at = _skip(text, at)
        mark = text[at : at + 1]
        if mark == "]":
            return
        if mark != ",":
            raise JsonError(NO_ARRAY)
        at = _skip(text, at + 1)


class Raw(str):
    """The text of an object (`{`) or array (`[`) that nobody has read yet."""

    __slots__ = ()


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _key(text: str, at: int) -> tuple[str, int]:
    found = _STRING.match(text, at)
    if not found:
        raise JsonError(NO_OBJECT if text[at : at + 1] != '"' else NO_STRING)
    at = _skip(text, found.end())
    if text[at : at + 1] != ":":
        raise JsonError(NO_OBJECT)
    return unescape(found[1]) or "", _skip(text, at + 1)


def _value(text: str, at: int) -> tuple[Any, int]:
    mark = text[at : at + 1]
    if mark == '"':
        found = _STRING.match(text, at)
        if not found:
            raise JsonError(NO_STRING)
        return unescape(found[1]) or "", found.end()
    if mark and mark in "{[":
        end = _block_end(text, at)
        return Raw(text[at:end]), end
    end = _token_end(text, at)
    return _token(text[at:end]), end


def _token_end(text: str, at: int) -> int:
    found = _TOKEN_END.match(text, at)
    end = found.end() if found else at
    if end >= len(text):
        raise JsonError(MALFORMED)
    return end


def _token(token: str) -> Any:
    if token in ("true", "false"):
        return token == "true"
    if token == "null":
        return None
    if token[:1] in set("-0123456789"):
        return Number(token)
    raise JsonError(UNKNOWN)


def _block_end(text: str, at: int) -> int:
    opening = text[at]
    closing = "}" if opening == "{" else "]"
    depth = 0
    for found in _BLOCK.finditer(text, at):
        depth += (found[0] == opening) - (found[0] == closing)
        if depth == 0 and found[0] == closing:
            return found.end()
    raise JsonError(NO_OBJECT if opening == "{" else NO_ARRAY)


def unescape(raw: str) -> str | None:
    """The text of a JSON string without its quotes; None where an escape is none."""
    if "\\" not in raw:
        return raw
    try:
        return str(json.loads(f'"{raw}"', strict=False))
    except ValueError:
        return None
