"""Kinds of parameters: how the text of a request becomes a value, and how OpenAPI calls it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kelp.server.http.times import parse_duration, parse_time


@dataclass(frozen=True)
class Kind:
    """`parse` raises ValueError where the text is not `expected`."""

    expected: str
    parse: Callable[[str], Any]
    schema: dict[str, Any]


def _integer(text: str) -> int:
    # Python's int() takes underscores and blanks and any digits of Unicode; nobody means these.
    digits = text.removeprefix("-").removeprefix("+")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 18):
        raise ValueError("no integer")
    return int(text)


def _boolean(text: str) -> bool:
    if text.lower() in ("true", "1", "yes"):
        return True
    if text.lower() in ("false", "0", "no"):
        return False
    raise ValueError("no boolean")


def at_least(minimum: int, most: int = 1 << 62) -> Kind:
    """An integer within bounds."""

    def parse(text: str) -> int:
        value = _integer(text)
        if not minimum <= value <= most:
            raise ValueError("out of bounds")
        return value

    bound = f"an integer of at least {minimum}"
    schema: dict[str, Any] = {"type": "integer", "minimum": minimum}
    if most < 1 << 62:
        bound = f"an integer from {minimum} to {most}"
        schema["maximum"] = most
    return Kind(bound, parse, schema)


def one_of(*choices: str) -> Kind:
    """One of a few words, in any case."""

    def parse(text: str) -> str:
        if text.lower() not in choices:
            raise ValueError("no such choice")
        return text.lower()

    return Kind(" or ".join(choices), parse, {"type": "string", "enum": list(choices)})


def _positive_duration(text: str) -> int:
    value = parse_duration(text)
    if value <= 0:
        raise ValueError("not above zero")
    return value


def _no_negative_duration(text: str) -> int:
    value = parse_duration(text)
    if value < 0:
        raise ValueError("below zero")
    return value


TEXT = Kind("text", str, {"type": "string"})
TIME = Kind(
    "a time: nanoseconds or seconds since 1970, or RFC 3339", parse_time, {"type": "string"}
)
DURATION = Kind(
    "a duration above zero like 1h30m, or seconds", _positive_duration, {"type": "string"}
)
DELAY = Kind("a duration like 500ms, or seconds", _no_negative_duration, {"type": "string"})
BOOLEAN = Kind("true or false", _boolean, {"type": "boolean"})
