"""The paths of `json name="a.b[0]["c d"]"`: read once, then looked up in each line.

Source of the grammar: https://grafana.com/docs/loki/latest/query/log_queries/#json
"""

from __future__ import annotations

import re
from typing import Any, TypeAlias

from kelp.server.query.pipeline import json_scan as scan
from kelp.server.query.pipeline.names import printable

Path: TypeAlias = tuple[str | int, ...]

_FIELD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_INDEX = re.compile(r"\[\s*(\d+)\s*\]", re.ASCII)
_KEY = re.compile(r'\[\s*"([^"\]]*)"\s*\]')
_SPACE = re.compile(r"[ \t\n]*")


def parse_path(text: str) -> Path:
    """The parts of a path; ValueError with what is wrong with it."""
    parts: list[str | int] = []
    at = _skip(text, 0)
    if not text[at:]:
        raise ValueError("syntax error: unexpected $end, expecting LSB or FIELD")
    while at < len(text):
        part, at = _part(text, at, first=not parts)
        parts.append(part)
        at = _skip(text, at)
    return tuple(parts)


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _part(text: str, at: int, *, first: bool) -> tuple[str | int, int]:
    if found := _INDEX.match(text, at):
        return int(found[1]), found.end()
    if found := _KEY.match(text, at):
        return found[1], found.end()
    if text[at] == "." and not first:
        at = _skip(text, at + 1)
    elif not first:
        raise ValueError(_fault(text, at))
    if found := _FIELD.match(text, at):
        return found[0], found.end()
    raise ValueError(_fault(text, at))


def _fault(text: str, at: int) -> str:
    char = text[at : at + 1]
    if not char:
        return "syntax error: unexpected $end"
    if char == "[":
        inside = text[at + 1 :].lstrip()
        if not inside:
            return "syntax error: unexpected $end, expecting STRING or INDEX"
        if re.match(r"\d+\.", inside, re.ASCII):
            return "cannot use float as array index"
        return "syntax error: expecting STRING or INDEX"
    return f"unexpected char {char}"


def find(text: str, path: Path) -> str | None:
    """The value under a path as a label's; None where it is not there.

    An object or array comes as its text, null as an empty value. Raises JsonError where the line
    is no JSON before the value is found.
    """
    value: Any = scan.Raw(text.lstrip())
    for part in path:
        if not isinstance(value, scan.Raw) or not value:
            return None
        value = _member(value, part) if isinstance(part, str) else _element(value, part)
        if value is _ABSENT:
            return None
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)  # a plain str, for encoders take no others
    return text if isinstance(value, scan.Raw) and text[:1] == "{" else printable(text)


_ABSENT = object()


def _member(value: str, name: str) -> Any:
    if value[0] != "{":
        return _ABSENT
    for key, found in scan.each_pair(value):
        if key == name:
            return found
    return _ABSENT


def _element(value: str, index: int) -> Any:
    if value[0] != "[":
        return _ABSENT
    for number, found in enumerate(scan.each_element(value)):
        if number == index:
            return found
    return _ABSENT
