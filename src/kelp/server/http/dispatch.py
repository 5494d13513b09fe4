"""From a declared endpoint to a route: reads the parameters, runs the handler, words the errors.

No handler catches what it cannot mend; here every error gets its status, once and in one place.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from kelp.server.http.body import discard_body
from kelp.server.http.endpoint import Call, Endpoint, arguments_of
from kelp.server.http.families import refused
from kelp.server.http.refusal import RefusalError, shown
from kelp.server.ports import BudgetError, EngineError, QueryError

_log = logging.getLogger(__name__)

CLIENT_GONE = 499  # nobody reads it; it tells the metrics that the client left first


class RequestMetrics:
    """How many requests, how long they took; by the endpoint's name, of which there are few."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.requests = Counter(
            "kelp_server_requests",
            "Requests answered, by endpoint and status.",
            ["endpoint", "status"],
            registry=registry,
        )
        self.seconds = Histogram(
            "kelp_server_request_seconds",
            "Time until the answer began, by endpoint.",
            ["endpoint"],
            buckets=(0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30),
            registry=registry,
        )


def routes(endpoints: Iterable[Endpoint], metrics: RequestMetrics) -> list[BaseRoute]:
    """Routes of all endpoints."""
    by_path: dict[str, list[Endpoint]] = {}
    for endpoint in endpoints:
        by_path.setdefault(endpoint.path, []).append(endpoint)
    return [_route(path, of_path, metrics) for path, of_path in by_path.items()]


def _route(path: str, endpoints: list[Endpoint], metrics: RequestMetrics) -> Route:
    """One for all methods of a path: a method that none has is then told what there is."""
    by_method = {method: e for e in endpoints for method in e.methods}

    async def run(request: Request) -> Response:
        # HEAD is answered as GET, without the body.
        endpoint = by_method["GET" if request.method == "HEAD" else request.method]
        began = time.perf_counter()
        response = await answer(endpoint, request)
        metrics.seconds.labels(endpoint.name).observe(time.perf_counter() - began)
        metrics.requests.labels(endpoint.name, str(response.status_code)).inc()
        return response

    return Route(path, run, methods=list(by_method), name=endpoints[0].name)


async def answer(endpoint: Endpoint, request: Request) -> Response:
    """The endpoint's answer to a request, whatever happens."""
    try:
        arguments = await arguments_of(endpoint, request)
        return await endpoint.handler(Call(request, arguments, request.state.tenant))
    except ClientDisconnect:
        return Response(status_code=CLIENT_GONE)
    except Exception as e:  # noqa: BLE001 - the last place that can turn an error into an answer
        refusal = refusal_of(e, endpoint.name)
        if refusal.status == 413:
            await discard_body(request)
        return _refused(refusal, request)


def refusal_of(error: Exception, where: str) -> RefusalError:
    """How an error looks from outside; what is a fault of ours is logged under an id."""
    if isinstance(error, RefusalError):
        return error
    if isinstance(error, QueryError):
        return RefusalError(400, str(error))
    if isinstance(error, BudgetError):
        return RefusalError(422, str(error))
    if isinstance(error, EngineError) and not error.code:
        return RefusalError(503, f"the store cannot answer now: {error}", hint="try again")
    fault = secrets.token_hex(6)
    _log.error("a request failed", extra={"fault": fault, "endpoint": where}, exc_info=error)
    return RefusalError(500, f"Kelp failed at this; its log has the reason under fault={fault}")


async def unrouted(request: Request, error: Exception) -> Response:
    """404 and 405, in the manner of the path's family."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    path = shown(request.url.path)
    if status == 405:
        allowed = (getattr(error, "headers", None) or {}).get("Allow", "")
        refusal = RefusalError(
            405,
            f"not with this method: {path}",
            allowed,
            request.method,
            headers={"Allow": allowed},
        )
    else:
        refusal = RefusalError(
            status, f"there is no {path} here", hint="GET /openapi.json lists what there is"
        )
    return _refused(refusal, request)


def _refused(refusal: RefusalError, request: Request) -> Response:
    return refused(refusal, request.url.path, request.headers.get("content-type", ""))
