"""What templates can call: text/template's own functions and Loki's.

Arguments have Go's types: a function that takes a text refuses a number. Sources:
https://pkg.go.dev/text/template#hdr-Functions,
https://grafana.com/docs/loki/latest/query/template_functions/.
"""

from __future__ import annotations

import base64
import binascii
import html
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote_plus, unquote_plus

from kelp.server.query.logql.literals import parse_bytes, parse_go_duration, quote
from kelp.server.query.logql.regexps import compile_regexp
from kelp.server.query.metric.replace import expand
from kelp.server.query.sql.text import to_bytes, to_text
from kelp.server.query.template.evaluate import MAX_TEXT, Function, truth
from kelp.server.query.template.nodes import TemplateError
from kelp.server.query.template.printf import sprintf
from kelp.server.query.template.printing import shown, sprint, type_name
from kelp.server.query.template.sprig import SPRIG, substituted
from kelp.server.query.template.times import SECOND, Time, parse_time, zone_of
from kelp.server.query.template.typed import ArgumentError, typed

# --- text/template's own ------------------------------------------------------


def _kind(value: Any) -> str:
    name = type_name(value)
    return {"int": "number", "float64": "float"}.get(name, name)


def _equal(first: Any, *others: Any) -> bool:
    if not others:
        raise TemplateError("missing argument for comparison")
    for other in others:
        if first is None or other is None:
            if first is other:
                return True
            continue
        if _kind(first) != _kind(other):
            raise TemplateError("incompatible types for comparison")
        if first == other:
            return True
    return False


def _less(first: Any, second: Any) -> bool:
    if _kind(first) != _kind(second) or _kind(first) not in ("number", "float", "string"):
        raise TemplateError("incompatible types for comparison")
    return bool(first < second)


def _length(value: Any) -> int:
    if isinstance(value, str):
        return len(to_bytes(value))
    if isinstance(value, list | dict):
        return len(value)
    raise TemplateError(f"len of type {type_name(value)}")


def _index(value: Any, *keys: Any) -> Any:
    for key in keys:
        if isinstance(value, dict):
            value = value.get(key, "" if isinstance(value, dict) and _all_text(value) else None)
            continue
        if not isinstance(value, list | str):
            raise TemplateError(f"can't index item of type {type_name(value)}")
        if not isinstance(key, int) or isinstance(key, bool):
            raise TemplateError(f"cannot index slice/array with type {type_name(key)}")
        if not 0 <= key < len(value):
            raise TemplateError(f"index out of range: {key}")
        value = to_bytes(value)[key] if isinstance(value, str) else value[key]
    return value


def _all_text(value: dict[Any, Any]) -> bool:
    return type(value) is not dict  # the labels; an object of fromJson is a plain dict


def _slice(value: Any, *bounds: int) -> Any:
    if not isinstance(value, list | str):
        raise TemplateError(f"can't slice item of type {type_name(value)}")
    whole: Any = to_bytes(value) if isinstance(value, str) else value
    low = bounds[0] if bounds else 0
    high = bounds[1] if len(bounds) > 1 else len(whole)
    if not 0 <= low <= high <= len(whole):
        raise TemplateError(f"index out of range: {high}")
    cut = whole[low:high]
    return to_text(cut) if isinstance(value, str) else cut


def _joined(values: tuple[Any, ...]) -> str:
    return values[0] if len(values) == 1 and isinstance(values[0], str) else sprint(values)


def _script(text: str) -> str:
    inner = json.dumps(text)[1:-1].replace("'", "\\'")
    for char in "<>&=":
        inner = inner.replace(char, f"\\u00{ord(char):02X}")
    return inner


def _markup(text: str) -> str:
    return html.escape(text).replace("&#x27;", "&#39;").replace("&quot;", "&#34;")


def _called(value: Any, *_: Any) -> Any:
    raise TemplateError(f"non-function of type {type_name(value)}")


_OWN: dict[str, Function] = {
    "call": _called,  # known when a template is read; nothing that it is given is a function
    "and": lambda first, *others: (first, *others)[-1],  # short-circuited where it is called
    "or": lambda first, *others: (first, *others)[-1],
    "not": lambda value: not truth(value),
    "len": _length,
    "index": _index,
    "slice": _slice,
    "print": lambda *values: sprint(values),
    "println": lambda *values: " ".join(shown(v, top=False) for v in values) + "\n",
    "printf": lambda template, *values: sprintf(_text(template), values),
    "html": lambda *values: _markup(_joined(values)),
    "js": lambda *values: _script(_joined(values)),
    "urlquery": lambda *values: quote_plus(_joined(values), safe="-_.~", errors="surrogateescape"),
    "eq": _equal,
    "ne": lambda first, second: not _equal(first, second),
    "lt": _less,
    "le": lambda first, second: _less(first, second) or _equal(first, second),
    "gt": lambda first, second: not (_less(first, second) or _equal(first, second)),
    "ge": lambda first, second: not _less(first, second),
}


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ArgumentError(0, "string", "string", value)
    return value


# --- Loki's -------------------------------------------------------------------


def _replaced(pattern: str, text: str, replacement: str, *, literally: bool) -> str:
    data, new = to_bytes(text), to_bytes(replacement)
    out: list[bytes] = []
    at = size = 0
    for match in compile_regexp(pattern).finditer(data):
        out += (data[at : match.start()], new if literally else expand(new, match))
        at = match.end()
        size += len(out[-1])
        if size > MAX_TEXT:
            raise TemplateError(f"more than {MAX_TEXT} characters")
    return to_text(b"".join(out) + data[at:])


def _unescaped_url(text: str) -> str:
    data = to_bytes(text)
    for i, byte in enumerate(data):
        if byte == 0x25 and not _is_hex(data[i + 1 : i + 3]):
            raise ValueError(f"invalid URL escape {quote(to_text(data[i : i + 3]))}")
    return unquote_plus(text, errors="surrogateescape")


def _is_hex(digits: bytes) -> bool:
    return len(digits) == 2 and all(d in b"0123456789abcdefABCDEF" for d in digits)


def _unix_to_time(text: str) -> Time:
    scale = {5: 86_400 * SECOND, 10: SECOND, 13: 1_000_000, 16: 1000, 19: 1}.get(len(text))
    body = text[1:] if text[:1] in ("+", "-") else text
    if not body.isdecimal() or not body.isascii():
        fault = f"strconv.ParseInt: parsing {quote(text)}: invalid syntax"
        raise ValueError(f"unable to parse time '{text}': {fault}")
    if scale is None:
        raise ValueError(f"unable to parse time '{text}': %!w(<nil>)")
    return Time(int(text) * scale)


def _aligned(width: int, text: str, *, left: bool) -> str:
    if width < 0 or width == len(text):
        return text
    if width > len(text):
        return text.ljust(min(width, 1 << 16)) if left else text.rjust(min(width, 1 << 16))
    return text[:width] if left else text[len(text) - width :]


def _decoded(text: str) -> str:
    rest = len(text) % 4
    if rest in (2, 3):
        text += "=" * (4 - rest)
    try:
        return to_text(base64.b64decode(to_bytes(text), validate=True))
    except (binascii.Error, ValueError):
        good = next((i for i, c in enumerate(text) if not (c.isalnum() or c in "+/=")), len(text))
        return f"illegal base64 data at input byte {good}"


def _seconds(text: str) -> float:
    return parse_go_duration(text) / SECOND


def _replace_n(text: str, old: str, new: str, count: int) -> str:
    return substituted(text, old, new, count)


_LOKI: dict[str, Function] = {
    "ToLower": typed("s")(str.lower),
    "ToUpper": typed("s")(str.upper),
    "Replace": typed("sssi")(_replace_n),
    "Trim": typed("ss")(str.strip),
    "TrimLeft": typed("ss")(str.lstrip),
    "TrimRight": typed("ss")(str.rstrip),
    "TrimPrefix": typed("ss")(str.removeprefix),
    "TrimSuffix": typed("ss")(str.removesuffix),
    "TrimSpace": typed("s")(str.strip),
    "regexReplaceAll": typed("sss")(lambda p, s, r: _replaced(p, s, r, literally=False)),
    "regexReplaceAllLiteral": typed("sss")(lambda p, s, r: _replaced(p, s, r, literally=True)),
    "count": typed("ss")(lambda p, s: sum(1 for _ in compile_regexp(p).finditer(to_bytes(s)))),
    "urldecode": typed("s")(_unescaped_url),
    "urlencode": typed("s")(lambda s: quote_plus(s, safe="-_.~", errors="surrogateescape")),
    "bytes": typed("s")(lambda s: float(parse_bytes(s))),
    "duration": typed("s")(_seconds),
    "duration_seconds": typed("s")(_seconds),
    "unixEpochMillis": typed("t")(lambda t: str(t.ns // 1_000_000)),
    "unixEpochNanos": typed("t")(lambda t: str(t.ns)),
    "toDateInZone": typed("sss")(lambda layout, zone, s: parse_time(layout, s, zone_of(zone))),
    "unixToTime": typed("s")(_unix_to_time),
    "alignLeft": typed("is")(lambda n, s: _aligned(n, s, left=True)),
    "alignRight": typed("is")(lambda n, s: _aligned(n, s, left=False)),
    "b64dec": typed("s")(_decoded),
}

LINE = "__line__"
TIMESTAMP = "__timestamp__"
FUNCTIONS: dict[str, Callable[..., Any]] = {**_OWN, **SPRIG, **_LOKI}
NAMES = frozenset({*FUNCTIONS, LINE, TIMESTAMP})
