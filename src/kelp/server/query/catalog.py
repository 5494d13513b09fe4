"""What streams there are: names, values, label sets, and how much lies under them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from kelp.server.query.derived import SERVICE_NAME
from kelp.server.query.logql import expressions as ast
from kelp.server.query.logql.parser import parse_matchers
from kelp.server.query.metric.frame import Frame, Key, Labels, Steps, key_of
from kelp.server.query.pipeline.row import ERROR, ERROR_DETAILS
from kelp.server.query.plan.context import Context
from kelp.server.query.plan.metrics import evaluate
from kelp.server.query.plan.prefilter import prefilter
from kelp.server.query.sql.text import all_of, timestamp, to_text
from kelp.server.query.streams import Selected
from kelp.server.result import Matrix, Sample, Series, Vector


def _matchers(query: str) -> tuple[ast.Matcher, ...]:
    """Those of a selector; an empty text selects everything, as `{}` does here."""
    return parse_matchers(query, strict=False) if query.strip() else ()


def names(context: Context, query: str, start_ns: int, end_ns: int) -> list[str]:
    """Label names of the streams in a time range."""
    where = context.streams.where(context.scope, [_matchers(query)], start_ns, end_ns)
    sql = f"SELECT DISTINCT arrayJoin(mapKeys(labels)) AS name FROM streams WHERE {where}"
    table = context.run.ask(sql)
    found = {to_text(n) for n in table.column("name").to_pylist()} if table.num_rows else set()
    if found and context.streams.derives_service_name:
        found.add(SERVICE_NAME)
    return sorted(found)


def values(context: Context, name: str, query: str, start_ns: int, end_ns: int) -> list[str]:
    """Values of a label among the streams in a time range."""
    where = context.streams.where(context.scope, [_matchers(query)], start_ns, end_ns)
    sql = (
        f"SELECT DISTINCT {context.streams.label_sql(name)} AS value FROM streams "
        f"WHERE {where} AND value != ''"
    )
    table = context.run.ask(sql)
    return sorted(to_text(v) for v in table.column("value").to_pylist()) if table.num_rows else []


def series(
    context: Context, matchers: Sequence[str], start_ns: int, end_ns: int
) -> list[dict[str, str]]:
    """Label sets of the streams that match any of the selectors."""
    choices = [_choice(text) for text in matchers] or [()]
    selected = context.streams.select_any(context.run, context.scope, choices, start_ns, end_ns)
    unique = {key_of(labels): labels for labels in selected.labels.values()}
    return [unique[key] for key in sorted(unique)]


def _choice(text: str) -> tuple[ast.Matcher, ...]:
    """`{}` is allowed here, and means everything; `{app=~".*"}` is not, as in Loki."""
    return parse_matchers(text) if text.strip() not in ("", "{}") else ()


def stats(context: Context, query: ast.LogQuery, start_ns: int, end_ns: int) -> dict[str, int]:
    """Loki's shape; a chunk is a part of the store that has records of the selector."""
    selected = context.streams.select(context.run, context.scope, query.matchers, start_ns, end_ns)
    out = {"streams": len(selected.labels), "chunks": 0, "entries": 0, "bytes": 0}
    if not selected.labels:
        return out
    where = all_of([_time(start_ns, end_ns), selected.condition()])
    table = context.run.ask(
        "SELECT uniqExact(_part) AS chunks, count() AS entries, sum(length(body)) AS bytes, "
        f"uniqExact(stream_id) AS streams FROM records WHERE {where}"
    )
    return {name: int(table.column(name)[0].as_py()) for name in out}


def _time(start_ns: int, end_ns: int) -> str:
    return f"timestamp >= {timestamp(start_ns)} AND timestamp < {timestamp(end_ns)}"


@dataclass(frozen=True, slots=True)
class VolumeRequest:
    """`targets` are the labels to add up by; none: those that the selector names."""

    query: ast.LogQuery
    start_ns: int
    end_ns: int
    step_ns: int
    limit: int
    targets: tuple[str, ...]
    aggregate_by: str


