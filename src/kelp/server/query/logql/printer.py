"""A tree back to text: on one line, or broken over lines where it is long (`format_query`).

What it prints parses to the same tree. The form is that of Loki's formatter, save that nested
operations keep their parentheses when they are broken over lines.
"""

from __future__ import annotations

from kelp.server.query.logql import expressions as ast
from kelp.server.query.logql.literals import (
    format_bytes,
    format_float,
    format_go_duration,
    format_prometheus_duration,
    quote,
)

LINE_LENGTH = 100
_INDENT = "  "


def to_text(node: ast.Expression) -> str:
    """The query on one line."""
    match node:
        case ast.LogQuery():
            return " ".join([_selector(node.matchers), *(stage_text(s) for s in node.stages)])
        case ast.RangeAggregation():
            parameter = "" if node.parameter is None else f"{format_float(node.parameter)},"
            return f"{node.op}({parameter}{_log_range(node.range)}){_grouping(node.grouping)}"
        case ast.VectorAggregation():
            parameter = "" if node.parameter is None else f"{node.parameter},"
            return f"{node.op}{_grouping(node.grouping)}({parameter}{to_text(node.expression)})"
        case ast.BinaryOperation():
            return f"({to_text(node.left)} {_operator(node)} {to_text(node.right)})"
        case ast.Literal():
            return format_float(node.value)
        case ast.VectorLiteral():
            return f"vector({format_float(node.value)})"
        case ast.LabelReplace():
            texts = (node.dst, node.replacement, node.src, node.regex)
            return f"label_replace({','.join([to_text(node.expression), *map(quote, texts)])})"


def format_query(node: ast.Expression) -> str:
    """The query as people like to read it: one line where it fits, else a line for each part."""
    return _pretty(node, 0)


def _pretty(node: ast.Expression, level: int) -> str:
    line = to_text(node)
    indent = _INDENT * level
    if len(line) <= LINE_LENGTH:
        return indent + line
    match node:
        case ast.LogQuery():
            return _pretty_log_query(node, level)
        case ast.RangeAggregation():
            parameter = [] if node.parameter is None else [f"{format_float(node.parameter)},"]
            parts = [
                *(f"{indent}{_INDENT}{p}" for p in parameter),
                _pretty_range(node.range, level + 1),
            ]
            return _block(f"{node.op}(", parts, f"){_grouping(node.grouping)}", indent)
        case ast.VectorAggregation():
            parameter = [] if node.parameter is None else [f"{indent}{_INDENT}{node.parameter},"]
            parts = [*parameter, _pretty(node.expression, level + 1)]
            return _block(f"{node.op}{_grouping(node.grouping)}(", parts, ")", indent)
        case ast.BinaryOperation():
            parts = [
                _leg(node.left, level + 1),
                f"{indent}{_operator(node)}",
                _leg(node.right, level + 1),
            ]
            return "\n".join(parts)
        case ast.LabelReplace():
            texts = (node.dst, node.replacement, node.src, node.regex)
            inner = [
                _pretty(node.expression, level + 1),
                *(f"{indent}{_INDENT}{quote(t)}" for t in texts),
            ]
            return _block("label_replace(", [",\n".join(inner)], ")", indent)
        case _:
            return indent + line


def _block(head: str, parts: list[str], tail: str, indent: str) -> str:
    return "\n".join([indent + head, *parts, indent + tail])


def _leg(node: ast.Metric, level: int) -> str:
    """One side of an operation; another operation, broken over lines, stands in parentheses."""
    if isinstance(node, ast.BinaryOperation) and len(to_text(node)) > LINE_LENGTH:
        return _block("(", [_pretty(node, level + 1)], ")", _INDENT * level)
    return _pretty(node, level)


def _pretty_log_query(node: ast.LogQuery, level: int) -> str:
    stages = [_INDENT * (level + 1) + stage_text(s) for s in node.stages]
    return "\n".join([_INDENT * level + _selector(node.matchers), *stages])


def _pretty_range(node: ast.LogRange, level: int) -> str:
    lines = [_pretty(node.query, level)]
    if node.unwrap:
        indent = _INDENT * (level + 1)
        lines.append(indent + _unwrap(ast.Unwrap(node.unwrap.label, node.unwrap.conversion)))
        lines.extend(f"{indent}| {filter_text(f)}" for f in node.unwrap.filters)
    return "\n".join(lines) + f" {_window(node)}"


