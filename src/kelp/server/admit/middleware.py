"""The door: every request passes here once, before any handler reads a byte of it.

What it lets in carries the tenant in its state; what it keeps out is told how to get in. Requests
that came by a verified client certificate have `peer_certificate` in their state, which the
server's protocol class puts there.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from kelp.server.admit.tenant import tenant_of
from kelp.server.admit.tokens import TokenGate
from kelp.server.http.endpoint import TENANT_HEADER
from kelp.server.http.families import refused
from kelp.server.http.refusal import RefusalError

_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="kelp", Basic realm="kelp"'}


class Admission:
    """ASGI middleware."""

    def __init__(
        self,
        app: ASGIApp,
        gate: TokenGate,
        registry: CollectorRegistry,
        *,
        open_paths: frozenset[str] = frozenset(),
        certificate_paths: frozenset[str] = frozenset(),
    ) -> None:
        """`open_paths` need no token; on `certificate_paths` a client's certificate is enough."""
        self._app = app
        self._gate = gate
        self._refused = Counter(
            "kelp_server_admission_refused",
            "Requests that were not let in, by why: no_token, wrong_token, tenant.",
            ["reason"],
            registry=registry,
        )
        self._open = open_paths
        self._certificate = certificate_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request in, or answer it here."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        try:
            self._admit(scope)
        except RefusalError as refusal:
            await refuse(refusal, scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _admit(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        if not self._known(scope, headers):
            given = "authorization" in headers
            self._refused.labels("wrong_token" if given else "no_token").inc()
            raise RefusalError(
                401,
                "this needs the API token",
                expected="Authorization: Bearer TOKEN (or TOKEN as the password of Basic)",
                got="another token" if given else "no Authorization header",
                hint="the token is in the file DATA_DIR/token of the server",
                headers=_CHALLENGE,
            )
        try:
            tenant = tenant_of(headers.get(TENANT_HEADER, ""))
        except RefusalError:
            self._refused.labels("tenant").inc()
            raise
        scope.setdefault("state", {})["tenant"] = tenant

    def _known(self, scope: Scope, headers: Headers) -> bool:
        path = scope["path"]
        if path in self._open:
            return True
        if path in self._certificate and scope.get("state", {}).get("peer_certificate"):
            return True
        return self._gate.admits(headers.get("authorization", ""))


async def refuse(refusal: RefusalError, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request with a refusal; a WebSocket that is not open yet gets the same answer."""
    content_type = Headers(scope=scope).get("content-type", "")
    response = refused(refusal, scope["path"], content_type)
    if scope["type"] == "http" or "websocket.http.response" in scope.get("extensions", {}):
        await response(scope, receive, send)
    else:
        await send({"type": "websocket.close", "code": 1008, "reason": refusal.text()[:120]})
