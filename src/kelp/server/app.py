"""The server's assembly: the one file that knows its stages and their order.

    receive → admit → store → query → serve

Each stage names what it needs of the others as a Protocol; here it gets it. What is opened is
closed in the opposite order, also where the start fails half-way.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass

from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
)
from starlette.applications import Starlette
from starlette.types import ASGIApp

from kelp.base.clock import Clock
from kelp.base.settings import Settings
from kelp.server.admit.middleware import Admission
from kelp.server.admit.tokens import TokenGate
from kelp.server.http.body import BodyBudget
from kelp.server.http.dispatch import RequestMetrics, routes, unrouted
from kelp.server.http.endpoint import Call, Endpoint
from kelp.server.ports import Scope
from kelp.server.receive.http_push import Pushes, PushMetrics
from kelp.server.receive.http_segments import PATH as SEGMENTS_PATH
from kelp.server.receive.http_segments import Segments
from kelp.server.receive.inbox import Inbox
from kelp.server.receive.reception import Reception
from kelp.server.serve.askers import Asker
from kelp.server.serve.logs import Logs
from kelp.server.serve.loki import Loki
from kelp.server.serve.openapi import openapi_endpoint
from kelp.server.serve.process import Operations, Process
from kelp.server.serve.queries import Queries, Sql
from kelp.server.serve.sql import SqlRoute
from kelp.server.serve.turns import TurnMetrics, Turns

# Segments are decoded and made durable by so many at once; an fsync serves all that wait for it,
# so the number is that of agents whose segments go to disk together.
_RECEIVERS = 16
# A push waits until it can be searched, most of the time for the inbox.
_PUSHERS = 64
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
    cancel: Callable[[str], None]  # stops the query with an id
    operations: Operations
    registry: CollectorRegistry
    clock: Clock


class Surface:
    """Everything that answers HTTP, as an ASGI application; `close` when its event loop ends."""

    def __init__(self, parts: Parts) -> None:
        self._opened = ExitStack()
        registry = parts.registry
        turns = Turns(parts.settings.query.max_concurrent, TurnMetrics(registry))
        self._opened.callback(turns.close)
        asker = Asker(turns, parts.cancel)
        max_bytes = parts.settings.server.max_request_bytes
        bodies = BodyBudget(_BODIES * max_bytes)
        self._loki = Loki(parts.queries, asker, scope_of, parts.clock)
        self._logs = Logs(parts.queries, asker, scope_of, parts.clock)
        self._sql = SqlRoute(parts.sql, asker, scope_of)
        self._segments = Segments(
            parts.inbox, Reception(bodies, max_bytes, self._threads(_RECEIVERS, "kelp-receive"))
        )
        self._pushes = Pushes(
            parts.inbox,
            Reception(bodies, max_bytes, self._threads(_PUSHERS, "kelp-push")),
            parts.clock,
            PushMetrics(registry),
        )
        self._process = Process(parts.operations, registry)
        self.endpoints = self._endpoints()
        self.asgi = self._assembled(parts.gate, registry)

    def replace_queries(self, queries: Queries) -> None:
        """From now on these answer; for settings that were read again."""
        self._loki.queries = queries
        self._logs.queries = queries

    def close(self) -> None:
        """Let the threads go."""
        self._opened.close()

    def _endpoints(self) -> list[Endpoint]:
        listed = [
            self._segments.endpoint(),
            self._logs.endpoint(),
            self._sql.endpoint(),
            *self._loki.endpoints(),
            *self._pushes.endpoints(),
            *self._process.endpoints(),
        ]
        return [*listed, openapi_endpoint(listed)]

    def _assembled(self, gate: TokenGate, registry: CollectorRegistry) -> ASGIApp:
        app = Starlette(
            routes=routes(self.endpoints, RequestMetrics(registry)),
            exception_handlers={404: unrouted, 405: unrouted},
        )
        app.router.redirect_slashes = False
        return Admission(
            app,
            gate,
            registry,
            open_paths=frozenset(e.path for e in self.endpoints if e.open),
            certificate_paths=frozenset({SEGMENTS_PATH}),
        )

    def _threads(self, size: int, name: str) -> ThreadPoolExecutor:
        threads = ThreadPoolExecutor(size, name)
        self._opened.callback(threads.shutdown, wait=False, cancel_futures=True)
        return threads


def scope_of(call: Call) -> Scope:
    """Whoever has the token may read all of the tenant; finer rights narrow it here."""
    return Scope(call.tenant)


def new_registry() -> CollectorRegistry:
    """A registry of its own, with what every Prometheus client says of its process."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry
