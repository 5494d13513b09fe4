"""What an aggregation is asked as: without formats of lines that nobody reads, names noted.

Who looks at a pipeline's lines and wants their counts as well (Grafana's log volume) sends the
pipeline as it is, with the `line_format` that made the lines readable. Where no parser, filter or
count of bytes stands behind it, such a format changes no value, and to run it costs a template a
line. It is left out, as Loki leaves it out (pkg/logql/optimize.go), and so it cannot fail either.
Unlike there, it stays where a `label_format` behind it reads the line.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from kelp.server.query.logql import expressions as ast
from kelp.server.query.plan.implicit import with_uses

_OF_BYTES = ("bytes_over_time", "bytes_rate")
_READERS = (
    ast.LineFilter, ast.Json, ast.Logfmt, ast.Regexp, ast.Pattern, ast.Unpack, ast.Fields,
)  # fmt: skip


def prepared(node: ast.Metric) -> ast.Metric:
    """The expression as it is evaluated."""
    return with_uses(_without_idle_formats(node))


def _without_idle_formats(node: ast.Metric) -> ast.Metric:
    match node:
        case ast.RangeAggregation():
            return _range(node)
        case ast.VectorAggregation() | ast.LabelReplace():
            inner = _without_idle_formats(node.expression)
            return node if inner is node.expression else replace(node, expression=inner)
        case ast.BinaryOperation():
            left, right = _without_idle_formats(node.left), _without_idle_formats(node.right)
            if left is node.left and right is node.right:
                return node
            return replace(node, left=left, right=right)
        case _:
            return node


def _range(node: ast.RangeAggregation) -> ast.RangeAggregation:
    query = node.range.query
    left = _read_stages(query.stages)
    if node.op in _OF_BYTES or len(left) == len(query.stages):
        return node
    return replace(node, range=replace(node.range, query=replace(query, stages=left)))


def _read_stages(stages: Sequence[ast.Stage]) -> tuple[ast.Stage, ...]:
    """All but each `line_format` whose line is not read any more."""
    readers = [number for number, stage in enumerate(stages) if _reads_line(stage)]
    last = readers[-1] if readers else -1
    return tuple(
        stage
        for number, stage in enumerate(stages)
        if number < last or not isinstance(stage, ast.LineFormat)
    )


def _reads_line(stage: ast.Stage) -> bool:
    if isinstance(stage, ast.LabelFormat):
        return any("__line__" in a.value for a in stage.assignments if not a.rename)
    return isinstance(stage, _READERS)
