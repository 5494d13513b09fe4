"""Range aggregations over records: in SQL where it says exactly what is meant, else row by row."""

from __future__ import annotations

import numpy as np

from kelp.server.ports import QueryError
from kelp.server.query.logql import expressions as ast
from kelp.server.query.logql.literals import parse_bytes, parse_float, parse_go_duration, quote
from kelp.server.query.metric.cells import SECOND, Cells, frame_of, joined
from kelp.server.query.metric.frame import Frame, Labels, Steps, key_of
from kelp.server.query.metric.samples import Samples
from kelp.server.query.metric.windows import Windows
from kelp.server.query.pipeline.compile import compile_stages, required_labels, run_steps
from kelp.server.query.pipeline.label_filters import label_filter
from kelp.server.query.pipeline.labels import metric_labels
from kelp.server.query.pipeline.row import ERROR, PRESERVE_ERROR, Row, layered
from kelp.server.query.plan import counts
from kelp.server.query.plan.context import Context, RangeQuestion
from kelp.server.query.plan.grouping import Kept
from kelp.server.query.plan.implicit import settled_range
from kelp.server.query.plan.needles import elsewhere
from kelp.server.query.plan.prefilter import Prefilter, prefilter
from kelp.server.query.plan.pushdown import Pushdown, push_down
from kelp.server.query.plan.pushed import pushed_cells
from kelp.server.query.plan.slices import Source, slices
from kelp.server.query.records import COLUMNS, VIRTUAL, read
from kelp.server.query.sql.text import all_of

_EXTRACTION_ERROR = "SampleExtractionErr"


def evaluate_range(node: ast.RangeAggregation, steps: Steps, context: Context, kept: Kept) -> Frame:
    """The aggregation at all steps; QueryError where a record that counts has an error."""
    windows = Windows(steps, node.range.range_ns, node.range.offset_ns)
    selected = context.streams.select(
        context.run, context.scope, node.range.query.matchers, windows.origin_ns, windows.end_ns
    )
    node = settled_range(node, selected)
    frame = _frame(RangeQuestion(node, windows, context, kept, selected))
    if node.op == "absent_over_time":
        return _absent(node, frame, steps)
    return frame


def _frame(asked: RangeQuestion) -> Frame:
    node, context, selected = asked.node, asked.context, asked.selected
    if not selected.labels:
        return Frame.empty(asked.windows.steps.count)
    ask = elsewhere(context, selected, asked.windows.origin_ns, asked.windows.end_ns)
    before = prefilter(node.range.query.stages, context.dialect, selected, ask)
    if not before.rest and node.range.unwrap is None:
        return counts.count_frame(asked, before.sql)
    derive = context.settings.derive_detected_level
    push = push_down(node, asked.kept, before.rest, selected, derive_level=derive)
    cells = _rows_cells(asked, before) if push is None else _pushed_cells(asked, before, push)
    return frame_of(cells, asked.windows, node.op, node.parameter)


def _pushed_cells(asked: RangeQuestion, before: Prefilter, push: Pushdown) -> Cells:
    good, left_over = pushed_cells(asked, push, before.plain_sql)
    if not left_over:
        return good
    rest = Prefilter(before.conditions, before.rest, [push.bad])
    return joined(good, _rows_cells(asked, rest, push.define))


def _absent(node: ast.RangeAggregation, frame: Frame, steps: Steps) -> Frame:
    there = frame.present.any(axis=0) if frame.labels else np.zeros(steps.count, dtype=bool)
    labels: Labels = {}
    refused = set()
    for matcher in node.range.query.matchers:
        if matcher.op == "=" and matcher.name not in labels:
            labels[matcher.name] = matcher.value
        else:
            refused.add(matcher.name)
    labels = {k: v for k, v in labels.items() if k not in refused and v}
    ones = np.ones((1, steps.count))
    return Frame([labels], ones, ~there.reshape(1, -1)).without_empty()


# --- row by row ---------------------------------------------------------------


