"""How Go prints values: fmt's %v and its other verbs, over the few types that templates know.

Which value a verb of a format takes, and how wide, is for `printf`.

Source: https://pkg.go.dev/fmt#hdr-Printing
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from kelp.server.query.logql.literals import format_float, quote
from kelp.server.query.template.times import Time

NO_VALUE = "<no value>"
_SHORTEST_PRECISION = 6  # what strconv compares the exponent with for %g of the shortest digits


def type_name(value: Any) -> str:
    """Go's name of a value's type."""
    for kind, name in (
        (bool, "bool"), (int, "int"), (float, "float64"), (str, "string"), (Time, "time.Time"),
        (dict, "map[string]interface {}"), (list, "[]interface {}"),
    ):  # fmt: skip
        if isinstance(value, kind):
            return name
    return "<nil>"


def shown(value: Any, *, top: bool = True) -> str:
    """%v; at the top of a template's output nil is `<no value>`."""
    if value is None:
        return NO_VALUE if top else "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return shown_float(value)
    if isinstance(value, list):
        return "[" + " ".join(shown(v, top=False) for v in value) + "]"
    if isinstance(value, dict):
        inner = (f"{k}:{shown(v, top=False)}" for k, v in sorted(value.items()))
        return "map[" + " ".join(inner) + "]"
    return str(value)


def shown_float(value: float) -> str:
    """%v of a float: the shortest digits, with an exponent below 1e-4 and from 1e6 on."""
    if math.isnan(value) or math.isinf(value) or value == 0:
        return format_float(value)
    digits = Decimal(repr(value)).as_tuple()
    exponent = len(digits.digits) + int(digits.exponent) - 1
    if -4 <= exponent < _SHORTEST_PRECISION:
        return format_float(value)
    return _with_exponent(f"{Decimal(repr(value)).normalize():e}")


def _with_exponent(text: str) -> str:
    mantissa, _, exponent = text.partition("e")
    sign = exponent[0] if exponent[0] in "+-" else "+"
    return f"{mantissa}e{sign}{exponent.lstrip('+-').zfill(2)}"


def sprint(values: Sequence[Any]) -> str:
    """fmt.Sprint: a blank between two operands where neither is a string."""
    out = ""
    for i, value in enumerate(values):
        if i and not isinstance(value, str) and not isinstance(values[i - 1], str):
            out += " "
        out += shown(value, top=False)
    return out


def padded(text: str, flags: str, width: int | None, *, numeric: bool) -> str:
    """A verb's text, brought to its width."""
    if width is None or len(text) >= abs(width):
        return text
    if "-" in flags or width < 0:
        return text.ljust(abs(width))
    if "0" in flags and numeric:
        sign = text[:1] if text[:1] in ("+", "-") else ""
        return sign + text[len(sign) :].rjust(width - len(sign), "0")
    return text.rjust(width)


def _wrong(verb: str, value: Any) -> str:
    if value is None:
        return f"%!{verb}(<nil>)"
    return f"%!{verb}({type_name(value)}={shown(value, top=False)})"


def formatted(verb: str, value: Any, flags: str, precision: int | None) -> str:
    """What a verb makes of a value, or Go's mark where it does not fit."""
    if verb == "v":
        if "#" in flags and isinstance(value, str):
            return quote(value)
        return shown(value, top=False)
    if verb == "T":
        return type_name(value)
    if isinstance(value, bool):
        return shown(value) if verb == "t" else _wrong(verb, value)
    if isinstance(value, str | Time):
        return _text(verb, str(value), value, precision)
    if isinstance(value, int):
        return _integer(verb, value, flags)
    if isinstance(value, float):
        return _float(verb, value, flags, precision)
    if isinstance(value, list) and verb in "sdqfx":
        return "[" + " ".join(formatted(verb, v, flags, precision) for v in value) + "]"
    return _wrong(verb, value)


def _text(verb: str, text: str, value: Any, precision: int | None) -> str:
    cut = text if precision is None else text[:precision]
    match verb:
        case "s":
            return cut
        case "q":
            return quote(cut)
        case "x" | "X":
            digits = cut.encode("utf-8", "surrogateescape").hex()
            return digits.upper() if verb == "X" else digits
        case _:
            return _wrong(verb, value)


def _signed(text: str, value: float, flags: str) -> str:
    if value < 0 or text.startswith("-"):
        return text
    return f"+{text}" if "+" in flags else f" {text}" if " " in flags else text


def _integer(verb: str, value: int, flags: str) -> str:
    if verb == "c":
        return chr(value) if 0 <= value < 0x110000 else "\ufffd"
    if verb == "q":
        return f"'{chr(value)}'" if 0 <= value < 0x110000 else "'\ufffd'"
    if verb == "U":
        return f"U+{value:04X}"
    base = {"d": "d", "x": "x", "X": "X", "b": "b", "o": "o"}.get(verb)
    if base is None:
        return _wrong(verb, value)
    prefix = {"x": "0x", "X": "0X", "b": "0b", "o": "0"}.get(verb, "") if "#" in flags else ""
    sign = "-" if value < 0 else ""
    return _signed(f"{sign}{prefix}{abs(value):{base}}", value, flags)


def _float(verb: str, value: float, flags: str, precision: int | None) -> str:
    if verb not in "fFeEgG":
        return _wrong(verb, value)
    if math.isnan(value) or math.isinf(value):
        return format_float(value)
    if verb in "fF":
        text = f"{value:.{6 if precision is None else precision}f}"
    elif verb in "eE":
        text = f"{value:.{6 if precision is None else precision}{verb}}"
    elif precision is None:
        text = shown_float(value)
    else:
        text = f"{value:.{max(precision, 1)}{verb}}"
    return _signed(text, value, flags)
