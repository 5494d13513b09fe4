"""`explain`: what answering a query would do, without doing it.

The same code that answers runs against an engine that only finds streams; every question about
records is written down instead of being asked.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from kelp.server.query.logql import expressions as ast
from kelp.server.query.logql.printer import filter_text, stage_text, to_text
from kelp.server.query.metric.frame import Steps
from kelp.server.query.plan import logs
from kelp.server.query.plan.context import Context
from kelp.server.query.plan.grouping import Kept, is_additive, kept_labels
from kelp.server.query.plan.implicit import settled, settled_range
from kelp.server.query.plan.metrics import evaluate
from kelp.server.query.plan.prefilter import Prefilter, prefilter
from kelp.server.query.plan.prepare import prepared
from kelp.server.query.plan.pushdown import push_down
from kelp.server.query.run import Run
from kelp.server.query.streams import Selected


@dataclass(frozen=True, slots=True)
class Asked:
    """The request that is explained; a step of 0 makes a metric query an instant one."""

    start_ns: int
    end_ns: int
    step_ns: int
    limit: int
    backward: bool


class DryRun(Run):
    """Asks for streams alone."""

    def __init__(self, inner: Run) -> None:
        super().__init__(inner._engine, inner._budget, inner._clock, inner.query_id)
        self.questions: list[str] = []

    def ask(self, sql: str) -> pa.Table:
        """See Run; of records, nothing is found."""
        if " FROM records " not in sql:
            return super().ask(sql)
        self.questions.append(sql)
        return pa.table({})


def explain(expression: ast.Expression, context: Context, asked: Asked) -> dict[str, Any]:
    """The plan as a tree, the SQL in the order of asking, and what the engine thinks of it."""
    dry = DryRun(context.run)
    _answer(expression, replace(context, run=dry), asked)
    estimates = [_estimate(context, sql) for sql in dry.questions]
    return {
        "query": to_text(expression),
        "plan": _plan(expression, context, asked),
        "sql": dry.questions,
        "estimate": {
            "rows": sum(e["rows"] for e in estimates),
            "bytes": sum(e["bytes"] for e in estimates),
        },
    }


def _answer(expression: ast.Expression, context: Context, asked: Asked) -> None:
    if isinstance(expression, ast.LogQuery):
        found = logs.entries(
            expression, context, start_ns=asked.start_ns, end_ns=asked.end_ns,
            limit=asked.limit, backward=asked.backward,
        )  # fmt: skip
        logs.by_stream(found, context)
        return
    step = asked.step_ns
    count = (asked.end_ns - asked.start_ns) // step + 1 if step else 1
    steps = Steps(asked.start_ns if step else asked.end_ns, step or 1, count)
    evaluate(prepared(expression), steps, context, instant=not step)


def _estimate(context: Context, sql: str) -> dict[str, int]:
    """Rows that the primary key leaves, and their share of the table's bytes."""
    table = context.run.ask(f"EXPLAIN ESTIMATE {sql}")
    rows = sum(int(v) for v in table.column("rows").to_pylist()) if table.num_rows else 0
    size = context.run.ask(
        "SELECT sum(data_uncompressed_bytes) AS bytes, sum(rows) AS rows FROM system.parts "
        "WHERE active AND database = currentDatabase() AND table LIKE 'records%'"
    )
    total_rows = int(size.column("rows")[0].as_py() or 0)
    total = int(size.column("bytes")[0].as_py() or 0)
    return {"rows": rows, "bytes": rows * total // total_rows if total_rows else 0}


def _plan(expression: ast.Expression, context: Context, asked: Asked) -> dict[str, Any]:
    if isinstance(expression, ast.LogQuery):
        return {"operation": "records", **_pipeline(expression, context, asked)}
    return _metric_plan(prepared(expression), context, asked)


def _metric_plan(node: ast.Metric, context: Context, asked: Asked) -> dict[str, Any]:
    match node:
        case ast.RangeAggregation():
            return _range_plan(node, kept_labels(node, None, pushed=False), context, asked)
        case ast.VectorAggregation():
            child = node.expression
            if isinstance(child, ast.RangeAggregation) and is_additive(node.op, child):
                kept = kept_labels(child, node.grouping, pushed=True)
                return {"operation": node.op, "of": [_range_plan(child, kept, context, asked)]}
            return {"operation": node.op, "of": [_metric_plan(child, context, asked)]}
        case ast.LabelReplace():
            inner = _metric_plan(node.expression, context, asked)
            return {"operation": "label_replace", "of": [inner]}
        case ast.BinaryOperation():
            return {
                "operation": node.op,
                "of": [_metric_plan(side, context, asked) for side in (node.left, node.right)],
            }
        case _:
            return {"operation": "number", "value": node.value}


def _range_plan(
    node: ast.RangeAggregation, kept: Kept, context: Context, asked: Asked
) -> dict[str, Any]:
    """Where SQL follows all stages, no line goes through them but what SQL does not read alike."""
    reach_ns = node.range.range_ns + max(node.range.offset_ns, 0)
    asked = replace(asked, start_ns=asked.start_ns - reach_ns)
    selected = _selected(node.range.query, context, asked)
    node = settled_range(node, selected)
    before = prefilter(node.range.query.stages, context.dialect, selected)
    told = _told(node.range.query, before)
    derive = context.settings.derive_detected_level
    if before.rest and push_down(node, kept, before.rest, selected, derive_level=derive):
        told["in_sql"] = [*before.conditions, *told["row_by_row"]]
        told["row_by_row"] = []
    return {
        "operation": node.op,
        "range_ns": node.range.range_ns,
        "offset_ns": node.range.offset_ns,
        **told,
        **(_unwrap(node.range.unwrap) if node.range.unwrap else {}),
    }


def _unwrap(node: ast.Unwrap) -> dict[str, Any]:
    return {"unwrap": node.label, "unwrap_filters": [filter_text(f) for f in node.filters]}


def _pipeline(query: ast.LogQuery, context: Context, asked: Asked) -> dict[str, Any]:
    selected = _selected(query, context, asked)
    stages = settled(query.stages, selected.labels)
    return _told(query, prefilter(stages, context.dialect, selected))


def _selected(query: ast.LogQuery, context: Context, asked: Asked) -> Selected:
    return context.streams.select(
        context.run, context.scope, query.matchers, asked.start_ns, asked.end_ns
    )


def _told(query: ast.LogQuery, before: Prefilter) -> dict[str, Any]:
    return {
        "selector": to_text(ast.LogQuery(query.matchers)),
        "in_sql": [*before.conditions, *before.read],
        "row_by_row": [stage_text(s) for s in before.rest],
    }