def _rows_cells(asked: RangeQuestion, before: Prefilter, define: str = "") -> Cells:
    windows, context, selected = asked.windows, asked.context, asked.selected
    samples = Samples()
    extract = _Extractor(asked.node, asked.kept, before.rest)
    source = Source(
        COLUMNS,
        all_of([windows.time_condition(), selected.condition(), before.plain_sql]),
        max(windows.origin_ns, selected.first_ns),
        min(windows.end_ns, selected.last_ns) + 1,
        backward=False,
        define=define,
        read=before.read_sql,
    )
    derive = context.settings.derive_detected_level
    for table in slices(context.run, source):
        for record in read(table, derive_level=derive, with_ids=extract.reads_ids):
            if not _in_a_window(record.time_ns, windows):
                continue
            base = selected.labels.get(record.stream_id)
            if base is None:  # a stream that has come since streams were looked for
                continue
            metadata, error, details = layered(base, record.metadata)
            row = Row(base, metadata, record.body, record.time_ns, context.run.check_time)
            row.error, row.details = error, details
            value = extract(row)
            if value is not None:
                labels = extract.labels(row)
                _refuse_error(labels)
                place = (record.position, record.stream_id)
                samples.add(key_of(labels), record.time_ns, place, value)
        context.run.check_time()
        _bound_series(len(samples.series), context)
    return samples.cells(windows, asked.node.op)


def _in_a_window(time_ns: int, windows: Windows) -> bool:
    if windows.range_ns >= windows.steps.step_ns:
        return True
    age = (time_ns - windows.origin_ns - 1) % windows.steps.step_ns
    return age < windows.range_ns


def _bound_series(count: int, context: Context) -> None:
    limit = context.settings.max_series * 10  # what an aggregation around may still take together
    if count > limit:
        raise series_error(limit)


def series_error(limit: int) -> QueryError:
    """Loki's words for too many series."""
    return QueryError(
        f"maximum number of series ({limit}) reached for a single query; consider reducing query "
        "cardinality by adding more specific stream selectors, reducing the time range, or "
        "aggregating results with functions like sum(), count() or topk()"
    )


def _refuse_error(labels: Labels) -> None:
    if ERROR not in labels or labels.get(PRESERVE_ERROR) == "true":
        return
    raise pipeline_error(labels)


def pipeline_error(labels: Labels) -> QueryError:
    """A record that counts has an error: the query is to filter it out."""
    kind = labels[ERROR]
    shown = ", ".join(f"{k}={quote(v)}" for k, v in sorted(labels.items()))
    return QueryError(
        f"pipeline error: '{kind}' for series: '{{{shown}}}'.\n"
        "Use a label filter to intentionally skip this error. "
        f'(e.g | __error__!="{kind}").\n'
        'To skip all potential errors you can match empty errors.(e.g __error__="")\n'
        "The label filter can also be specified after unwrap. "
        '(e.g | unwrap latency | __error__="" )\n'
    )


class _Extractor:
    """A row's value, and the labels that are left of it."""

    def __init__(
        self, node: ast.RangeAggregation, kept: Kept, stages: tuple[ast.Stage, ...]
    ) -> None:
        self._steps = compile_stages(stages, kept.hints)
        self._unwrap = node.range.unwrap
        self._bytes = node.op in ("bytes_over_time", "bytes_rate")
        self._filters = [label_filter(f) for f in self._unwrap.filters] if self._unwrap else []
        self._convert = _CONVERSIONS[self._unwrap.conversion] if self._unwrap else parse_float
        self.labels = metric_labels(kept.grouping, no_labels=kept.no_labels)
        wanted = {*(kept.hints.required or ()), *(kept.names or ()), *required_labels(stages)}
        self.reads_ids = not wanted.isdisjoint(VIRTUAL)

    def __call__(self, row: Row) -> float | None:
        """None where the row does not count."""
        if not run_steps(self._steps, row):
            return None
        if self._unwrap is None:
            return float(len(row.line)) if self._bytes else 1.0
        text = row.get(self._unwrap.label)
        if not text:
            return None
        value = 0.0
        try:
            value = self._convert(text)
        except ValueError as e:
            row.fail(_EXTRACTION_ERROR, str(e))
        return value if all(step(row) for step in self._filters) else None


_CONVERSIONS = {
    "": parse_float,
    "bytes": lambda text: float(parse_bytes(text)),
    "duration": lambda text: parse_go_duration(text) / SECOND,
    "duration_seconds": lambda text: parse_go_duration(text) / SECOND,
}
