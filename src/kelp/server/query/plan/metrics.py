"""A metric expression to a frame, from its leaves up."""

from __future__ import annotations

from kelp.server.ports import QueryError
from kelp.server.query.logql import expressions as ast
from kelp.server.query.logql.checks import scalar_value
from kelp.server.query.logql.errors import errors_at
from kelp.server.query.metric.binary import set_operation, with_scalar, with_vector
from kelp.server.query.metric.frame import Frame, Steps
from kelp.server.query.metric.replace import label_replace
from kelp.server.query.metric.vectors import aggregate
from kelp.server.query.pipeline.row import ERROR
from kelp.server.query.plan.context import Context
from kelp.server.query.plan.grouping import is_additive, kept_labels
from kelp.server.query.plan.ranges import evaluate_range


def evaluate(node: ast.Metric, steps: Steps, context: Context, *, instant: bool) -> Frame:
    """The expression at all steps. QueryError where its parts do not fit together.

    An error names the place of the innermost part that it befell.
    """
    with errors_at(node.at):
        return _evaluated(node, steps, context, instant)


def _evaluated(node: ast.Metric, steps: Steps, context: Context, instant: bool) -> Frame:
    def inner(child: ast.Metric) -> Frame:
        return evaluate(child, steps, context, instant=instant)

    match node:
        case ast.RangeAggregation():
            return evaluate_range(node, steps, context, kept_labels(node, None, pushed=False))
        case ast.VectorAggregation():
            if node.op == "approx_topk" and not instant:
                raise QueryError("count min sketches are only supported on instant queries")
            return _aggregated(node, steps, context, instant)
        case ast.LabelReplace():
            return label_replace(inner(node.expression), node)
        case ast.VectorLiteral():
            return Frame.constant(node.value, steps.count)
        case ast.Literal():
            return Frame.constant(node.value, steps.count)
        case ast.BinaryOperation():
            return _binary(node, steps, context, instant)


def _aggregated(
    node: ast.VectorAggregation, steps: Steps, context: Context, instant: bool
) -> Frame:
    child = node.expression
    if isinstance(child, ast.RangeAggregation) and is_additive(node.op, child):
        kept = kept_labels(child, node.grouping, pushed=True)
        with errors_at(child.at):
            frame = evaluate_range(child, steps, context, kept)
        if not any(ERROR in labels for labels in frame.labels):
            return frame  # added up already; an error that the query asks for keeps all labels
    else:
        frame = evaluate(child, steps, context, instant=instant)
    return aggregate(frame, node.op, node.grouping, node.parameter)


def _binary(node: ast.BinaryOperation, steps: Steps, context: Context, instant: bool) -> Frame:
    left_scalar, right_scalar = ast.is_scalar(node.left), ast.is_scalar(node.right)
    if left_scalar and right_scalar:
        return Frame.constant(scalar_value(node), steps.count)
    if left_scalar or right_scalar:
        scalar, vector = (node.left, node.right) if left_scalar else (node.right, node.left)
        frame = evaluate(vector, steps, context, instant=instant)
        return with_scalar(
            node.op, frame, scalar_value(scalar), scalar_left=left_scalar, is_bool=node.bool
        )
    left = evaluate(node.left, steps, context, instant=instant)
    right = evaluate(node.right, steps, context, instant=instant)
    if node.op in ast.SET_OPERATIONS:
        return set_operation(node.op, left, right, node.matching)
    return with_vector(node.op, left, right, node.matching, is_bool=node.bool)
