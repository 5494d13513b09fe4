"""Loki's routes about what there is: labels, series, statistics of the index; and formatting."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from starlette.responses import Response

from kelp import __version__
from kelp.base.clock import Clock
from kelp.server.http.endpoint import Call, Endpoint, Parameter
from kelp.server.http.kinds import at_least, one_of
from kelp.server.ports import Scope
from kelp.server.serve.askers import Asker
from kelp.server.serve.loki_json import encode_data
from kelp.server.serve.queries import Queries
from kelp.server.serve.ranges import (
    INDEX_REACH_NS,
    RANGE,
    range_of,
)

ScopeOf = Callable[[Call], Scope]

JSON = "application/json"
DEFAULT_LIMIT = 100

QUERY = Parameter("query", "LogQL.", required=True)
LIMIT = Parameter("limit", "Entries of a log query.", at_least(1), default=DEFAULT_LIMIT)
DIRECTION = Parameter(
    "direction",
    "Newest first (backward) or oldest first.",
    one_of("forward", "backward"),
    default="backward",
)
SELECTOR = Parameter("query", "A selector that narrows the streams.", default="")

_GET_POST = ("GET", "POST")
_ASKING = (400, 422, 429, 503)


class Loki:
    """The handlers; `queries` may be replaced while they are in use."""

    def __init__(self, queries: Queries, asker: Asker, scope_of: ScopeOf, clock: Clock) -> None:
        self.queries = queries
        self._asker = asker
        self._scope_of = scope_of
        self._clock = clock

    async def labels(self, call: Call) -> Response:
        """`labels`."""
        a, scope = call.arguments, self._scope_of(call)
        asked = range_of(a, self._clock.now_ns(), INDEX_REACH_NS)
        return await self._data(
            call,
            lambda query_id: self.queries.labels(
                scope,
                start_ns=asked.start_ns,
                end_ns=asked.end_ns,
                query=a["query"],
                query_id=query_id,
            ),
        )

    async def label_values(self, call: Call) -> Response:
        """`label/{name}/values`."""
        a, scope = call.arguments, self._scope_of(call)
        asked = range_of(a, self._clock.now_ns(), INDEX_REACH_NS)
        return await self._data(
            call,
            lambda query_id: self.queries.label_values(
                a["name"],
                scope,
                start_ns=asked.start_ns,
                end_ns=asked.end_ns,
                query=a["query"],
                query_id=query_id,
            ),
        )

    async def series(self, call: Call) -> Response:
        """`series`."""
        a, scope = call.arguments, self._scope_of(call)
        given = [*a["match[]"], *a["match"], *([a["query"]] if a["query"] else [])]
        selectors = list(dict.fromkeys(given))
        asked = range_of(a, self._clock.now_ns(), INDEX_REACH_NS)
        return await self._data(
            call,
            lambda query_id: self.queries.series(
                selectors,
                scope,
                start_ns=asked.start_ns,
                end_ns=asked.end_ns,
                query_id=query_id,
            ),
        )

    async def index_stats(self, call: Call) -> Response:
        """`index/stats`; not wrapped into a status, as in Loki."""
        a, scope = call.arguments, self._scope_of(call)
        asked = range_of(a, self._clock.now_ns(), INDEX_REACH_NS)
        found = await self._asker.ask(
            call.request,
            lambda query_id: self.queries.stats(
                a["query"],
                scope,
                start_ns=asked.start_ns,
                end_ns=asked.end_ns,
                query_id=query_id,
            ),
        )
        return Response(msgspec.json.encode(found), media_type=JSON)

    async def format_query(self, call: Call) -> Response:
        """`format_query`."""
        query = call.arguments["query"]
        return await self._data(call, lambda _id: self.queries.format(query))

    async def buildinfo(self, call: Call) -> Response:
        """`status/buildinfo`."""
        return Response(encode_buildinfo(), media_type=JSON)

    async def _data(self, call: Call, work: Callable[[str], Any]) -> Response:
        data = await self._asker.ask(call.request, lambda query_id: encode_data(work(query_id)))
        return Response(data, media_type=JSON)

    def endpoints(self) -> list[Endpoint]:
        """Their declarations."""
        base = "/loki/api/v1"
        return [
            Endpoint(
                f"{base}/labels",
                _GET_POST,
                "labels",
                "Label names of the streams that have records in a time range.",
                self.labels,
                (*RANGE, SELECTOR),
                statuses=_ASKING,
            ),
            Endpoint(
                f"{base}/label/{{name}}/values",
                _GET_POST,
                "labelValues",
                "Values of a label.",
                self.label_values,
                (Parameter("name", "The label.", where="path", required=True), *RANGE, SELECTOR),
                statuses=_ASKING,
            ),
            Endpoint(
                f"{base}/series",
                _GET_POST,
                "series",
                "Label sets of streams.",
                self.series,
                (
                    Parameter("match[]", "A selector; any of several counts.", repeated=True),
                    Parameter("match", "The same by another name.", repeated=True),
                    Parameter("query", "One more, as other routes name it.", default=""),
                    *RANGE,
                ),
                statuses=_ASKING,
            ),
            Endpoint(
                f"{base}/index/stats",
                _GET_POST,
                "indexStats",
                "How much lies under a selector.",
                self.index_stats,
                (Parameter("query", "A selector.", required=True), *RANGE),
                statuses=_ASKING,
            ),
            Endpoint(
                f"{base}/format_query",
                _GET_POST,
                "formatQuery",
                "A query, printed in one style.",
                self.format_query,
                (QUERY,),
            ),
            Endpoint(
                f"{base}/status/buildinfo",
                _GET_POST,
                "buildInfo",
                "Kelp's version, and that of the Loki that it answers as.",
                self.buildinfo,
                statuses=(),
            ),
        ]


# What Grafana asks for to learn what it may send: the API of this Loki is what Kelp speaks.
LOKI_VERSION = "3.5.0"


def encode_buildinfo() -> bytes:
    """Loki's shape, with Kelp's version beside."""
    return msgspec.json.encode(
        {
            "version": LOKI_VERSION,
            "revision": f"kelp-{__version__}",
            "branch": "",
            "buildUser": "",
            "buildDate": "",
            "goVersion": "",
            "kelpVersion": __version__,
        }
    )
