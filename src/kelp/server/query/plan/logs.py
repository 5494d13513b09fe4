"""Log queries: entries in a total order, newest or oldest first, up to a limit or all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from kelp.server.ports import BudgetError
from kelp.server.query.logql import expressions as ast
from kelp.server.query.metric.frame import Key, key_of
from kelp.server.query.pipeline.compile import Step, compile_stages, run_steps
from kelp.server.query.pipeline.row import Row, layered
from kelp.server.query.plan.context import Context
from kelp.server.query.plan.implicit import settled
from kelp.server.query.plan.needles import elsewhere
from kelp.server.query.plan.prefilter import Prefilter, prefilter
from kelp.server.query.plan.slices import Source, slices
from kelp.server.query.records import COLUMNS, Record, read
from kelp.server.query.result_rows import LabelledEntry
from kelp.server.query.sql.text import all_of
from kelp.server.query.streams import Selected
from kelp.server.result import Entry, StreamEntries


def plan_source(  # noqa: PLR0913 - the parts of one question
    query: ast.LogQuery, context: Context, selected: Selected, *,
    start_ns: int, end_ns: int, limit: int | None, backward: bool,
) -> tuple[Source, Prefilter]:  # fmt: skip
    """What is read, between start (in it) and end (outside), and what is left to do with it."""
    start = max(start_ns, selected.first_ns)
    end = min(end_ns, selected.last_ns + 1)
    stages = settled(query.stages, selected.labels)
    ask = elsewhere(context, selected, start, end)
    before = prefilter(stages, context.dialect, selected, ask)
    where = all_of([selected.condition(), before.plain_sql])
    max_rows = (limit or 0) if not before.rest else 0
    return Source(COLUMNS, where, start, end, backward, max_rows, read=before.read_sql), before


def entries(
    query: ast.LogQuery, context: Context, *,
    start_ns: int, end_ns: int, limit: int | None, backward: bool,
) -> Iterator[LabelledEntry]:  # fmt: skip
    """Entries with their stream labels, in order; at most `limit` of them."""
    selected = context.streams.select(
        context.run, context.scope, query.matchers, start_ns, max(end_ns - 1, start_ns)
    )
    if not selected.labels:
        return
    source, before = plan_source(
        query, context, selected, start_ns=start_ns, end_ns=end_ns, limit=limit, backward=backward
    )
    steps = compile_stages(before.rest)
    left = limit
    read_to: int | None = None
    try:
        for record in _records(context, source, timed=bool(steps)):
            base = selected.labels.get(record.stream_id)
            if base is None:  # a stream that has come since streams were looked for
                continue
            found = entry_of(record, base, steps, context.run.check_time)
            read_to = record.time_ns
            if found is None:
                continue
            yield found
            if left is not None:
                left -= 1
                if left <= 0:
                    return
    except BudgetError as e:
        e.read_to_ns = read_to
        raise


def _records(context: Context, source: Source, *, timed: bool) -> Iterator[Record]:
    """All of them; `timed`: what is done with each takes long enough to look at the clock."""
    derive = context.settings.derive_detected_level
    for table in slices(context.run, source):
        for record in read(table, derive_level=derive, with_ids=True):
            yield record
            if timed:
                context.run.check_time()
        context.run.check_time()


def entry_of(
    record: Record, base: dict[str, str], steps: list[Step], check: Callable[[], None]
) -> LabelledEntry | None:
    """A record as an entry, after the stages that were left to do; None where one drops it.

    `check` raises where the time for it is over.
    """
    metadata, error, details = layered(base, record.metadata)
    if not steps:
        parsed = {k: v for k, v in (("__error__", error), ("__error_details__", details)) if v}
        labels = {k: v for k, v in base.items() if k not in metadata} if metadata else base
        entry = Entry(
            record.time_ns, record.position, record.body, metadata, parsed, record.stream_id
        )
        return LabelledEntry(labels, entry)
    row = Row(base, metadata, record.body, record.time_ns, check)
    row.error, row.details = error, details
    if not run_steps(steps, row):
        return None
    parsed = row.parsed_labels()
    entry = Entry(record.time_ns, record.position, row.line, row.metadata, parsed, record.stream_id)
    return LabelledEntry(row.stream_labels(), entry)


def by_stream(found: Iterator[LabelledEntry], context: Context) -> list[StreamEntries]:
    """Entries gathered under their label sets, which are sorted; each in the order it came.

    Where the budget ends first, what was found so far, with a warning: the newest entries or the
    oldest ones, as was asked, without a gap.
    """
    streams: dict[Key, StreamEntries] = {}
    count = 0
    try:
        for one in found:
            key = key_of(one.labels)
            if key not in streams:
                streams[key] = StreamEntries(one.labels, [])
            streams[key].entries.append(one.entry)
            count += 1
    except BudgetError as e:
        if e.cancelled:
            raise
        context.run.warnings.append(e.cut_short())
    context.run.stats.entries_returned = count
    return [streams[key] for key in sorted(streams)]
