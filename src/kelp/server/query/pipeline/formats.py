"""The stages `line_format` and `label_format`."""

from __future__ import annotations

from collections.abc import Callable

from kelp.server.query.logql.errors import PartError
from kelp.server.query.logql.expressions import LabelFormat, LineFormat
from kelp.server.query.pipeline.row import ERROR, Row
from kelp.server.query.sql.text import to_bytes, to_text
from kelp.server.query.template.compile import Template, TemplateError, compile_template

TEMPLATE_ERROR = "TemplateFormatErr"
Step = Callable[[Row], bool]


def line_template(node: LineFormat) -> Template:
    """The template of a line_format; ValueError with Go's message where it is none."""
    try:
        return compile_template("line", node.template)
    except TemplateError as e:
        raise ValueError(f"invalid line template: {e}") from None


def label_templates(node: LabelFormat) -> dict[str, Template]:
    """The templates of a label_format by label; ValueError for what it may not do."""
    found: dict[str, Template] = {}
    names = set()
    for assignment in node.assignments:
        if assignment.name == ERROR:
            raise PartError(f"{ERROR} cannot be formatted; expected another label", assignment.at)
        if assignment.name in names:
            raise PartError(
                f"multiple label name '{assignment.name}' not allowed in a single format operation",
                assignment.at,
            )
        names.add(assignment.name)
        if assignment.rename:
            continue
        try:
            found[assignment.name] = compile_template("label", assignment.value)
        except TemplateError as e:
            message = f"invalid template for label '{assignment.name}': {e}"
            raise PartError(message, assignment.at) from None
    return found


def line_format(node: LineFormat) -> Step:
    """`line_format`: the template's output is the line; where it fails, the line stays."""
    template = line_template(node)
    if template.simple_field is not None:
        return _copy(template.simple_field)

    def run(row: Row) -> bool:
        try:
            text = template.run(row.labels(), to_text(row.line), row.timestamp, row.check)
            row.line = to_bytes(text)
        except TemplateError as e:
            row.fail(TEMPLATE_ERROR, str(e))
        return True

    return run


def _copy(name: str) -> Step:
    """`{{.name}}` alone: the value as it is, or an empty line."""

    def run(row: Row) -> bool:
        row.line = to_bytes(row.get(name) or "")
        return True

    return run


def label_format(node: LabelFormat) -> Step:
    """`label_format`: renames and templates, in order; templates see the labels as they were."""
    templates = label_templates(node)

    def run(row: Row) -> bool:
        labels: dict[str, str] = {}
        for assignment in node.assignments:
            if assignment.rename:
                value = row.get(assignment.value)
                if value is not None:
                    row.set_parsed(assignment.name, value)
                    row.delete(assignment.value)
                continue
            labels = labels or row.labels()
            try:
                text = templates[assignment.name].run(
                    labels, to_text(row.line), row.timestamp, row.check
                )
            except TemplateError as e:
                row.fail(TEMPLATE_ERROR, str(e))
                continue
            row.set_parsed(assignment.name, text)
        return True

    return run
