"""Values as SQL text. What users give is bound as a parameter instead, wherever that is possible.

Literals: https://clickhouse.com/docs/sql-reference/syntax#string
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ESCAPES = {
    0x5C: b"\\\\",
    0x27: b"\\'",
    0x00: b"\\0",
    0x09: b"\\t",
    0x0A: b"\\n",
    0x0D: b"\\r",
}


def literal(value: str | bytes) -> str:
    """A string literal; bytes that are no printable ASCII stand as \\xHH."""
    data = value.encode() if isinstance(value, str) else value
    return "'" + "".join(map(_byte, data)) + "'"


def _byte(byte: int) -> str:
    if byte in _ESCAPES:
        return _ESCAPES[byte].decode()
    return chr(byte) if 0x20 <= byte < 0x7F else f"\\x{byte:02x}"


def identifier(name: str) -> str:
    """A quoted identifier."""
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


def settings_clause(settings: Mapping[str, Any]) -> str:
    """`SETTINGS a = 1, b = 'x'`, empty where there are none; ValueError for a name that is none."""
    return "SETTINGS " + ", ".join(_setting(*item) for item in settings.items()) if settings else ""


def _setting(name: str, value: Any) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(f"expected the name of a setting; got {name!r}")
    if isinstance(value, str):
        return f"{name} = {literal(value)}"
    return f"{name} = {int(value) if isinstance(value, bool) else value}"