def _log_range(node: ast.LogRange) -> str:
    unwrap = f" {_unwrap(node.unwrap)}" if node.unwrap else ""
    return f"{to_text(node.query)}{unwrap} {_window(node)}"


def _window(node: ast.LogRange) -> str:
    offset = f" offset {format_go_duration(node.offset_ns)}" if node.offset_ns else ""
    return f"[{format_prometheus_duration(node.range_ns)}]{offset}"


def _unwrap(node: ast.Unwrap) -> str:
    label = f"{node.conversion}({node.label})" if node.conversion else node.label
    return " ".join([f"| unwrap {label}", *(f"| {filter_text(f)}" for f in node.filters)])


def _grouping(node: ast.Grouping | None) -> str:
    if node is None:
        return ""
    return f" {'without' if node.without else 'by'} ({', '.join(node.labels)})"


def _operator(node: ast.BinaryOperation) -> str:
    parts = [node.op]
    if node.bool:
        parts.append("bool")
    matching = node.matching
    if matching.labels is not None:
        parts.append(f"{'on' if matching.on else 'ignoring'} ({', '.join(matching.labels)})")
    if matching.group:
        parts.append(f"group_{matching.group} ({', '.join(matching.include)})")
    return " ".join(parts)


def _selector(matchers: tuple[ast.Matcher, ...]) -> str:
    return "{" + ", ".join(map(_matcher, matchers)) + "}"


def _matcher(node: ast.Matcher) -> str:
    return f"{node.name}{node.op}{quote(node.value)}"


def _line_term(node: ast.LineTerm) -> str:
    return f"ip({quote(node.text)})" if node.ip else quote(node.text)


def _extractions(nodes: tuple[ast.Extraction, ...]) -> str:
    return ", ".join(f"{e.name}={quote(e.path)}" for e in nodes)


def _assignment(node: ast.LabelAssignment) -> str:
    return f"{node.name}={node.value if node.rename else quote(node.value)}"


def _items(nodes: tuple[str | ast.Matcher, ...]) -> str:
    return ", ".join(n if isinstance(n, str) else _matcher(n) for n in nodes)


def stage_text(node: ast.Stage) -> str:
    """One stage, with its bar."""
    match node:
        case ast.LineFilter():
            return f"{node.op} {' or '.join(map(_line_term, node.terms))}"
        case ast.LabelFilter():
            return f"| {filter_text(node.filter)}"
        case ast.Regexp() | ast.Pattern():
            return (
                f"| {'regexp' if isinstance(node, ast.Regexp) else 'pattern'} {quote(node.pattern)}"
            )
        case ast.LineFormat():
            return f"| line_format {quote(node.template)}"
        case ast.LabelFormat():
            return f"| label_format {', '.join(map(_assignment, node.assignments))}"
        case ast.Drop() | ast.Keep():
            return f"| {'drop' if isinstance(node, ast.Drop) else 'keep'} {_items(node.items)}"
        case _:
            return f"| {_parser(node)}"


def _parser(node: ast.Stage) -> str:
    match node:
        case ast.Json():
            return f"json {_extractions(node.extractions)}".rstrip()
        case ast.Logfmt():
            flags = " --strict" * node.strict + " --keep-empty" * node.keep_empty
            return f"logfmt{flags} {_extractions(node.extractions)}".rstrip()
        case ast.Unpack():
            return "unpack"
        case ast.Fields():
            return f"fields {', '.join(node.names)}".rstrip()
        case _:
            return "decolorize"


def filter_text(node: ast.Filter) -> str:
    """A label filter; connectives stand in parentheses."""
    match node:
        case ast.Matcher():
            return _matcher(node)
        case ast.NumberFilter():
            return f"{node.name}{node.op}{format_float(node.value)}"
        case ast.DurationFilter():
            return f"{node.name}{node.op}{format_go_duration(node.value)}"
        case ast.BytesFilter():
            return f"{node.name}{node.op}{format_bytes(node.value)}"
        case ast.IpFilter():
            return f"{node.name}{node.op}ip({quote(node.pattern)})"
        case ast.And():
            return f"({filter_text(node.left)} and {filter_text(node.right)})"
        case ast.Or():
            return f"({filter_text(node.left)} or {filter_text(node.right)})"
