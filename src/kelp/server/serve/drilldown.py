"""Loki's routes behind Grafana's Logs Drilldown: volumes, detected labels and fields, limits.

Shapes: https://grafana.com/docs/loki/latest/reference/loki-http-api/. Fields are detected as Loki
does: the newest lines are parsed as JSON, or else as logfmt, and what comes out is counted. Lines
whose format is known are read by that instead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec
from starlette.responses import Response

from kelp.base.clock import Clock
from kelp.base.settings import Settings
from kelp.server.http.endpoint import Call, Endpoint, Parameter
from kelp.server.http.kinds import at_least, one_of
from kelp.server.ports import Scope
from kelp.server.result import Entry, Streams
from kelp.server.serve.askers import Asker
from kelp.server.serve.detected import ERRORS, Fields, detected_labels
from kelp.server.serve.loki import JSON, LOKI_VERSION, QUERY, SELECTOR, ScopeOf
from kelp.server.serve.loki_json import encode_answer, encode_data
from kelp.server.serve.queries import Queries
from kelp.server.serve.ranges import (
    INDEX_REACH_NS,
    QUERY_REACH_NS,
    RANGE,
    STEP,
    Range,
    range_of,
    step_of,
)

_BASE = "/loki/api/v1"
_GET_POST = ("GET", "POST")
_ASKING = (400, 422, 429, 503)


class Drilldown:
    """The handlers; `queries` may be replaced while they are in use."""

    def __init__(
        self,
        queries: Queries,
        asker: Asker,
        scope_of: ScopeOf,
        clock: Clock,
        settings: Callable[[], Settings],
        service_sources: Sequence[str],
    ) -> None:
        """`service_sources` are the labels that service_name is derived from."""
        self.queries = queries
        self._asker = asker
        self._scope_of = scope_of
        self._clock = clock
        self._settings = settings
        self._service_sources = service_sources

    async def volume(self, call: Call) -> Response:
        """`index/volume`."""
        return await self._volume(call, self._range(call, INDEX_REACH_NS), 0)

    async def volume_range(self, call: Call) -> Response:
        """`index/volume_range`."""
        asked = self._range(call, INDEX_REACH_NS)
        return await self._volume(call, asked, step_of(call.arguments, asked))

    async def _volume(self, call: Call, asked: Range, step_ns: int) -> Response:
        a, scope = call.arguments, self._scope_of(call)
        targets = [t.strip() for t in (a["targetLabels"] or "").split(",") if t.strip()]
        return await self._json(
            call,
            lambda query_id: encode_answer(
                self.queries.volume(
                    a["query"],
                    scope,
                    start_ns=asked.start_ns,
                    end_ns=asked.end_ns,
                    step_ns=step_ns,
                    limit=a["limit"],
                    target_labels=targets,
                    aggregate_by=a["aggregateBy"],
                    query_id=query_id,
                ),
                categorize=False,
            ),
        )

    async def labels(self, call: Call) -> Response:
        """`detected_labels`; not wrapped into a status, as in Loki."""
        scope, asked = self._scope_of(call), self._range(call, INDEX_REACH_NS)
        query = call.arguments["query"]

        def work(query_id: str) -> bytes:
            series = self.queries.series(
                [query] if query else [],
                scope,
                start_ns=asked.start_ns,
                end_ns=asked.end_ns,
                query_id=query_id,
            )
            return msgspec.json.encode({"detectedLabels": detected_labels(series)})

        return await self._json(call, work)

    async def fields(self, call: Call) -> Response:
        """`detected_fields`; likewise."""
        limit = _limit(call)

        def encode(found: Fields) -> bytes:
            body: dict[str, Any] = {"fields": found.as_json()}
            return msgspec.json.encode(body | ({"limit": limit} if found.found else {}))

        return await self._detect(call, encode)

    async def field_values(self, call: Call) -> Response:
        """`detected_field/{name}/values`; likewise."""
        name, limit = call.arguments["name"], _limit(call)

        def encode(found: Fields) -> bytes:
            values = sorted(found.found[name].values)[:limit] if name in found.found else []
            return msgspec.json.encode({"values": values, "limit": limit})

        return await self._detect(call, encode)

    async def _detect(self, call: Call, encode: Callable[[Fields], bytes]) -> Response:
        a, scope = call.arguments, self._scope_of(call)
        asked = self._range(call, QUERY_REACH_NS)
        lines = min(a["line_limit"], self._settings().query.max_entries)
        # The limit of `values` is one of values, not of fields.
        fields = Fields(_limit(call) if "name" not in a else _MAX_FIELDS)

        def work(query_id: str) -> bytes:
            self.queries.check_log_query(a["query"])
            plain = self._entries(a["query"], scope, asked, lines, query_id)
            for entry in plain:
                fields.add(entry.metadata)
                fields.add(entry.parsed)
            if plain:
                for parser, parsed in self._parsed(a["query"], scope, asked, lines, query_id):
                    fields.add(parsed, parser)
            return encode(fields)

        return await self._json(call, work)

    def _parsed(
        self, query: str, scope: Scope, asked: Range, lines: int, query_id: str
    ) -> Iterator[tuple[str, dict[str, str]]]:
        """Fields of each line by what could read it: its format, or else JSON, or logfmt.

        Those of a format have no parser: a query that names them needs none, like metadata.
        """

        def way(parser: str) -> list[Entry]:
            # A newline before the stage, for the query may end in a comment.
            return self._entries(f"{query}\n| {parser}", scope, asked, lines, query_id)

        known = way("fields")
        told = [_told(e) for e in known]
        yield from (("", fields) for fields in told if fields)
        if all(told):
            return
        for of_format, json, logfmt in zip(told, way("json"), way("logfmt"), strict=False):
            if of_format:
                continue
            if not _failed(json):
                yield "json", json.parsed
            elif not _failed(logfmt):
                yield "logfmt", logfmt.parsed

    def _entries(
        self, query: str, scope: Scope, asked: Range, lines: int, query_id: str
    ) -> list[Entry]:
        """The newest entries, in one order however they are parsed."""
        answer = self.queries.range(
            query,
            scope,
            start_ns=asked.start_ns,
            end_ns=asked.end_ns,
            step_ns=1,
            limit=lines,
            direction="backward",
            query_id=query_id,
        )
        streams = answer.data.streams if isinstance(answer.data, Streams) else []
        found = [e for s in streams for e in s.entries]
        return sorted(found, key=lambda e: (e.timestamp, e.position, e.line))

    async def patterns(self, call: Call) -> Response:
        """`patterns`: none are mined yet."""
        self.queries.check_log_query(call.arguments["query"])
        return Response(encode_data([]), media_type=JSON)

    async def limits(self, call: Call) -> Response:
        """`drilldown-limits`: what Drilldown shows and what it hides; the same of all streams."""
        if selector := call.arguments["query"]:
            self.queries.check_selector(selector)
        settings = self._settings()
        query = settings.query
        body = {
            "limits": {
                "discover_log_levels": query.derive_detected_level,
                "discover_service_name": (
                    list(self._service_sources) if query.derive_service_name else []
                ),
                "log_level_fields": ["level", "severity", "severity_text", "lvl"],
                "max_entries_limit_per_query": query.max_entries,
                "max_query_series": query.max_series,
                "query_timeout": f"{query.timeout_s:g}s",
                "retention_period": f"{settings.store.retention_days * 24:g}h",
                "volume_enabled": True,
                "volume_max_series": query.max_series,
            },
            "pattern_ingester_enabled": False,
            "version": LOKI_VERSION,
        }
        return Response(msgspec.json.encode(body), media_type=JSON)

    def _range(self, call: Call, reach_ns: int) -> Range:
        return range_of(call.arguments, self._clock.now_ns(), reach_ns)

    async def _json(self, call: Call, work: Callable[[str], bytes]) -> Response:
        return Response(await self._asker.ask(call.request, work), media_type=JSON)

    def endpoints(self) -> list[Endpoint]:
        """Their declarations."""
        name = Parameter("name", "The field.", where="path", required=True)
        return [
            Endpoint(f"{_BASE}/index/volume", _GET_POST, "volume",
                     "Bytes under a selector by labels, largest first.",
                     self.volume, (QUERY, *RANGE, *_VOLUME), statuses=_ASKING),
            Endpoint(f"{_BASE}/index/volume_range", _GET_POST, "volumeRange",
                     "The same at steps of a time range.",
                     self.volume_range, (QUERY, *RANGE, STEP, *_VOLUME), statuses=_ASKING),
            Endpoint(f"{_BASE}/detected_labels", _GET_POST, "detectedLabels",
                     "Labels that are worth a choice, with the number of their values.",
                     self.labels, (*RANGE, SELECTOR), statuses=_ASKING),
            Endpoint(f"{_BASE}/detected_fields", _GET_POST, "detectedFields",
                     "Fields of the newest lines of a log query, with the kinds of their values.",
                     self.fields, (QUERY, *RANGE, *_FIELDS, _LINES), statuses=_ASKING),
            Endpoint(f"{_BASE}/detected_field/{{name}}/values", _GET_POST, "detectedFieldValues",
                     "Values of a field in the newest lines of a log query.",
                     self.field_values, (name, QUERY, *RANGE, *_FIELDS, _LINES), statuses=_ASKING),
            Endpoint(f"{_BASE}/patterns", _GET_POST, "patterns",
                     "Patterns of lines; none are mined yet, so the list is empty.",
                     self.patterns, (QUERY, *RANGE, STEP)),
            Endpoint(f"{_BASE}/drilldown-limits", _GET_POST, "drilldownLimits",
                     "Limits in force, and what is derived and offered.",
                     self.limits, (SELECTOR,)),
        ]  # fmt: skip


def _limit(call: Call) -> int:
    """How many fields or values; older senders say so under another name."""
    a = call.arguments
    return int(a["limit"] or a["field_limit"] or _DEFAULT_FIELDS)


def _failed(entry: Entry) -> bool:
    return any(n in entry.parsed or n in entry.metadata for n in ERRORS)


def _told(entry: Entry) -> dict[str, str]:
    """What the line's format says, if the stage before it did not fail."""
    return {} if _failed(entry) else entry.parsed


_MAX_FIELDS = 10_000
_DEFAULT_FIELDS = 1000
_FIELDS = (
    Parameter("limit", "At the most so many fields (or values).", at_least(1, _MAX_FIELDS)),
    Parameter("field_limit", "The former name of limit.", at_least(1, _MAX_FIELDS)),
)
_LINES = Parameter("line_limit", "Lines that are looked at, the newest.", at_least(1), default=1000)
_VOLUME = (
    Parameter("limit", "At the most so many.", at_least(1), default=100),
    Parameter("targetLabels", "Labels to add up by, with commas; default: the selector's."),
    Parameter(
        "aggregateBy",
        "series: by the values of those labels; labels: by their names.",
        one_of("series", "labels"),
        default="series",
    ),
)
