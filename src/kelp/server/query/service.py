"""QueryService: LogQL answered, under the caller's rights and within a budget.

Everything blocks, and may be called from several threads at once. Methods raise QueryError (the
query is wrong), BudgetError (it costs too much) or EngineError. Times are nanoseconds since the
epoch; a time range holds its start and not its end, as in Loki, save where it says otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from kelp.base.clock import Clock, SystemClock
from kelp.base.settings import Query as QuerySettings
from kelp.model.loss import Loss
from kelp.model.stored import StoredInstances
from kelp.server.ports import Deletion, Dialect, Doomed, Engine, QueryError, Scope
from kelp.server.query import catalog, deleting, explaining, losses, tailing, tracing
from kelp.server.query.budget import Budget
from kelp.server.query.logql import expressions as ast
from kelp.server.query.logql.checks import scalar_value
from kelp.server.query.logql.errors import errors_at, meaning_error
from kelp.server.query.logql.parser import parse, parse_log_query, parse_matchers
from kelp.server.query.logql.printer import format_query
from kelp.server.query.metric.frame import Steps
from kelp.server.query.pipeline.compile import check_stages
from kelp.server.query.plan import logs
from kelp.server.query.plan.answers import keeps_order, matrix_of, vector_of
from kelp.server.query.plan.context import Context
from kelp.server.query.plan.metrics import evaluate
from kelp.server.query.plan.prepare import prepared
from kelp.server.query.result_rows import LabelledEntry
from kelp.server.query.run import Run
from kelp.server.query.sql.lines import PlainDialect
from kelp.server.query.streams import StreamResolver
from kelp.server.query.tailing import TailCursor
from kelp.server.result import Answer, Data, Entry, Matrix, Scalar, Series, StreamEntries, Streams

MAX_STEPS = 11_000


class QueryService:
    """Answers queries. `dialect` knows how the store's indexes are asked."""

    def __init__(
        self,
        engine: Engine,
        settings: QuerySettings,
        dialect: Dialect | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._engine = engine
        self._settings = settings
        self._dialect = dialect or PlainDialect()
        self._clock = clock or SystemClock()
        self._streams = StreamResolver(derive_service_name=settings.derive_service_name)

    def _context(self, scope: Scope, budget: Budget | None, query_id: str) -> Context:
        bounded = (budget or Budget()).within(self._settings)
        run = Run(self._engine, bounded, self._clock, query_id)
        return Context(run, scope, self._streams, self._dialect, self._settings)

    def _answer(self, data: Data, context: Context) -> Answer:
        context.run.stats.seconds = context.run.spent_s()
        return Answer(data, context.run.stats, context.run.warnings)

    # --- queries -------------------------------------------------------------------------------

    def instant(  # noqa: PLR0913 - a request has these parts
        self,
        query: str,
        scope: Scope,
        *,
        time_ns: int,
        limit: int = 100,
        direction: str = "backward",
        budget: Budget | None = None,
        query_id: str = "",
    ) -> Answer:
        """The value at one time. A log query has none, and is refused as Loki refuses it."""
        expression = parsed(query)
        context = self._context(scope, budget, query_id)
        if isinstance(expression, ast.LogQuery):
            raise meaning_error(
                "log queries are not supported as an instant query type, please change your "
                "query to a range query type",
                expression.at,
            )
        if ast.is_scalar(expression):
            return self._answer(Scalar(time_ns, scalar_value(expression)), context)
        frame = evaluate(prepared(expression), Steps(time_ns, 1, 1), context, instant=True)
        ordered = keeps_order(expression)
        with errors_at(expression.at):
            found = vector_of(frame, time_ns, ordered=ordered, max_series=self._settings.max_series)
        return self._answer(found, context)

    def range(  # noqa: PLR0913 - a request has these parts
        self,
        query: str,
        scope: Scope,
        *,
        start_ns: int,
        end_ns: int,
        step_ns: int = 0,
        limit: int = 100,
        direction: str = "backward",
        budget: Budget | None = None,
        query_id: str = "",
    ) -> Answer:
        """Entries between start and end, or values at start, start + step … up to end (in it)."""
        expression = parsed(query)
        context = self._context(scope, budget, query_id)
        if isinstance(expression, ast.LogQuery):
            return self._log_range(expression, context, start_ns, end_ns, limit, direction)
        steps = _steps(start_ns, end_ns, step_ns)
        if ast.is_scalar(expression):
            value = scalar_value(expression)
            times = steps.times_ns()
            return self._answer(Matrix([Series({}, times, [value] * len(times))]), context)
        frame = evaluate(prepared(expression), steps, context, instant=False)
        with errors_at(expression.at):
            return self._answer(matrix_of(frame, steps, self._settings.max_series), context)

    def _log_range(
        self,
        query: ast.LogQuery,
        context: Context,
        start_ns: int,
        end_ns: int,
        limit: int,
        direction: str,
    ) -> Answer:
        if limit > self._settings.max_entries:
            raise QueryError(
                f"max entries limit per query exceeded, limit > max_entries_limit "
                f"({limit} > {self._settings.max_entries})"
            )
        found = logs.entries(
            query,
            context,
            start_ns=start_ns,
            end_ns=end_ns,
            limit=limit,
            backward=_backward(direction),
        )
        return self._answer(Streams(logs.by_stream(found, context)), context)

    def records(  # noqa: PLR0913 - a request has these parts
        self,
        query: str,
        scope: Scope,
        *,
        start_ns: int,
        end_ns: int,
        limit: int | None = None,
        direction: str = "forward",
        budget: Budget | None = None,
        query_id: str = "",
    ) -> Iterator[tuple[dict[str, str], Entry]]:
        """Stream labels and entry of each record, in total order; `limit` None: all of them.

        What is wrong with the query is told before the first record is asked for.
        """
        expression = _log_query(query)
        context = self._context(scope, budget, query_id)
        return iter(
            logs.entries(
                expression,
                context,
                start_ns=start_ns,
                end_ns=end_ns,
                limit=limit,
                backward=_backward(direction),
            )
        )

    def tail(
        self,
        query: str,
        scope: Scope,
        *,
        after: TailCursor,
        limit: int = 1000,
        budget: Budget | None = None,
        query_id: str = "",
    ) -> tuple[list[StreamEntries], TailCursor]:
        """What has become searchable since the cursor, oldest first, and the next cursor."""
        context = self._context(scope, budget, query_id)
        return tailing.poll(_log_query(query), context, after, limit, self._clock.now_ns())

    # --- what there is -------------------------------------------------------------------------

    def labels(
        self, scope: Scope, *, start_ns: int, end_ns: int, query: str = "", query_id: str = ""
    ) -> list[str]:
        """Label names, sorted; `query` narrows by a selector."""
        context = self._context(scope, None, query_id)
        return catalog.names(context, query, start_ns, end_ns)

    def label_values(
        self,
        name: str,
        scope: Scope,
        *,
        start_ns: int,
        end_ns: int,
        query: str = "",
        query_id: str = "",
    ) -> list[str]:
        """Values of one label, sorted."""
        context = self._context(scope, None, query_id)
        return catalog.values(context, name, query, start_ns, end_ns)

    def series(
        self,
        matchers: Sequence[str],
        scope: Scope,
        *,
        start_ns: int,
        end_ns: int,
        query_id: str = "",
    ) -> list[dict[str, str]]:
        """Label sets of the streams that match any of the selectors; none: of all."""
        context = self._context(scope, None, query_id)
        return catalog.series(context, matchers, start_ns, end_ns)

    def stats(
        self, query: str, scope: Scope, *, start_ns: int, end_ns: int, query_id: str = ""
    ) -> dict[str, int]:
        """`index/stats`: streams, chunks, entries and bytes of a selector's records."""
        context = self._context(scope, None, query_id)
        return catalog.stats(context, _log_query(query), start_ns, end_ns)

    def volume(  # noqa: PLR0913 - a request has these parts
        self,
        query: str,
        scope: Scope,
        *,
        start_ns: int,
        end_ns: int,
        step_ns: int = 0,
        limit: int = 100,
        target_labels: Sequence[str] = (),
        aggregate_by: str = "series",
        query_id: str = "",
    ) -> Answer:
        """`index/volume`: bytes by the selector's labels; with a step, at steps."""
        context = self._context(scope, None, query_id)
        targets, expression = tuple(target_labels), _volume_query(query)
        asked = catalog.VolumeRequest(
            expression, start_ns, end_ns, step_ns, limit, targets, aggregate_by
        )
        return self._answer(catalog.volume(context, asked), context)

    def losses(
        self, query: str, scope: Scope, *, start_ns: int, end_ns: int, query_id: str = ""
    ) -> list[Loss]:
        """What is missing of the containers that the query's selector names, ordered by end."""
        context = self._context(scope, None, query_id)
        return losses.find(context, parse_log_query(query).matchers, start_ns, end_ns)

    def trace(
        self, asked: str | int, scope: Scope, *, limit: int = 100, runs: int = 0, query_id: str = ""
    ) -> StoredInstances:
        """What is stored of the instances of a selector, or of that of the stream with an id."""
        context = self._context(scope, None, query_id)
        if isinstance(asked, str):
            return tracing.find(context, parse_matchers(asked), limit, runs)
        matchers = tracing.matchers_of(context, asked)
        return tracing.find(context, matchers, limit) if matchers else StoredInstances()

    def trace_records(
        self,
        query: str,
        scope: Scope,
        *,
        positions: tuple[int, int],
        times_ns: tuple[int, int],
        limit: int,
        query_id: str = "",
    ) -> tuple[pa.Table, dict[int, dict[str, str]]]:
        """Records in the order of their positions, and the labels of their streams."""
        window = tracing.Window(*positions, *times_ns)
        context = self._context(scope, None, query_id)
        return tracing.records(context, parse_matchers(query), window, limit)

    def doomed(self, deletion: Deletion) -> Doomed:
        """What a request to delete means now, under the rights of whoever asked for it."""
        return deleting.doomed(self._context(deleting.scope_of(deletion), None, ""), deletion)

    # --- queries as text -----------------------------------------------------------------------

    def explain(  # noqa: PLR0913 - a request has these parts
        self,
        query: str,
        scope: Scope,
        *,
        start_ns: int,
        end_ns: int,
        step_ns: int = 0,
        limit: int = 100,
        direction: str = "backward",
        query_id: str = "",
    ) -> dict[str, Any]:
        """What answering would do: the plan, the SQL, and an estimate of what it reads."""
        context = self._context(scope, None, query_id)
        asked = explaining.Asked(start_ns, end_ns, step_ns, limit, _backward(direction))
        return explaining.explain(parsed(query), context, asked)

    def check_log_query(self, query: str) -> None:
        """QueryError for what is no log query: a selector, with stages or without."""
        _log_query(query)

    def check_selector(self, query: str) -> None:
        """QueryError for what is no selector alone; `{}` is one here."""
        parse_matchers(query, strict=False)

    def format(self, query: str) -> str:
        """The query, printed in one style."""
        return format_query(parse(query))


def parsed(query: str) -> ast.Expression:
    """The tree of a query whose stages are sound as well."""
    expression = parse(query)
    check_stages(expression)
    return expression


def _log_query(query: str) -> ast.LogQuery:
    expression = parse_log_query(query)
    check_stages(expression)
    return expression


def _volume_query(query: str) -> ast.LogQuery:
    """As _log_query; volumes are asked of everything, too (`{}`), as in Loki."""
    return ast.LogQuery(()) if query.strip() == "{}" else _log_query(query)


def _backward(direction: str) -> bool:
    if direction.lower() not in ("forward", "backward"):
        raise QueryError(f"expected direction forward or backward; got {direction!r}")
    return direction.lower() == "backward"


def _steps(start_ns: int, end_ns: int, step_ns: int) -> Steps:
    if end_ns < start_ns:
        raise QueryError("end timestamp must not be before or equal to start time")
    if step_ns < 0 or (step_ns == 0 and end_ns > start_ns):
        raise QueryError(
            "zero or negative query resolution step widths are not accepted. Try a positive integer"
        )
    count = (end_ns - start_ns) // step_ns + 1 if step_ns else 1
    if count - 1 > MAX_STEPS:
        raise QueryError(
            "exceeded maximum resolution of 11,000 points per time series. "
            "Try increasing the value of the step parameter"
        )
    return Steps(start_ns, step_ns or 1, count)


__all__ = ["Budget", "LabelledEntry", "QueryService", "TailCursor"]
