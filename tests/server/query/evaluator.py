"""LogQL over a list of lines: small, slow and obvious, to hold the planner's answers against.

It knows no SQL, no windows by division, no hints and no sharing: every step looks at every line.
Lines are sound (what a parser makes of broken ones is told by golden cases), and so are values.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Sequence
from statistics import pvariance
from typing import TypeAlias

from kelp.server.query.logql import expressions as ast
from tests.server.query.store import Line

Labels: TypeAlias = dict[str, str]
Series: TypeAlias = dict[tuple[tuple[str, str], ...], float]


def evaluate(node: ast.Metric, lines: Sequence[Line], at: int) -> Series | float:
    """The value at one time, in nanoseconds after EPOCH."""
    match node:
        case ast.Literal():
            return node.value
        case ast.VectorLiteral():
            return {(): node.value}
        case ast.RangeAggregation():
            return _range(node, lines, at)
        case ast.VectorAggregation():
            inner = evaluate(node.expression, lines, at)
            assert isinstance(inner, dict)
            return _aggregate(node, inner)
        case ast.BinaryOperation():
            return _binary(node, evaluate(node.left, lines, at), evaluate(node.right, lines, at))
        case _:
            raise AssertionError(node)


def log_lines(query: ast.LogQuery, lines: Sequence[Line]) -> list[tuple[Labels, str, Line]]:
    """The lines that a log query keeps: all their labels, and what it makes of their text."""
    found = ((line, _processed(query, line)) for line in lines)
    return [(*kept, line) for line, kept in found if kept is not None]


def _processed(query: ast.LogQuery, line: Line) -> tuple[Labels, str] | None:
    """The labels and the line behind all stages."""
    if not all(_matches(m, line.labels.get(m.name, ""), whole=True) for m in query.matchers):
        return None
    labels: Labels = dict(line.labels)
    for name, value in line.metadata.items():
        labels[name if name not in line.labels else f"{name}_extracted"] = value
    taken, parsed = set(labels), set[str]()
    text = line.body.decode()
    for stage in query.stages:
        match stage:
            case ast.LineFilter() | ast.LabelFilter():
                if not _passes(stage, labels, text):
                    return None
            case ast.LineFormat():
                text = _template(stage.template, labels)
            case ast.LabelFormat():
                _format(stage, labels, parsed)
            case ast.Drop() | ast.Keep():
                labels = {k: v for k, v in labels.items() if _stays(stage, k, v)}
            case _:
                for name, value in _parsed(stage, text, labels):
                    label = f"{name}_extracted" if name in taken else name
                    labels |= {label: value} if label not in parsed else {}
                    parsed.add(label)
    return labels, text


def _template(template: str, labels: Labels) -> str:
    return re.sub(r"\{\{\.(\w+)\}\}", lambda m: labels.get(m[1], ""), template)


def _format(stage: ast.LabelFormat, labels: Labels, parsed: set[str]) -> None:
    before = dict(labels)
    for assignment in stage.assignments:
        name, value = assignment.name, assignment.value
        if not assignment.rename:
            labels[name] = _template(value, before)
        elif value in labels:
            labels[name] = labels.pop(value)
        parsed.add(name)


def _stays(stage: ast.Drop | ast.Keep, name: str, value: str) -> bool:
    named = any(
        item == name
        if isinstance(item, str)
        else item.name == name and _matches(item, value, whole=False)
        for item in stage.items
    )
    return named == isinstance(stage, ast.Keep)


def _matches(matcher: ast.Matcher, value: str, *, whole: bool) -> bool:
    if matcher.op in ("=", "!="):
        return (value == matcher.value) == (matcher.op == "=")
    found = re.fullmatch(matcher.value, value, re.DOTALL if whole else 0) is not None
    return found == (matcher.op == "=~")


def _passes(stage: ast.LineFilter | ast.LabelFilter, labels: Labels, text: str) -> bool:
    if isinstance(stage, ast.LineFilter):
        return _line_filter(stage, text)
    return _label_filter(stage.filter, labels)


def _line_filter(stage: ast.LineFilter, body: str) -> bool:
    tests: dict[str, Callable[[str], bool]] = {
        "=": lambda text: text in body,
        "~": lambda text: re.search(text, body) is not None,
    }
    return any(tests[stage.op[1]](t.text) for t in stage.terms) == (stage.op[0] == "|")


def _label_filter(node: ast.Filter, labels: Labels) -> bool:
    match node:
        case ast.Matcher():
            return _matches(node, labels.get(node.name, ""), whole=False)
        case ast.NumberFilter() | ast.DurationFilter() | ast.BytesFilter():
            if node.name not in labels:
                return False
            a, b = _converted(node, labels[node.name]), node.value
            return {"=": a == b, "!=": a != b, ">": a > b, ">=": a >= b, "<": a < b,
                    "<=": a <= b}[node.op]  # fmt: skip
        case ast.And():
            return _label_filter(node.left, labels) and _label_filter(node.right, labels)
        case ast.Or():
            return _label_filter(node.left, labels) or _label_filter(node.right, labels)
        case _:
            raise AssertionError(node)


DURATIONS = {
    "1.5s": 1.5, "250ms": 0.25, "1m30s": 90.0, "-2s": -2.0, "0": 0.0, "3h": 10800.0, "2us": 2e-6,
    "1.000000001s": 1.000000001, "7µs": 7e-6, ".5s": 0.5, "+1h2m3.5s": 3723.5, "12ns": 12e-9,
}  # fmt: skip
SIZES = {
    "100": 100.0, "5KB": 5000.0, "10 MiB": 10485760.0, "1,024": 1024.0, "1.5k": 1500.0,
    "2gib": 2147483648.0, "3B": 3.0, "0.7kb": 700.0, "1.0009KiB": 1024.0, "8e": 8e18,
}  # fmt: skip


def _converted(node: ast.NumberFilter | ast.DurationFilter | ast.BytesFilter, text: str) -> float:
    if isinstance(node, ast.DurationFilter):
        return round(DURATIONS[text] * 1e9)
    return SIZES[text] if isinstance(node, ast.BytesFilter) else float(text)


def _value(unwrap: ast.Unwrap, text: str) -> float:
    match unwrap.conversion:
        case "":
            return float(text)
        case "bytes":
            return SIZES[text]
        case _:
            return DURATIONS[text]


def _parsed(stage: ast.Stage, body: str, labels: Labels) -> Iterable[tuple[str, str]]:
    if isinstance(stage, ast.Json) and stage.extractions:
        found = {e.name: _at(json.loads(body), e.path.split(".")) for e in stage.extractions}
        return [(k, v or "") for k, v in found.items() if v is not None or k not in labels]
    if isinstance(stage, ast.Pattern):
        return _captures(stage.pattern, body)
    if isinstance(stage, ast.Json):
        return _flat("", json.loads(body))
    if isinstance(stage, ast.Logfmt):
        pairs = re.findall(r'(\S+?)=(?:"([^"]*)"|(\S*))', body)
        return [(k, quoted or plain) for k, quoted, plain in pairs if quoted or plain]
    if isinstance(stage, ast.Regexp):
        found = re.search(stage.pattern, body)
        return [(k, v or "") for k, v in found.groupdict().items()] if found else []
    raise AssertionError(stage)


def _at(value: object, path: list[str]) -> str | None:
    for key in path:
        if not isinstance(value, dict) or key not in value:
            return None
        value = value[key]
    return json.dumps(value) if isinstance(value, dict) else dict(_flat("x", value)).get("x", "")


def _captures(pattern: str, body: str) -> Iterable[tuple[str, str]]:
    """`<a>x<b>`: each capture up to where the literal behind it comes first, or to the end."""
    parts = re.split(r"<(\w+)>", pattern)
    if not body or not body.startswith(parts[0]):
        return
    rest = body[len(parts[0]) :]
    for name, literal in zip(parts[1::2], parts[2::2], strict=True):
        value, found, behind = rest.partition(literal) if literal else (rest, "", "")
        if name != "_":
            yield name, value
        if not found:
            return
        rest = behind


def _flat(prefix: str, value: object) -> Iterable[tuple[str, str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flat(f"{prefix}_{key}" if prefix else key, inner)
    elif isinstance(value, bool):
        yield prefix, "true" if value else "false"
    elif value is not None and not isinstance(value, list):
        yield prefix, str(value)


def _key(labels: Labels) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(labels.items()))


def _grouped(labels: Labels, grouping: ast.Grouping | None) -> Labels:
    if grouping is None:
        return dict(labels)
    if grouping.without:
        return {k: v for k, v in labels.items() if k not in grouping.labels}
    return {k: v for k, v in labels.items() if k in grouping.labels}


def _range(node: ast.RangeAggregation, lines: Sequence[Line], at: int) -> Series:
    end = at - node.range.offset_ns
    unwrap = node.range.unwrap
    samples: dict[tuple[tuple[str, str], ...], list[float]] = {}
    for line in sorted(lines, key=lambda line: line.at):
        found = _processed(node.range.query, line)
        if found is None or not end - node.range.range_ns < line.at <= end:
            continue
        labels, text = found
        value = float(len(text.encode())) if node.op.startswith("bytes") else 1.0
        if unwrap:
            if not labels.get(unwrap.label):
                continue
            value = _value(unwrap, labels[unwrap.label])
            if not all(_label_filter(f, labels) for f in unwrap.filters):
                continue
        kept = _grouped(labels, node.grouping)
        if unwrap and (node.grouping is None or node.grouping.without):
            kept.pop(unwrap.label, None)
        samples.setdefault(_key(kept), []).append(value)
    if node.op == "absent_over_time":
        equal = {m.name: m.value for m in node.range.query.matchers if m.op == "="}
        return {} if samples else {_key(equal): 1.0}
    return {k: _over_time(node, v) for k, v in samples.items()}


def _over_time(node: ast.RangeAggregation, values: list[float]) -> float:
    seconds = node.range.range_ns / 1e9
    ranked = sorted(values)
    rank = (node.parameter or 0.0) * (len(ranked) - 1)
    low = math.floor(rank)
    high = min(low + 1, len(ranked) - 1)
    return {
        "count_over_time": lambda: float(len(values)),
        "bytes_over_time": lambda: sum(values),
        "rate": lambda: sum(values) / seconds,
        "bytes_rate": lambda: sum(values) / seconds,
        "sum_over_time": lambda: sum(values),
        "avg_over_time": lambda: sum(values) / len(values),
        "min_over_time": lambda: min(values),
        "max_over_time": lambda: max(values),
        "first_over_time": lambda: values[0],
        "last_over_time": lambda: values[-1],
        "stdvar_over_time": lambda: pvariance(values),
        "stddev_over_time": lambda: math.sqrt(pvariance(values)),
        "quantile_over_time": lambda: ranked[low] + (ranked[high] - ranked[low]) * (rank - low),
    }[node.op]()


def _aggregate(node: ast.VectorAggregation, series: Series) -> Series:
    groups: dict[tuple[tuple[str, str], ...], list[float]] = {}
    for key, value in series.items():
        labels = _grouped(dict(key), node.grouping or ast.Grouping(()))
        groups.setdefault(_key(labels), []).append(value)
    combine: dict[str, Callable[[list[float]], float]] = {
        "sum": sum,
        "avg": lambda v: sum(v) / len(v),
        "min": min,
        "max": max,
        "count": lambda v: float(len(v)),
        "stddev": lambda v: math.sqrt(pvariance(v)),
        "stdvar": pvariance,
    }
    return {k: combine[node.op](v) for k, v in groups.items()}


def _number(op: str, a: float, b: float) -> float | None:
    """None where a comparison does not hold."""
    match op:
        case "+":
            return a + b
        case "-":
            return a - b
        case "*":
            return a * b
        case "/":
            return a / b if b else math.nan
        case _:
            holds = {"==": a == b, "!=": a != b, ">": a > b, "<": a < b}[op]
            return a if holds else None


def _binary(
    node: ast.BinaryOperation, left: Series | float, right: Series | float
) -> Series | float:
    if isinstance(left, float) and isinstance(right, float):
        value = _number(node.op, left, right)
        assert value is not None
        return value
    if isinstance(right, float):
        assert isinstance(left, dict)
        found = {k: _result(node, v, right) for k, v in left.items()}
        return {k: v for k, v in found.items() if v is not None}
    assert isinstance(left, dict)
    if node.op == "and":
        return {k: v for k, v in left.items() if k in right}
    if node.op == "unless":
        return {k: v for k, v in left.items() if k not in right}
    if node.op == "or":
        return {**right, **left}
    found = {k: _result(node, v, right[k]) for k, v in left.items() if k in right}
    return {k: v for k, v in found.items() if v is not None}


def _result(node: ast.BinaryOperation, a: float, b: float) -> float | None:
    value = _number(node.op, a, b)
    if node.bool and node.op in ast.COMPARISONS:
        return 0.0 if value is None else 1.0
    return value
