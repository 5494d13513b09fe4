"""What template functions take: how many arguments, and Go's types for them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from kelp.server.query.template.nodes import TemplateError
from kelp.server.query.template.printing import type_name
from kelp.server.query.template.times import Time

_KINDS: dict[str, tuple[type | tuple[type, ...], str, str]] = {
    "s": (str, "string", "string"),
    "i": (int, "int", "integer"),
    "f": ((int, float), "float64", "float"),
    "t": (Time, "time.Time", "time.Time"),
}


class ArgumentError(TemplateError):
    """The argument at `index` has a type that the function does not take.

    `expected` is the type's name, `kind` what Go calls a constant of it.
    """

    def __init__(self, index: int, expected: str, kind: str, value: Any) -> None:
        super().__init__(
            f"invalid value; expected {expected}"
            if value is None
            else f"wrong type for value; expected {expected}; got {type_name(value)}"
        )
        self.index = index
        self.expected = expected
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Signature:
    """`least` arguments, and no more unless `variadic`."""

    least: int
    variadic: bool

    def check_count(self, name: str, written: int, *, piped: bool) -> None:
        """TemplateError for a wrong number of arguments; `piped`: one more comes by a bar."""
        got = written + piped
        if self.variadic:
            if got < self.least:
                raise TemplateError(
                    f"wrong number of args for {name}: want at least {self.least} got {written}"
                )
        elif got != self.least:
            raise TemplateError(f"wrong number of args for {name}: want {self.least} got {got}")


@lru_cache(maxsize=512)
def signature_of(function: Callable[..., Any]) -> Signature:
    """What a function of templates takes."""
    known = getattr(function, "signature", None)
    if isinstance(known, Signature):
        return known
    parameters = inspect.signature(function).parameters.values()
    variadic = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    return Signature(sum(p.kind is not p.VAR_POSITIONAL for p in parameters), variadic)


def typed(signature: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Check types: s text, i integer, f number, t time, a anything; `*`: the last may repeat."""
    variadic = signature.endswith("*")
    kinds = signature.rstrip("*")

    def wrap(function: Callable[..., Any]) -> Callable[..., Any]:
        def checked(*arguments: Any) -> Any:
            for i, value in enumerate(arguments):
                _check_type(i, kinds[min(i, len(kinds) - 1)], value)
            return function(*arguments)

        checked.signature = Signature(len(kinds) - variadic, variadic)  # type: ignore[attr-defined] # functions have room for it
        return checked

    return wrap


def _check_type(index: int, kind: str, value: Any) -> None:
    if kind == "a":
        return
    types, expected, name = _KINDS[kind]
    if not isinstance(value, types) or isinstance(value, bool):
        raise ArgumentError(index, expected, name, value)
