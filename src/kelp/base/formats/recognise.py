"""One line's format. For samples: some microseconds a line, so not for each.

JSON is parsed and its keys are compared, and so are those of lines that begin with key=value; all
others are matched against the patterns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec
import re2

from kelp.base.formats.format import Format, Rest

# Longer lines are not looked at: what they cost is bounded, whatever they hold.
MAX_LINE = 64 << 10

_PAIR = rb'[A-Za-z_@][0-9A-Za-z_.@/-]*=(?:"(?:[^"\\]|\\.)*"|[^ \t"]*)'
# At least two pairs at the start: one may stand in any text.
_LOGFMT = re2.compile(rb"^[ \t]*" + _PAIR + rb"[ \t]+" + _PAIR + rb"(?:[ \t]|$)")
_KEY = re2.compile(rb'(?:^|[ \t])([A-Za-z_@][0-9A-Za-z_.@/-]*)=(?:"(?:[^"\\]|\\.)*")?')


def recognise(line: bytes, formats: Sequence[Format]) -> str:
    """The name of the first of the formats that a line is of; empty where it is of none."""
    if len(line) > MAX_LINE:
        return ""
    text = line.strip(b" \t\r\n")
    if text.startswith(b"{"):
        return _by_keys(formats, Rest.JSON, _json_has(text))
    for known in formats:
        if known.patterns and known.matches(line):
            return known.name
    if _LOGFMT.search(text):
        return _by_keys(formats, Rest.LOGFMT, _logfmt_has(text))
    return ""


def _by_keys(formats: Iterable[Format], rest: Rest, has: Callable[[str], bool] | None) -> str:
    if has is None:
        return ""
    for known in formats:
        if known.rest is rest and any(all(map(has, group)) for group in known.keys):
            return known.name
    return ""


def _json_has(text: bytes) -> Callable[[str], bool] | None:
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None

    def has(key: str) -> bool:
        inner: Any = value
        for part in [key] if key in value else key.split("."):
            if not isinstance(inner, dict) or part not in inner:
                return False
            inner = inner[part]
        return True

    return has


def _logfmt_has(text: bytes) -> Callable[[str], bool]:
    keys = set(_KEY.findall(text))
    return lambda key: key.encode() in keys
