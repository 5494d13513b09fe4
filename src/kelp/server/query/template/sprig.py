"""The functions that Loki takes from sprig. Source: https://masterminds.github.io/sprig/."""

from __future__ import annotations

import base64
import json
import math
import re
import time
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Any

from kelp.server.query.logql.literals import parse_float
from kelp.server.query.sql.text import to_bytes, to_text
from kelp.server.query.template.evaluate import MAX_TEXT, Function, truth
from kelp.server.query.template.nodes import TemplateError
from kelp.server.query.template.times import SECOND, Time, parse_time
from kelp.server.query.template.typed import typed

_MAX_REPEAT = 1 << 20
_MAX_INT = 1 << 63
_DECIMAL = re.compile(r"([+-]?[0-9]*)\.[0-9]*")
_OCTAL = re.compile(r"([+-]?)0(_?[0-7]+(?:_[0-7]+)*)")
_INTEGER = re.compile(r"[+-]?[0-9][0-9A-Za-z_]*")  # int() reads other digits, and blanks around


def to_int(value: Any) -> int:
    """cast.ToInt64: a text as Go writes integers (`012` is octal), its fraction cut; else 0."""
    if isinstance(value, str):
        decimal = _DECIMAL.fullmatch(value)
        return _parsed_int(decimal[1] if decimal else value)
    if isinstance(value, float):
        return int(value) if abs(value) < _MAX_INT else -_MAX_INT
    return int(value) if isinstance(value, int) else 0


def _parsed_int(text: str) -> int:
    """strconv.ParseInt(text, 0, 64), or 0 where it fails."""
    if not _INTEGER.fullmatch(text):
        return 0
    octal = _OCTAL.fullmatch(text)
    try:
        number = int(f"{octal[1]}0o{octal[2]}" if octal else text, 0)
    except ValueError:
        return 0
    return number if -_MAX_INT <= number < _MAX_INT else 0


def _wrapped(value: int) -> int:
    return (value + _MAX_INT) % (1 << 64) - _MAX_INT


def to_float(value: Any) -> float:
    """cast.ToFloat64: 0 for what is no number."""
    if isinstance(value, str):
        try:
            return parse_float(value)
        except ValueError:
            return 0.0
    return float(value) if isinstance(value, int | float) else 0.0


def _divide(a: Any, b: Any) -> int:
    left, right = to_int(a), to_int(b)
    if right == 0:
        raise TemplateError("runtime error: integer divide by zero")
    quotient = abs(left) // abs(right)
    return quotient if (left < 0) == (right < 0) else -quotient


def _remainder(a: Any, b: Any) -> int:
    if to_int(b) == 0:
        raise TemplateError("runtime error: integer divide by zero")
    return to_int(a) - _divide(a, b) * to_int(b)


def _product(first: Any, *others: Any) -> int:
    out = to_int(first)
    for other in others:
        out = _wrapped(out * to_int(other))
    return out


_EXACT = Context(prec=1200)


def _decimals(values: tuple[Any, ...]) -> list[Decimal]:
    numbers = [to_float(v) for v in values]
    if not all(map(math.isfinite, numbers)):
        raise TemplateError("Cannot create a Decimal from a value that is not finite")
    return [Decimal(repr(n)) for n in numbers]


def _addf(*values: Any) -> float:
    total = Decimal(0)
    for number in _decimals(values):
        total = _EXACT.add(total, number)
    return float(total)


def _subf(first: Any, *others: Any) -> float:
    total, *rest = _decimals((first, *others))
    for number in rest:
        total = _EXACT.subtract(total, number)
    return float(total)


def _mulf(first: Any, *others: Any) -> float:
    total, *rest = _decimals((first, *others))
    for number in rest:
        total = _EXACT.multiply(total, number)
    return float(total)


def _divf(first: Any, *others: Any) -> float:
    total, *rest = _decimals((first, *others))
    for number in rest:
        if not number:
            raise TemplateError("decimal division by 0")
        total = _EXACT.divide(total, number).quantize(
            Decimal(1).scaleb(-16), rounding=ROUND_HALF_UP, context=_EXACT
        )
    return float(total)


def _round(value: Any, places: int, threshold: float = 0.5) -> float:
    scale = math.pow(10, max(min(places, 300), -300))
    digit = scale * to_float(value)
    if not math.isfinite(digit):
        return digit
    rest = math.modf(digit)[0]
    return (math.ceil(digit) if rest >= threshold else math.floor(digit)) / scale


