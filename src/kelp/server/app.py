"""The server's assembly: the one file that knows its stages and their order.

    receive → admit → store → query → serve

Each stage names what it needs of the others as a Protocol; here it gets it. What is opened is
closed in the opposite order, also where the start fails half-way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
)
from starlette.applications import Starlette
from starlette.types import ASGIApp

from kelp.base.clock import Clock
from kelp.base.errors import KelpError
from kelp.base.settings import Query as QuerySettings
from kelp.base.settings import Settings
from kelp.server.admit.middleware import Admission
from kelp.server.admit.tokens import TokenGate
from kelp.server.http.body import BodyBudget
from kelp.server.http.dispatch import RequestMetrics, routes, unrouted
from kelp.server.http.endpoint import Call, Endpoint
from kelp.server.nodes.agents import AgentRoutes
from kelp.server.nodes.callers import CallerRoutes
from kelp.server.nodes.metrics import RelayMetrics
from kelp.server.nodes.relay import Relay
from kelp.server.ports import Deletion, Deletions, Doomed, EngineError, Scope
from kelp.server.query.budget import Budget
from kelp.server.query.deleting import check_deletable
from kelp.server.query.derived import SERVICE_SOURCES
from kelp.server.query.service import QueryService
from kelp.server.query.tailing import TailCursor
from kelp.server.receive.http_push import Pushes, PushMetrics
from kelp.server.receive.http_segments import PATH as SEGMENTS_PATH
from kelp.server.receive.http_segments import Segments
from kelp.server.receive.inbox import Inbox
from kelp.server.receive.reception import Reception
from kelp.server.serve.askers import Asker
from kelp.server.serve.deletes import Deletes
from kelp.server.serve.drilldown import Drilldown
from kelp.server.serve.follow import Followers
from kelp.server.serve.logs import Logs
from kelp.server.serve.loki import Loki
from kelp.server.serve.loki_query import LokiQuery
from kelp.server.serve.openapi import openapi_endpoint
from kelp.server.serve.process import Operations, Process
from kelp.server.serve.queries import Queries, Sql
from kelp.server.serve.rules import rules_endpoints
from kelp.server.serve.sql import SqlRoute
from kelp.server.serve.tail import Tail
from kelp.server.serve.trace import Trace
from kelp.server.serve.turns import TurnMetrics, Turns
from kelp.server.store.opening import encryption_key, open_store
from kelp.server.store.sql import SqlLimits, run_readonly
from kelp.server.store.store import Store
from kelp.server.upkeep import Upkeep
from kelp.wire.asks import ANSWERS_PATH, ASKS_PATH

# Segments are decoded and made durable by so many at once; an fsync serves all that wait for it,
# so the number is that of agents whose segments go to disk together.
_RECEIVERS = 16
# A push waits until it can be searched, most of the time for the inbox.
_PUSHERS = 64
# How long a stop may take to bring the inbox into the store; the rest stays in the inbox.
DRAIN_S = 0.8
# Bodies that are in memory at once, in multiples of the largest that is allowed.
_BODIES = 4


@dataclass(frozen=True)
class Parts:
    """What the routes work with."""

    settings: Settings
    gate: TokenGate
    inbox: Inbox
    queries: Queries
    sql: Sql
    deletions: Deletions
    cursor_at: Callable[[int], Any]  # where following begins, by a time in nanoseconds
    cancel: Callable[[str], None]  # stops the query with an id
    operations: Operations
    registry: CollectorRegistry
    clock: Clock


class Surface:
    """Everything that answers HTTP, as an ASGI application; `close` when its event loop ends."""

    def __init__(self, parts: Parts) -> None:
        self._opened = ExitStack()
        registry = parts.registry
        self._turns = Turns(parts.settings.query.max_concurrent, TurnMetrics(registry))
        self._opened.callback(self._turns.close)
        asker = Asker(self._turns, parts.cancel)
        max_bytes = parts.settings.server.max_request_bytes
        bodies = BodyBudget(_BODIES * max_bytes)
        self._followers = Followers(registry)
        self._loki = Loki(parts.queries, asker, scope_of, parts.clock)
        self._queries = LokiQuery(parts.queries, asker, scope_of, parts.clock, Budget)
        self._tail = Tail(parts.queries, asker, parts.clock, parts.cursor_at, self._followers)
        self._logs = Logs(
            parts.queries, asker, scope_of, parts.clock, parts.cursor_at, self._followers
        )
        self._drilldown = Drilldown(
            parts.queries,
            asker,
            scope_of,
            parts.clock,
            parts.operations.settings,
            SERVICE_SOURCES,
        )
        self._deletes = Deletes(
            parts.deletions,
            check_deletable,
            asker,
            scope_of,
            parts.clock,
            parts.settings.store.delete_delay_s,
        )
        self._sql = SqlRoute(parts.sql, asker, scope_of)
        self._trace = Trace(parts.queries, asker, scope_of)
        self._segments = Segments(
            parts.inbox, Reception(bodies, max_bytes, self._threads(_RECEIVERS, "kelp-receive"))
        )
        self._pushes = Pushes(
            parts.inbox,
            Reception(bodies, max_bytes, self._threads(_PUSHERS, "kelp-push")),
            parts.clock,
            PushMetrics(registry),
            lambda: parts.operations.settings().query.derive_detected_level,
        )
        self._relay = Relay(parts.clock, RelayMetrics(registry))
        self._process = Process(parts.operations, registry)
        self.endpoints = self._endpoints()
        self.asgi = self._assembled(parts.gate, registry)

    def replace_queries(self, queries: Queries) -> None:
        """From now on these answer; for settings that were read again."""
        for routes_that_ask in (
            self._loki,
            self._queries,
            self._tail,
            self._logs,
            self._drilldown,
            self._trace,
        ):
            routes_that_ask.queries = queries

    def stop_asking(self) -> None:
        """Let all who follow end, and stop the queries that run; from the event loop."""
        self._followers.stopping.set()
        self._relay.stop()
        self._turns.stop()

    def close(self) -> None:
        """Let the threads go."""
        self._opened.close()

    def _endpoints(self) -> list[Endpoint]:
        listed = [
            self._segments.endpoint(),
            self._logs.endpoint(),
            self._sql.endpoint(),
            *self._trace.endpoints(),
            *self._queries.endpoints(),
            *self._loki.endpoints(),
            self._tail.endpoint(),
            *self._drilldown.endpoints(),
            *self._deletes.endpoints(),
            *rules_endpoints(),
            *self._pushes.endpoints(),
            *CallerRoutes(self._relay, may_see_node).endpoints(),
            *AgentRoutes(self._relay).endpoints(),
            *self._process.endpoints(),
        ]
        return [*listed, openapi_endpoint(listed)]

    def _assembled(self, gate: TokenGate, registry: CollectorRegistry) -> ASGIApp:
        app = Starlette(
            routes=[
                self._tail.route(),
                *routes(self.endpoints, RequestMetrics(registry)),
            ],
            exception_handlers={404: unrouted, 405: unrouted},
        )
        app.router.redirect_slashes = False
        return Admission(
            app,
            gate,
            registry,
            open_paths=frozenset(e.path for e in self.endpoints if e.open),
            certificate_paths=frozenset({SEGMENTS_PATH, ASKS_PATH, ANSWERS_PATH}),
        )

    def _threads(self, size: int, name: str) -> ThreadPoolExecutor:
        threads = ThreadPoolExecutor(size, name)
        self._opened.callback(threads.shutdown, wait=False, cancel_futures=True)
        return threads


def scope_of(call: Call) -> Scope:
    """Whoever has the token may read all of the tenant; finer rights narrow it here."""
    return Scope(call.tenant)


def may_see_node(call: Call, node: str) -> bool:
    """Whoever may read all logs of the tenant may see its nodes: they tell of every pod there.

    The one place that decides on what a node itself says; the rights of Kubernetes (`get
    nodes/log`) come in here.
    """
    return scope_of(call).condition == Scope().condition


def new_registry() -> CollectorRegistry:
    """A registry of its own, with what every Prometheus client says of its process."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry


