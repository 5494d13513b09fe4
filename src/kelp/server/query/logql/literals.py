"""Go's and Prometheus' literals: numbers, durations, sizes and quoted strings, to the letter.

A label filter converts label values with these rules and shows their error texts in
`__error_details__`, so both the values and the texts are Go's. Sources:
https://pkg.go.dev/time#ParseDuration, https://pkg.go.dev/strconv#ParseFloat,
https://pkg.go.dev/github.com/dustin/go-humanize#ParseBytes,
https://pkg.go.dev/github.com/prometheus/common/model#ParseDuration.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal

SECOND = 1_000_000_000
_MAX_NS = (1 << 63) - 1

# Fixed patterns of ours over short literals; what users give goes through RE2.
_FLOAT = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_SPECIAL = re.compile(r"[+-]?inf(?:inity)?|nan", re.ASCII | re.IGNORECASE)
_HEX_FLOAT = re.compile(
    r"[+-]?0[xX](?:_?[0-9a-fA-F])+(?:\.(?:_?[0-9a-fA-F])*)?[pP][+-]?\d(?:_?\d)*"
    r"|[+-]?0[xX]\.(?:[0-9a-fA-F]_?)+[pP][+-]?\d(?:_?\d)*",
    re.ASCII,
)


def parse_float(text: str) -> float:
    """strconv.ParseFloat(text, 64); ValueError with Go's text."""
    if _FLOAT.fullmatch(text) or _SPECIAL.fullmatch(text):
        value = float(text)
        if math.isinf(value) and not _SPECIAL.fullmatch(text):
            raise ValueError(f"strconv.ParseFloat: parsing {quote(text)}: value out of range")
        return value
    if _HEX_FLOAT.fullmatch(text):
        return float.fromhex(text.replace("_", ""))
    raise ValueError(f"strconv.ParseFloat: parsing {quote(text)}: invalid syntax")


def format_float(value: float) -> str:
    """strconv.FormatFloat(value, 'f', -1, 64): the shortest digits, never an exponent."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    if value == int(value) and abs(value) < 1e15:
        return str(int(value)) if value or math.copysign(1, value) > 0 else "-0"
    return format(Decimal(repr(value)), "f")


_GO_UNITS = {
    "ns": 1, "us": 1_000, "µs": 1_000, "μs": 1_000, "ms": 1_000_000,
    "s": SECOND, "m": 60 * SECOND, "h": 3600 * SECOND,
}  # fmt: skip
_GO_PART = re.compile(r"(\d*)(\.\d*)?([^\d.]*)", re.ASCII)


def parse_go_duration(text: str) -> int:
    """time.ParseDuration: nanoseconds; ValueError with Go's text."""
    body = text[1:] if text[:1] in ("+", "-") else text
    sign = -1 if text[:1] == "-" else 1
    if body == "0":
        return 0
    if not body:
        raise ValueError(f"time: invalid duration {quote(text)}")
    total = 0
    while body:
        part = _GO_PART.match(body)
        whole, fraction, unit = part.groups() if part else ("", "", "")
        if not whole and len(fraction or "") < 2:
            raise ValueError(f"time: invalid duration {quote(text)}")
        if not unit:
            raise ValueError(f"time: missing unit in duration {quote(text)}")
        if unit not in _GO_UNITS:
            raise ValueError(f"time: unknown unit {quote(unit)} in duration {quote(text)}")
        scale = _GO_UNITS[unit]
        total += int(whole or "0") * scale
        digits = (fraction or ".")[1:]
        if digits:
            total += int(digits) * scale // 10 ** len(digits)
        if total > _MAX_NS:
            raise ValueError(f"time: invalid duration {quote(text)}")
        body = body[part.end() if part else 0 :]
    return sign * total


_PROM_DURATION = re.compile(
    r"(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?", re.ASCII
)
_PROM_SCALE = (31_536_000_000, 604_800_000, 86_400_000, 3_600_000, 60_000, 1_000, 1)


def parse_prometheus_duration(text: str) -> int:
    """Prometheus' `5m`, `1d12h`: nanoseconds; ValueError with Prometheus' text."""
    if text == "0":
        return 0
    if not text:
        raise ValueError("empty duration string")
    match = _PROM_DURATION.fullmatch(text)
    if not match:
        raise ValueError(f"not a valid duration string: {quote(text)}")
    parts = zip(match.groups(), _PROM_SCALE, strict=True)
    total = sum(int(n) * scale for n, scale in parts if n) * 1_000_000
    if total > _MAX_NS:
        raise ValueError("duration out of range")
    return total


def parse_duration(text: str) -> int:
    """A duration as a query may write it: Prometheus' form first, then Go's."""
    try:
        return parse_prometheus_duration(text)
    except ValueError:
        return parse_go_duration(text)


