"""Texts of label values as numbers, in SQL: what filters compare and `unwrap` takes.

Loki reads numbers, durations and sizes with Go's functions (see logql.literals). SQL reads the
forms that lines really have; `plain` says which texts those are, and any other text is left to be
read row by row, errors included.
"""

from __future__ import annotations

from dataclasses import dataclass

from kelp.server.query.sql.text import array, string

_NUMBER = r"^[+-]?[0-9]{1,15}(?:\.[0-9]{1,15})?$"

# Each part stays below 2^63 ns: 99,999 h are 3.6e17 ns; of a fraction's digits, 9 of a second's and
# 6 of an hour's are whole nanoseconds that can be multiplied out.
_SHORT_PART = r"[0-9]{1,6}(?:\.[0-9]{1,9})?(?:ns|us|µs|μs|ms|s)"
_LONG_PART = r"[0-9]{1,5}(?:\.[0-9]{1,6})?[mh]"
_DURATION = rf"^[+-]?(?:{_SHORT_PART}|{_LONG_PART}){{1,4}}$|^[+-]?0$"
_PARTS = r"([0-9]+)\.?([0-9]*)(ns|us|µs|μs|ms|s|m|h)"
_UNITS = {
    "ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6,
    "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9,
}  # fmt: skip

_SIZE = (
    r"^(?:[0-9]{1,15}(?:\.[0-9]{1,9})?[ ]?[bB]?"
    r"|[0-9]{1,9}(?:\.[0-9]{1,9})?[ ]?[kKmMgG][iI]?[bB]?)$"
)
_SIZE_UNIT = r"([a-zA-Z]+)$"
_SIZES = {"": 1, "b": 1} | {
    f"{prefix}{infix}{b}": base**power
    for base, infix in ((1000, ""), (1024, "i"))
    for power, prefix in enumerate("kmg", 1)
    for b in ("", "b")
}


@dataclass(frozen=True, slots=True)
class Converted:
    """`value` is the number wherever `plain` holds of the text."""

    value: str
    plain: str


def number(text: str) -> Converted:
    """As strconv.ParseFloat, Float64."""
    return Converted(f"toFloat64OrZero({text})", f"match({text}, {string(_NUMBER)})")


def duration_ns(text: str) -> Converted:
    """As time.ParseDuration, Int64 nanoseconds."""
    units = array(map(string, _UNITS))
    scale = f"transform(g[3], {units}, {array(map(str, _UNITS.values()))}, 0)"
    fraction = f"intDiv(toInt64OrZero(g[2]) * {scale}, toInt64(exp10(length(g[2]))))"
    part = f"toInt64OrZero(g[1]) * {scale} + {fraction}"
    total = f"arraySum(g -> {part}, extractAllGroupsVertical({text}, {string(_PARTS)}))"
    value = f"if(startsWith({text}, '-'), -1, 1) * {total}"
    return Converted(value, f"match({text}, {string(_DURATION)})")


def duration_s(text: str) -> Converted:
    """The same as seconds, Float64."""
    ns = duration_ns(text)
    return Converted(f"toFloat64({ns.value}) / 1e9", ns.plain)


def size_bytes(text: str) -> Converted:
    """As humanize.ParseBytes, whole bytes as Float64."""
    digits = f"extract({text}, '^[0-9.]+')"
    unit = f"lower(extract({text}, {string(_SIZE_UNIT)}))"
    names, scales = array(map(string, _SIZES)), array(map(str, _SIZES.values()))
    value = f"floor(toFloat64OrZero({digits}) * transform({unit}, {names}, {scales}, 1))"
    return Converted(value, f"match({text}, {string(_SIZE)})")


CONVERSIONS = {
    "": number, "bytes": size_bytes, "duration": duration_s, "duration_seconds": duration_s,
}  # fmt: skip
