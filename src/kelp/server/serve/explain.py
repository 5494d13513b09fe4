"""/kelp/v1/explain: what a query would do, without doing it."""

from __future__ import annotations

import msgspec
from starlette.responses import Response

from kelp.base.clock import Clock
from kelp.server.http.endpoint import Call, Endpoint
from kelp.server.serve.askers import Asker
from kelp.server.serve.loki import DIRECTION, JSON, LIMIT, QUERY, ScopeOf
from kelp.server.serve.queries import Queries
from kelp.server.serve.ranges import QUERY_REACH_NS, RANGE, STEP, range_of, step_of


class Explain:
    """The handler; `queries` may be replaced while it is in use."""

    def __init__(self, queries: Queries, asker: Asker, scope_of: ScopeOf, clock: Clock) -> None:
        self.queries = queries
        self._asker = asker
        self._scope_of = scope_of
        self._clock = clock

    async def get(self, call: Call) -> Response:
        """The plan, the SQL and the estimate."""
        a, scope = call.arguments, self._scope_of(call)
        asked = range_of(a, self._clock.now_ns(), QUERY_REACH_NS)
        step_ns = step_of(a, asked)
        found = await self._asker.ask(
            call.request,
            lambda query_id: self.queries.explain(
                a["query"],
                scope,
                start_ns=asked.start_ns,
                end_ns=asked.end_ns,
                step_ns=step_ns,
                limit=a["limit"],
                direction=a["direction"],
                query_id=query_id,
            ),
        )
        return Response(msgspec.json.encode(found), media_type=JSON)

    def endpoint(self) -> Endpoint:
        """Its declaration."""
        return Endpoint(
            "/kelp/v1/explain",
            ("GET", "POST"),
            "explain",
            "What a query would do, without running it: plan, SQL, estimated rows and bytes.",
            self.get,
            (QUERY, *RANGE, STEP, LIMIT, DIRECTION),
            statuses=(400, 422, 429, 503),
        )
