"""Stages to functions over rows, and what they need to know beforehand."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

from kelp.server.query.logql import expressions as ast
from kelp.server.query.logql.errors import PartError, stage_error
from kelp.server.query.logql.printer import stage_text
from kelp.server.query.pipeline import formats, texts
from kelp.server.query.pipeline.fields_step import FieldsStep
from kelp.server.query.pipeline.hints import ALL, Hints
from kelp.server.query.pipeline.json_parser import JsonParser, JsonPathParser, UnpackParser
from kelp.server.query.pipeline.json_path import Path, parse_path
from kelp.server.query.pipeline.label_filters import label_filter
from kelp.server.query.pipeline.labels import drop, keep
from kelp.server.query.pipeline.logfmt import LogfmtFieldsParser, LogfmtParser, parse_field
from kelp.server.query.pipeline.row import Row

Step: TypeAlias = Callable[[Row], bool]
"""Changes the row; False where it is to be dropped."""


def compile_stages(stages: Sequence[ast.Stage], hints: Hints = ALL) -> list[Step]:
    """The stages in order; QueryError for one whose own language is wrong (a path, a template)."""
    steps = []
    for stage in stages:
        try:
            steps.append(_step(stage, hints))
        except ValueError as e:
            at = e.at if isinstance(e, PartError) else stage.at
            raise stage_error(stage_text(stage), str(e), at) from None
    return steps


def check_stages(expression: ast.Expression) -> None:
    """Compile everything once, so that what is wrong is told before anything is read."""
    match expression:
        case ast.LogQuery():
            compile_stages(expression.stages)
        case ast.RangeAggregation():
            compile_stages(expression.range.query.stages)
            for node in expression.range.unwrap.filters if expression.range.unwrap else ():
                compile_stages([ast.LabelFilter(node, at=node.at)])
        case ast.VectorAggregation() | ast.LabelReplace():
            check_stages(expression.expression)
        case ast.BinaryOperation():
            check_stages(expression.left)
            check_stages(expression.right)
        case _:
            pass


def run_steps(steps: Iterable[Step], row: Row) -> bool:
    """Whether the row is left after all steps."""
    return all(step(row) for step in steps)


def _step(stage: ast.Stage, hints: Hints) -> Step:  # noqa: PLR0912 - a case a stage
    match stage:
        case ast.LineFilter():
            return texts.line_filter(stage)
        case ast.LabelFilter():
            return label_filter(stage.filter)
        case ast.Json():
            return _json(stage, hints)
        case ast.Logfmt():
            return _logfmt(stage, hints)
        case ast.Regexp():
            return texts.RegexpParser(stage.pattern, hints)
        case ast.Pattern():
            return texts.PatternParser(stage.pattern, hints)
        case ast.Unpack():
            return UnpackParser(hints)
        case ast.Fields():
            return FieldsStep(stage, hints)
        case ast.LineFormat():
            return formats.line_format(stage)
        case ast.LabelFormat():
            return formats.label_format(stage)
        case ast.Decolorize():
            return texts.decolorize
        case ast.Drop():
            return drop(stage)
        case ast.Keep():
            return keep(stage)


def _json(stage: ast.Json, hints: Hints) -> Step:
    if not stage.extractions:
        return JsonParser(hints)
    paths: list[tuple[ast.Extraction, Path]] = []
    for extraction in stage.extractions:
        try:
            paths.append((extraction, parse_path(extraction.path)))
        except ValueError as e:
            message = f"cannot parse expression [{extraction.path}]: {e}"
            raise PartError(message, extraction.at) from None
    return JsonPathParser(paths, hints)


def _logfmt(stage: ast.Logfmt, hints: Hints) -> Step:
    if not stage.extractions:
        return LogfmtParser(hints, strict=stage.strict, keep_empty=stage.keep_empty)
    fields = []
    for extraction in stage.extractions:
        try:
            path = parse_field(extraction.path)
            fields.append(ast.Extraction(extraction.name, path, at=extraction.at))
        except ValueError as e:
            message = f"cannot parse expression [{extraction.path}]: {e}"
            raise PartError(message, extraction.at) from None
    return LogfmtFieldsParser(tuple(fields), hints, strict=stage.strict)


def required_labels(stages: Iterable[ast.Stage]) -> list[str]:
    """The labels that stages read by name (filters and templates)."""
    names: list[str] = []
    for stage in stages:
        match stage:
            case ast.LabelFilter():
                names.extend(filter_labels(stage.filter))
            case ast.LineFormat():
                names.extend(formats.line_template(stage).fields)
            case ast.LabelFormat():
                templates = formats.label_templates(stage)
                names.extend(a.value for a in stage.assignments if a.rename)
                names.extend(field for t in templates.values() for field in t.fields)
            case _:
                pass
    return names


def filter_labels(node: ast.Filter) -> list[str]:
    """The labels that a filter reads."""
    if isinstance(node, ast.And | ast.Or):
        return [*filter_labels(node.left), *filter_labels(node.right)]
    return [node.name]