def _truncated(count: int, text: str) -> str:
    data = to_bytes(text)
    if count < 0 and len(data) + count > 0:
        return to_text(data[count:])
    if 0 <= count < len(data):
        return to_text(data[:count])
    return text


def _substring(start: int, end: int, text: str) -> str:
    data = to_bytes(text)
    if start < 0:
        return to_text(data[: max(end, 0)])
    if end < 0 or end > len(data):
        end = len(data)
    if start > end:
        raise TemplateError(f"runtime error: slice bounds out of range [{start}:{end}]")
    return to_text(data[start:end])


def substituted(text: str, old: str, new: str, count: int = -1) -> str:
    """strings.Replace; TemplateError where the text would grow beyond all measure."""
    places = text.count(old)
    places = places if count < 0 else min(places, count)
    if len(text) + places * (len(new) - len(old)) > MAX_TEXT:
        raise TemplateError(f"more than {MAX_TEXT} characters")
    return text.replace(old, new, count)


def _indent(spaces: int, text: str) -> str:
    pad = " " * min(max(spaces, 0), _MAX_REPEAT)
    return pad + substituted(text, "\n", "\n" + pad)


def _repeated(count: int, text: str) -> str:
    if count < 0:
        raise TemplateError("strings: negative Repeat count")
    if count * len(text) > _MAX_REPEAT:
        raise TemplateError(f"strings: expected at most {_MAX_REPEAT} characters")
    return text * count


def _title(text: str) -> str:
    out, fresh = [], True
    for char in text:
        out.append(char.title() if fresh else char)
        fresh = not (char.isalnum() or char in "_'")
    return "".join(out)


def _from_json(text: str) -> Any:
    try:
        return json.loads(text, parse_int=float)
    except (ValueError, RecursionError):
        return None


def _default(fallback: Any, *given: Any) -> Any:
    return given[0] if given and truth(given[0]) else fallback


def _now() -> Time:
    return Time(time.time_ns())


def _date(layout: str, value: Any) -> str:
    if isinstance(value, Time):
        return value.format(layout)
    if isinstance(value, int) and not isinstance(value, bool):
        return Time(value * SECOND).format(layout)
    return _now().format(layout)


def _extreme(pick: Any, convert: Any) -> Function:
    return lambda first, *others: pick(map(convert, (first, *others)))


SPRIG: dict[str, Function] = {
    "b64enc": typed("s")(lambda s: base64.b64encode(to_bytes(s)).decode()),
    "lower": typed("s")(str.lower),
    "upper": typed("s")(str.upper),
    "title": typed("s")(_title),
    "trunc": typed("is")(_truncated),
    "substr": typed("iis")(_substring),
    "contains": typed("ss")(lambda part, s: part in s),
    "hasPrefix": typed("ss")(lambda part, s: s.startswith(part)),
    "hasSuffix": typed("ss")(lambda part, s: s.endswith(part)),
    "indent": typed("is")(_indent),
    "nindent": typed("is")(lambda n, s: "\n" + _indent(n, s)),
    "replace": typed("sss")(lambda old, new, s: substituted(s, old, new)),
    "repeat": typed("is")(_repeated),
    "trim": typed("s")(str.strip),
    "trimAll": typed("ss")(lambda cut, s: s.strip(cut)),
    "trimSuffix": typed("ss")(lambda part, s: s.removesuffix(part)),
    "trimPrefix": typed("ss")(lambda part, s: s.removeprefix(part)),
    "int": typed("a")(to_int),
    "float64": typed("a")(to_float),
    "add": lambda *values: _wrapped(sum(map(to_int, values))),
    "sub": typed("aa")(lambda a, b: _wrapped(to_int(a) - to_int(b))),
    "mul": _product,
    "div": typed("aa")(_divide),
    "mod": typed("aa")(_remainder),
    "addf": _addf,
    "subf": _subf,
    "mulf": _mulf,
    "divf": _divf,
    "max": _extreme(max, to_int),
    "min": _extreme(min, to_int),
    "maxf": _extreme(max, to_float),
    "minf": _extreme(min, to_float),
    "ceil": typed("a")(lambda v: float(math.ceil(to_float(v)))),
    "floor": typed("a")(lambda v: float(math.floor(to_float(v)))),
    "round": typed("aif*")(_round),
    "fromJson": typed("s")(_from_json),
    "date": typed("sa")(_date),
    "toDate": typed("ss")(parse_time),
    "now": typed("")(_now),
    "unixEpoch": typed("t")(lambda t: str(t.ns // SECOND)),
    "default": _default,
}
