"""Label filters as conditions over fields, with the lines whose values SQL does not convert.

A value that is no plain number would make an error, and what errors do is told row by row: such a
line is not sound.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from kelp.server.query.logql import expressions as ast
from kelp.server.query.logql.literals import format_float
from kelp.server.query.pipeline.row import ERROR
from kelp.server.query.sql.fields import ABSENT, Field
from kelp.server.query.sql.text import either, every, string
from kelp.server.query.sql.values import Converted, duration_ns, number, size_bytes

_COMPARE = {"=": "=", "!=": "!=", ">": ">", ">=": ">=", "<": "<", "<=": "<="}


@dataclass(frozen=True, slots=True)
class Condition:
    """`sql` says whether the filter holds, on lines where `sound` does."""

    sql: str
    sound: str = "1"


def filter_condition(node: ast.Filter, fields: Mapping[str, Field], error: str) -> Condition | None:
    """The filter over the fields; None where SQL cannot say it (ip)."""
    match node:
        case ast.Matcher():
            value = error if node.name == ERROR else fields[node.name].text
            return Condition(pipeline_matcher(node, value))
        case ast.NumberFilter():
            wanted = f"toFloat64({string(format_float(node.value))})"
            return _converted(node.op, _field(node, fields), number, wanted)
        case ast.DurationFilter():
            return _converted(node.op, _field(node, fields), duration_ns, str(node.value))
        case ast.BytesFilter():
            wanted = f"toFloat64({node.value})"
            return _converted(node.op, _field(node, fields), size_bytes, wanted)
        case ast.And() | ast.Or():
            left = filter_condition(node.left, fields, error)
            right = filter_condition(node.right, fields, error)
            if left is None or right is None:
                return None
            word = "AND" if isinstance(node, ast.And) else "OR"
            return Condition(f"({left.sql}) {word} ({right.sql})", every([left.sound, right.sound]))
        case _:
            return None


def _field(
    node: ast.NumberFilter | ast.DurationFilter | ast.BytesFilter, fields: Mapping[str, Field]
) -> Field:
    """What the filter converts; an error is no label, and only a text filter sees it."""
    return ABSENT if node.name == ERROR else fields[node.name]


def pipeline_matcher(node: ast.Matcher, value: str) -> str:
    """A matcher of the pipeline: unlike in a selector, its dot does not match a line's end."""
    if node.op in ("=", "!="):
        return f"{value} {node.op} {string(node.value)}"
    source = f"^(?-s:{node.value})$" if "." in node.value else f"^(?:{node.value})$"
    found = f"match({value}, {string(source)})"
    return found if node.op == "=~" else f"NOT {found}"


def _converted(
    op: str, field: Field, convert: Callable[[str], Converted], wanted: str
) -> Condition:
    found = convert(field.value)
    compared = f"{found.value} {_COMPARE[op]} {wanted}"
    there = f"({field.present})"
    return Condition(every([there, compared]), either([f"NOT {there}", found.plain]))
