"""What `kelp query --explain` prints: the plan as a tree, the SQL, and what it would read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

# Keys of a plan's node that are drawn otherwise, or say nothing where they are empty.
_DRAWN = ("operation", "of")
_UNITS = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))


def explain_lines(answer: dict[str, Any]) -> Iterator[str]:
    """Lines for people, of the answer of /kelp/v1/explain."""
    yield answer["query"]
    yield from _tree(answer["plan"], "  ")
    estimate = answer["estimate"]
    yield f"reads about {estimate['rows']:,} rows, {_size(estimate['bytes'])} before compression"
    for number, sql in enumerate(answer["sql"], 1):
        yield f"SQL {number}:"
        yield f"  {sql}"


def _tree(node: dict[str, Any], indent: str) -> Iterator[str]:
    yield f"{indent}{node['operation']}"
    for key, value in node.items():
        if key not in _DRAWN and value not in ([], None, ""):
            yield f"{indent}  {_shown(key, value)}"
    for child in node.get("of", ()):
        yield from _tree(child, indent + "  ")


def _shown(key: str, value: Any) -> str:
    name = key.removesuffix("_ns").replace("_", " ")
    if key.endswith("_ns"):
        return f"{name}: {value / 1e9:g} s"
    return f"{name}: {'  '.join(value) if isinstance(value, list) else value}"


def _size(count: int) -> str:
    for factor, unit in _UNITS:
        if count >= factor:
            return f"{count / factor:.1f} {unit}"
    return f"{count} bytes"
