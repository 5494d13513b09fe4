"""Loki's `query` and `query_range`, with what Kelp adds: a budget, and an explanation.

A request's budget can only be smaller than the server's; the query service sees to that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import msgspec
from starlette.responses import Response

from kelp.base.clock import Clock
from kelp.server.http.endpoint import Call, Endpoint, Parameter
from kelp.server.http.kinds import BOOLEAN, DURATION, TIME, at_least
from kelp.server.http.times import SECOND
from kelp.server.ports import BudgetError, Scope
from kelp.server.result import Answer, StreamEntries, Streams
from kelp.server.serve.askers import Asker
from kelp.server.serve.loki import DIRECTION, JSON, LIMIT, QUERY, ScopeOf
from kelp.server.serve.loki_json import encode_answer, wants_categories
from kelp.server.serve.queries import Queries, Record
from kelp.server.serve.ranges import QUERY_REACH_NS, RANGE, STEP, Range, range_of, step_of

FLAGS = Parameter(
    "X-Loki-Response-Encoding-Flags",
    "categorize-labels: values have a third part with structured metadata and parsed labels.",
    where="header",
)


class LokiQuery:
    """The handlers; `queries` may be replaced while they are in use."""

    def __init__(
        self,
        queries: Queries,
        asker: Asker,
        scope_of: ScopeOf,
        clock: Clock,
        budget: Callable[..., Any],
    ) -> None:
        """`budget` makes a query's budget of timeout_s, max_memory_bytes, max_scanned_…"""
        self.queries = queries
        self._asker = asker
        self._scope_of = scope_of
        self._clock = clock
        self._budget = budget

    async def query(self, call: Call) -> Response:
        """`query`."""
        a, scope = call.arguments, self._scope_of(call)
        time_ns = self._clock.now_ns() if a["time"] is None else a["time"]

        def work(query_id: str) -> bytes:
            if a["explain"]:
                return self._explained(a, scope, Range(time_ns, time_ns), 0, query_id)
            answer = self.queries.instant(
                a["query"],
                scope,
                time_ns=time_ns,
                limit=a["limit"],
                direction=a["direction"],
                budget=self._budget_of(a),
                query_id=query_id,
            )
            return encode_answer(answer, categorize=wants_categories(a[FLAGS.name]))

        return Response(await self._asker.ask(call.request, work), media_type=JSON)

    async def query_range(self, call: Call) -> Response:
        """`query_range`."""
        a, scope = call.arguments, self._scope_of(call)
        asked = range_of(a, self._clock.now_ns(), QUERY_REACH_NS)
        step_ns = step_of(a, asked)

        def work(query_id: str) -> bytes:
            if a["explain"]:
                return self._explained(a, scope, asked, step_ns, query_id)
            answer = self.queries.range(
                a["query"],
                scope,
                start_ns=asked.start_ns,
                end_ns=asked.end_ns,
                step_ns=step_ns,
                limit=a["limit"],
                direction=a["direction"],
                budget=self._budget_of(a),
                query_id=query_id,
            )
            if a["interval"] and isinstance(answer.data, Streams):
                answer = self._sparse(a, scope, asked, answer, query_id)
            return encode_answer(answer, categorize=wants_categories(a[FLAGS.name]))

        return Response(await self._asker.ask(call.request, work), media_type=JSON)

    async def explain(self, call: Call) -> Response:
        """`/kelp/v1/explain`."""
        a, scope = call.arguments, self._scope_of(call)
        asked = range_of(a, self._clock.now_ns(), QUERY_REACH_NS)
        step_ns = step_of(a, asked)
        found = await self._asker.ask(
            call.request, lambda query_id: self._explained(a, scope, asked, step_ns, query_id)
        )
        return Response(found, media_type=JSON)

    def _explained(
        self, a: Mapping[str, Any], scope: Scope, asked: Range, step_ns: int, query_id: str
    ) -> bytes:
        return msgspec.json.encode(
            self.queries.explain(
                a["query"],
                scope,
                start_ns=asked.start_ns,
                end_ns=asked.end_ns,
                step_ns=step_ns,
                limit=a["limit"],
                direction=a["direction"],
                query_id=query_id,
            )
        )

    def _sparse(
        self, a: Mapping[str, Any], scope: Scope, asked: Range, answer: Answer, query_id: str
    ) -> Answer:
        """Entries that lie at least `interval` apart, in place of every one."""
        records = self.queries.records(
            a["query"],
            scope,
            start_ns=asked.start_ns,
            end_ns=asked.end_ns,
            limit=None,
            direction=a["direction"],
            budget=self._budget_of(a),
            query_id=query_id,
        )
        streams: dict[tuple[tuple[str, str], ...], StreamEntries] = {}
        warnings = []
        try:
            for labels, entry in spaced(records, a["interval"], a["limit"]):
                key = tuple(sorted(labels.items()))
                streams.setdefault(key, StreamEntries(labels, [])).entries.append(entry)
        except BudgetError as e:
            if e.cancelled:
                raise
            warnings = [e.cut_short()]
        return replace(answer, data=Streams(list(streams.values())), warnings=warnings)

    def _budget_of(self, a: Mapping[str, Any]) -> Any:
        return self._budget(
            timeout_s=(a["timeout"] or 0) / SECOND,
            max_memory_bytes=a["max_memory_bytes"],
            max_scanned_rows=a["max_scanned_rows"],
            max_scanned_bytes=a["max_scanned_bytes"],
        )

    def endpoints(self) -> list[Endpoint]:
        """Their declarations."""
        statuses = (400, 422, 429, 503)
        return [
            Endpoint(
                "/loki/api/v1/query",
                ("GET", "POST"),
                "query",
                "The value of a query at one time.",
                self.query,
                (
                    QUERY,
                    Parameter("time", "When; default: now.", TIME),
                    LIMIT,
                    DIRECTION,
                    FLAGS,
                    *_OURS,
                ),
                statuses=statuses,
            ),
            Endpoint(
                "/loki/api/v1/query_range",
                ("GET", "POST"),
                "queryRange",
                "The values of a query at steps of a time range, or the entries of a log query.",
                self.query_range,
                (QUERY, *RANGE, STEP, _INTERVAL, LIMIT, DIRECTION, FLAGS, *_OURS),
                statuses=statuses,
            ),
            Endpoint(
                "/kelp/v1/explain",
                ("GET", "POST"),
                "explain",
                "What a query would do, without running it: plan, SQL, estimated rows and bytes.",
                self.explain,
                (QUERY, *RANGE, STEP, LIMIT, DIRECTION),
                statuses=statuses,
            ),
        ]


def spaced(records: Iterator[Record], interval_ns: int, limit: int) -> Iterator[Record]:
    """The first record, and each that lies at least so far from the last one given."""
    last: int | None = None
    for record in records:
        time_ns = record[1].timestamp
        if last is None or abs(time_ns - last) >= interval_ns:
            yield record
            last = time_ns
            limit -= 1
            if limit <= 0:
                return


_INTERVAL = Parameter("interval", "Log queries: entries that lie at least so far apart.", DURATION)
_OURS = (
    Parameter("explain", "true: the plan, the SQL and the estimate instead of an answer.", BOOLEAN,
              default=False),
    Parameter("timeout", "Stop after this; at most the server's query.timeout_s.", DURATION),
    Parameter("max_memory_bytes", "Memory; at most the server's.", at_least(1), default=0),
    Parameter("max_scanned_rows", "Rows read; at most the server's.", at_least(1), default=0),
    Parameter("max_scanned_bytes", "Bytes read; at most the server's.", at_least(1), default=0),
)  # fmt: skip
