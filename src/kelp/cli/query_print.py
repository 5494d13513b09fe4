"""Answers of Loki's query API: entries as logs, vectors as tables, matrices as plots."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from kelp.cli.plot import Line, plot
from kelp.cli.table import table
from kelp.cli.times import format_ns

# More series than fit on a screen are shown as a table of their last values.
MAX_PLOTS = 12


def default_lines(data: dict[str, Any], width: int, now_ns: int) -> Iterator[str]:
    """For eyes."""
    kind, result = data["resultType"], data["result"]
    if kind == "streams":
        yield from _streams(result)
    elif kind == "vector":
        yield from _vector(result)
    elif kind == "matrix":
        yield from _matrix(result, width, now_ns)
    else:  # scalar
        yield str(result[1])


def raw_lines(data: dict[str, Any]) -> Iterator[str]:
    """Log lines alone; of numbers, one `TIME VALUE LABELS` a line."""
    if data["resultType"] == "streams":
        yield from (line for _, _, line in _entries(data["result"]))
        return
    for labels, time, value in _points(data):
        yield f"{time} {value} {labels_text(labels)}".rstrip()


def json_lines(data: dict[str, Any]) -> Iterator[str]:
    """One object an entry or value."""
    if data["resultType"] == "streams":
        for time_ns, labels, line in _entries(data["result"]):
            yield _json({"timestamp": format_ns(time_ns), "labels": labels, "line": line})
        return
    for labels, time, value in _points(data):
        yield _json({"timestamp": time, "labels": labels, "value": value})


def labels_text(labels: dict[str, str]) -> str:
    """{a="b", c="d"}."""
    inner = ", ".join(f"{k}={_json(v)}" for k, v in sorted(labels.items()))
    return f"{{{inner}}}"


def _streams(result: list[Any]) -> Iterator[str]:
    """Entries with what tells their streams apart; what all have in common stands first."""
    common = _common([s["stream"] for s in result])
    if common:
        yield f"# of all: {labels_text(common)}"
    for time_ns, labels, line in _entries(result):
        own = {k: v for k, v in labels.items() if k not in common}
        yield f"{format_ns(time_ns)} {labels_text(own)} {line}"


def _common(label_sets: list[dict[str, str]]) -> dict[str, str]:
    if len(label_sets) < 2:
        return {}
    shared = set(label_sets[0].items()).intersection(*(s.items() for s in label_sets[1:]))
    return dict(sorted(shared))


def _entries(result: list[Any]) -> list[tuple[int, dict[str, str], str]]:
    """(time, labels, line) of all streams, oldest first."""
    found = [(int(e[0]), s["stream"], e[1]) for s in result for e in s["values"]]
    return sorted(found, key=lambda entry: entry[0])


def _vector(result: list[Any]) -> Iterator[str]:
    names = sorted({name for sample in result for name in sample["metric"]})
    rows = [
        [*(s["metric"].get(name, "") for name in names), _number(s["value"][1])] for s in result
    ]
    yield from table([*names, "value"], rows)


def _matrix(result: list[Any], width: int, now_ns: int) -> Iterator[str]:
    if len(result) > MAX_PLOTS:
        last = [{"metric": s["metric"], "value": s["values"][-1]} for s in result if s["values"]]
        yield f"# {len(result)} series: the last value of each (-o jsonl gives all)"
        yield from _vector(last)
        return
    lines = [
        Line(labels_text(s["metric"]), {float(t): _number(v) for t, v in s["values"]})
        for s in result
    ]
    yield from plot(lines, width, now_ns)


def _points(data: dict[str, Any]) -> Iterator[tuple[dict[str, str], str, str]]:
    """(labels, time, value) of everything but streams."""
    result = data["result"]
    if data["resultType"] == "scalar":
        yield {}, _time(result[0]), result[1]
        return
    for series in result:
        for time, value in series.get("values") or [series["value"]]:
            yield series["metric"], _time(time), value


def _time(seconds: float) -> str:
    return format_ns(round(seconds * 1000) * 1_000_000)


def _number(text: str) -> float:
    value = float(text)
    return int(value) if value.is_integer() and abs(value) < 1e15 else value


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
