"""One line's format. For samples: some microseconds a line, so not for each.

A line of JSON is parsed and its keys are compared, and so are those of a line that begins with
key=value; any line is matched against the patterns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
    has = _has(line.strip(b" \t\r\n"))
    for known in formats:
        if known.patterns:
            if known.matches(line):
                return known.name
        elif known.rest in has and any(all(map(has[known.rest], keys)) for keys in known.keys):
            return known.name
    return ""


def _has(text: bytes) -> dict[Rest, Callable[[str], bool]]:
    """Whether a key is in the line, by what the line can be read as."""
    if text.startswith(b"{"):
        found = _json_has(text)
        return {Rest.JSON: found} if found is not None else {}
    return {Rest.LOGFMT: _logfmt_has(text)} if _LOGFMT.search(text) else {}


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