def volume(context: Context, asked: VolumeRequest) -> Vector | Matrix:
    """Bytes by labels, largest first; with a step, in spans of that length."""
    selected = context.streams.select(
        context.run, context.scope, asked.query.matchers, asked.start_ns, asked.end_ns
    )
    before = prefilter(asked.query.stages, context.dialect)
    if before.rest:
        totals = _volumes_behind_stages(context, asked)
    else:
        totals = _volumes(context, asked, selected, before.sql)
    ranked = sorted(totals, key=lambda key: (-sum(totals[key].values()), key))[: asked.limit]
    if not asked.step_ns:
        return Vector(
            [Sample(dict(k), asked.end_ns, float(sum(totals[k].values()))) for k in ranked]
        )
    return Matrix(
        [
            Series(dict(k), sorted(totals[k]), [float(totals[k][t]) for t in sorted(totals[k])])
            for k in ranked
        ]
    )


def _volumes(
    context: Context, asked: VolumeRequest, selected: Selected, lines: str
) -> dict[Key, dict[int, int]]:
    if not selected.labels:
        return {}
    where = all_of([_time(asked.start_ns, asked.end_ns), selected.condition(), lines])
    width = asked.step_ns or (asked.end_ns - asked.start_ns + 1)
    span = f"intDiv(toUnixTimestamp64Nano(timestamp) - {asked.start_ns}, {width})"
    table = context.run.ask(
        f"SELECT stream_id AS id, {span} AS span, sum(length(body)) AS bytes "
        f"FROM records WHERE {where} GROUP BY id, span"
    )
    totals: dict[Key, dict[int, int]] = {}
    for row in table.to_pylist():
        time_ns = asked.start_ns + row["span"] * width
        for key in _volume_keys(asked, selected.labels[row["id"]]):
            at = totals.setdefault(key, {})
            at[time_ns] = at.get(time_ns, 0) + row["bytes"]
    return totals


_NO_ERRORS = ast.Drop((ERROR, ERROR_DETAILS))


def _volumes_behind_stages(context: Context, asked: VolumeRequest) -> dict[Key, dict[int, int]]:
    """Volumes of what is left behind parsers and label filters, which may be targets as well.

    Loki refuses such a query; here it is bytes_over_time in windows that lie side by side. Lines
    that a parser could not read count like others.
    """
    query = replace(asked.query, stages=(*asked.query.stages, _NO_ERRORS))
    length = asked.end_ns - asked.start_ns
    width = asked.step_ns or length
    totals: dict[Key, dict[int, int]] = {}
    for begin, count in ((0, length // width), (length // width * width, 1)):
        span = min(width, length - begin)  # the last window ends where the time does
        if span <= 0 or not count:
            continue
        node: ast.Metric = ast.RangeAggregation("bytes_over_time", ast.LogRange(query, span))
        if asked.aggregate_by == "series":
            node = ast.VectorAggregation("sum", node, ast.Grouping(_targets(asked)))
        # A window is (t - span, t], and a span of volumes [t, t + span).
        steps = Steps(asked.start_ns + begin + span - 1, width, count)
        _add_volumes(totals, asked, evaluate(node, steps, context, instant=False), steps, span)
    return totals


def _add_volumes(
    totals: dict[Key, dict[int, int]], asked: VolumeRequest, frame: Frame, steps: Steps, span: int
) -> None:
    times = [time_ns - span + 1 for time_ns in steps.times_ns()]
    for labels, values, present in zip(frame.labels, frame.values, frame.present, strict=True):
        for key in _volume_keys(asked, labels):
            at = totals.setdefault(key, {})
            for time_ns, value, there in zip(times, values, present, strict=True):
                if there:
                    at[time_ns] = at.get(time_ns, 0) + int(value)


def _targets(asked: VolumeRequest) -> tuple[str, ...]:
    return asked.targets or tuple(dict.fromkeys(m.name for m in asked.query.matchers))


def _volume_keys(asked: VolumeRequest, labels: Labels) -> list[Key]:
    if asked.aggregate_by == "labels":
        wanted = asked.targets or tuple(labels)
        return [((name, ""),) for name in wanted if name in labels]
    found = {name: labels[name] for name in _targets(asked) if labels.get(name)}
    return [key_of(found)] if found else []
