"""Tables as text: columns as wide as what stands in them, numbers to the right."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Iterator[str]:
    """The lines of a table with its header; values are shown as one line each."""
    cells = [[_text(value) for value in row] for row in rows]
    right = [_is_numeric(row[i] for row in rows) for i in range(len(columns))]
    widths = [
        max([width(name), *(width(row[i]) for row in cells)]) for i, name in enumerate(columns)
    ]
    for row in [list(columns), *cells]:
        padded = (
            _pad(cell, size, right=to_right)
            for cell, size, to_right in zip(row, widths, right, strict=True)
        )
        yield "  ".join(padded).rstrip()


def width(text: str) -> int:
    """Columns that a text takes on a terminal (wide characters take two)."""
    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in text)
    return len(text) + wide - sum(unicodedata.combining(c) > 0 for c in text)


def _text(value: object) -> str:
    if value is None:
        return "∅"
    if isinstance(value, float):
        return f"{value:g}" if value == int(value if abs(value) < 1e15 else 0) else repr(value)
    return "".join(c if c.isprintable() else _escaped(c) for c in str(value))


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()


def _is_numeric(values: Iterator[object]) -> bool:
    return all(isinstance(v, int | float) or v is None for v in values)


def _pad(text: str, size: int, *, right: bool) -> str:
    blank = " " * (size - width(text))
    return blank + text if right else text + blank
