"""Values as SQL literals.

Needles, regexps and label values are arbitrary bytes, which bound parameters cannot carry; so they
stand in the text, escaped byte by byte.
Source: https://clickhouse.com/docs/sql-reference/syntax#string
"""

from __future__ import annotations

from collections.abc import Iterable

_ESCAPES = {0x27: "\\'", 0x5C: "\\\\", 0x0A: "\\n", 0x09: "\\t", 0x0D: "\\r", 0x00: "\\0"}


def to_bytes(text: str) -> bytes:
    """A query's text as bytes; what was no UTF-8 comes back as it was."""
    return text.encode("utf-8", "surrogateescape")


def to_text(data: bytes) -> str:
    """Bytes of a body or label as text that `to_bytes` turns back into the same bytes."""
    return data.decode("utf-8", "surrogateescape")


def string(value: str | bytes) -> str:
    """A string literal, in ASCII."""
    data = value if isinstance(value, bytes) else to_bytes(value)
    return "'" + "".join(map(_character, data)) + "'"


def _character(byte: int) -> str:
    if byte in _ESCAPES:
        return _ESCAPES[byte]
    return chr(byte) if 0x20 <= byte < 0x7F else f"\\x{byte:02x}"


def array(values: Iterable[str]) -> str:
    """An array of expressions."""
    return f"[{', '.join(values)}]"


def all_of(conditions: Iterable[str]) -> str:
    """A conjunction; `1` where there are none."""
    return " AND ".join(f"({c})" for c in conditions if c != "1") or "1"


def any_of(conditions: Iterable[str]) -> str:
    """A disjunction; `0` where there are none."""
    return " OR ".join(f"({c})" for c in conditions) or "0"


def every(conditions: Iterable[str]) -> str:
    """A conjunction of which each part is computed for all rows.

    AND computes a part for those rows alone that the parts before it leave, and has to cut them out
    of its columns: right before what is costly and rarely needed, else dearer than what it spares.
    """
    parts = [f"({c})" for c in conditions if c != "1"]
    return f"least({', '.join(parts)})" if len(parts) > 1 else (parts or ["1"])[0]


def either(conditions: Iterable[str]) -> str:
    """A disjunction likewise; see every."""
    parts = [f"({c})" for c in conditions if c != "0"]
    return f"greatest({', '.join(parts)})" if len(parts) > 1 else (parts or ["0"])[0]


def timestamp(ns: int) -> str:
    """A time, as the type of `records.timestamp`."""
    return f"fromUnixTimestamp64Nano({ns}, 'UTC')"
