"""Go's types for what a template function is given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kelp.server.query.template.nodes import TemplateError
from kelp.server.query.template.printing import type_name
from kelp.server.query.template.times import Time

_KINDS: dict[str, tuple[type | tuple[type, ...], str]] = {
    "s": (str, "string"),
    "i": (int, "int"),
    "f": ((int, float), "float64"),
    "t": (Time, "time.Time"),
}


def typed(signature: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Check arguments: s text, i integer, f number, t time, a anything; `*` repeats the last."""
    repeats = signature.endswith("*")
    kinds = signature.rstrip("*")

    def wrap(function: Callable[..., Any]) -> Callable[..., Any]:
        def checked(*arguments: Any) -> Any:
            _check_count(len(arguments), len(kinds), repeats)
            for i, value in enumerate(arguments):
                _check_type(kinds[min(i, len(kinds) - 1)], value)
            return function(*arguments)

        return checked

    return wrap


def _check_count(got: int, wanted: int, repeats: bool) -> None:
    if repeats and got >= wanted - 1:
        return
    if got != wanted:
        least = f"at least {wanted - 1}" if repeats else str(wanted)
        raise TemplateError(f"wrong number of args: want {least} got {got}")


def _check_type(kind: str, value: Any) -> None:
    if kind == "a":
        return
    types, name = _KINDS[kind]
    if not isinstance(value, types) or isinstance(value, bool):
        raise TemplateError(f"wrong type for value; expected {name}; got {type_name(value)}")