def format_prometheus_duration(ns: int) -> str:
    """`90d`, `1m30s`: as Prometheus prints it; years and weeks only where they divide evenly."""
    ms, sign = abs(ns) // 1_000_000, "-" if ns < 0 else ""
    if ms == 0:
        return "0s"
    out = ""
    for unit, scale in zip(("y", "w", "d", "h", "m", "s", "ms"), _PROM_SCALE, strict=True):
        if unit in "yw" and ms % scale:
            continue
        if count := ms // scale:
            out += f"{count}{unit}"
            ms -= count * scale
    return sign + out


def format_go_duration(ns: int) -> str:
    """time.Duration.String: `1h30m0s`, `1.5s`, `250ms`."""
    if ns == 0:
        return "0s"
    sign, ns = ("-" if ns < 0 else ""), abs(ns)
    if ns < SECOND:
        unit, scale = next(
            (u, s) for u, s in (("ms", 1_000_000), ("µs", 1_000), ("ns", 1)) if ns >= s
        )
        return f"{sign}{_fraction(ns, scale)}{unit}"
    minutes, rest = divmod(ns, 60 * SECOND)
    hours, minutes = divmod(minutes, 60)
    out = f"{_fraction(rest, SECOND)}s"
    if minutes or hours:
        out = f"{minutes}m{out}"
    return sign + (f"{hours}h{out}" if hours else out)


def _fraction(ns: int, scale: int) -> str:
    whole, rest = divmod(ns, scale)
    if not rest:
        return str(whole)
    return f"{whole}.{str(rest).zfill(len(str(scale)) - 1).rstrip('0')}"


_SIZES = {"": 1, "b": 1} | {
    f"{prefix}{infix}{b}": base**power
    for base, infix in ((1000, ""), (1024, "i"))
    for power, prefix in enumerate("kmgtpe", 1)
    for b in ("", "b")
}


def parse_bytes(text: str) -> int:
    """humanize.ParseBytes: `3MB`, `2 KiB`, `1,000`; ValueError with its text."""
    end = 0
    while end < len(text) and (text[end].isdecimal() or text[end] in ".,"):
        end += 1
    number = parse_float(text[:end].replace(",", ""))
    unit = text[end:].strip().lower()
    if unit not in _SIZES:
        raise ValueError(f"unhandled size name: {unit}")
    value = number * _SIZES[unit]
    if value >= 1 << 64:
        raise ValueError(f"too large: {text}")
    return int(value)


def format_bytes(value: int) -> str:
    """A size that reads back as the same number: the largest unit that divides it, or bytes."""
    for power, prefix in ((5, "P"), (4, "T"), (3, "G"), (2, "M"), (1, "K")):
        for base, infix in ((1000, ""), (1024, "i")):
            if value and value % base**power == 0:
                return f"{value // base**power}{prefix}{infix}B"
    return f"{value}B"


_ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v",
            "\\": "\\", '"': '"', "'": "'"}  # fmt: skip
_ESCAPE_OF = {
    "\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v",
    "\\": "\\\\", '"': '\\"',
}  # fmt: skip
_NUMERIC = re.compile(r"([0-7]{3})|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})", re.ASCII)


def quote(text: str) -> str:
    """strconv.Quote: in double quotes, with Go's escapes for what cannot be printed."""
    return '"' + "".join(_quoted(c) for c in text) + '"'


def _quoted(char: str) -> str:
    if char in _ESCAPE_OF:
        return _ESCAPE_OF[char]
    if char.isprintable():
        return char
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that was no UTF-8 (surrogateescape)
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def unquote(token: str) -> str:
    """The text of a `"…"` or backtick literal; ValueError("invalid syntax") as Go has it.

    `\\xNN` and octal escapes give bytes: several may make one character, a lone one stays a byte
    (as a surrogate escape, which `str.encode("utf-8", "surrogateescape")` turns back).
    """
    body = token[1:-1]
    if token[0] == "`":
        return body
    if "\\" not in body:
        return body
    out = bytearray()
    at = 0
    while at < len(body):
        if body[at] != "\\":
            out += body[at].encode("utf-8", "surrogateescape")
            at += 1
            continue
        piece, at = _unescape(body, at + 1)
        out += piece
    return out.decode("utf-8", "surrogateescape")


def _unescape(body: str, at: int) -> tuple[bytes, int]:
    if body[at : at + 1] in _ESCAPES and body[at : at + 1] != "'":
        return _ESCAPES[body[at]].encode(), at + 1
    match = _NUMERIC.match(body, at)
    if not match:
        raise ValueError("invalid syntax")
    octal, byte, short, long = match.groups()
    if octal or byte:
        value = int(octal, 8) if octal else int(byte, 16)
        if value > 255:
            raise ValueError("invalid syntax")
        return bytes([value]), match.end()
    code = int(short or long, 16)
    if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
        raise ValueError("invalid syntax")
    return chr(code).encode(), match.end()