@dataclass
class Opened:
    """Everything behind the routes, open."""

    store: Store
    inbox: Inbox
    upkeep: Upkeep
    registry: CollectorRegistry
    clock: Clock


@contextmanager
def opened(settings: Settings, clock: Clock) -> Iterator[Opened]:
    """The store with its inbox, queries and upkeep, within the block.

    Raises KelpError where the store cannot be opened, in words for whoever started it.
    """
    registry = new_registry()
    with ExitStack() as stack:
        try:
            store = open_store(settings)
        except EngineError as e:
            raise KelpError(f"cannot open the store: {e}") from e
        stack.callback(store.close)
        inbox = Inbox(
            Path(settings.data_dir) / "inbox",
            store.insert,
            settings.server,
            key=bytes.fromhex(encryption_key(settings)),
            clock=clock,
            registry=registry,
        )
        stack.callback(inbox.close, DRAIN_S)
        queries = QueryService(store.engine, settings.query, store.dialect, clock)
        upkeep = Upkeep(
            lambda: store.engine.query("SELECT 1"),
            store.apply_retention,
            lambda now_ns: _run_deletions(store, queries, inbox, now_ns),
            clock,
            registry,
        )
        stack.callback(upkeep.stop)
        yield Opened(store, inbox, upkeep, registry, clock)


def _run_deletions(store: Store, queries: QueryService, inbox: Inbox, now_ns: int) -> None:
    """What is deleted may be pushed again: so nothing that came before a deletion is a repeat."""

    def doomed(deletion: Deletion) -> Doomed:
        inbox.forget_pushes()
        return queries.doomed(deletion)

    if store.run_deletions(doomed, now_ns):
        inbox.forget_pushes()  # what came while it ran


def query_service(opened: Opened, settings: QuerySettings) -> QueryService:
    """Queries over what is open, within those limits."""
    return QueryService(opened.store.engine, settings, opened.store.dialect, opened.clock)


def parts_of(opened: Opened, settings: Settings, gate: TokenGate, operations: Operations) -> Parts:
    """The parts of the surface, out of what is open."""
    engine = opened.store.engine

    def sql(scope: Scope, text: str, query_id: str) -> pa.Table:
        return run_readonly(
            engine, scope, text, SqlLimits.of(operations.settings().query), query_id
        )

    return Parts(
        settings=settings,
        gate=gate,
        inbox=opened.inbox,
        queries=query_service(opened, settings.query),
        sql=sql,
        deletions=opened.store.deletions,
        cursor_at=TailCursor,
        cancel=engine.cancel,
        operations=operations,
        registry=opened.registry,
        clock=opened.clock,
    )
