"""What the agent answers over HTTP: its metrics, its health, and the order to read its settings.

    GET  /metrics    Prometheus's text format
    GET  /healthz    200 while the reading loop runs; else 503 with the reason (for a livenessProbe)
    GET  /readyz     200, or 503 with a line for each reason
    POST /-/reload   settings read again: 200 with what changed, 400 with what is wrong

The standard library's server and not uvicorn: a few requests a minute are not worth its memory.
"""

from __future__ import annotations

import http.server
import logging
import socket
import threading
from http import HTTPStatus
from typing import Any, Protocol

from kelp.base.config_checks import split_listen
from kelp.base.errors import KelpError

_log = logging.getLogger(__name__)

_TEXT = "text/plain; charset=utf-8"
_METRICS = "text/plain; version=0.0.4; charset=utf-8"

# A client that stops sending or reading holds a thread for so long, and only so many can.
_TIMEOUT_S = 10.0
_MAX_REQUESTS = 16


class Operations(Protocol):
    """What the routes ask for; called from several threads."""

    def metrics(self) -> bytes:
        """The metrics' text."""

    def unhealthy(self) -> list[str]:
        """Why the agent should be restarted; empty while it should not."""

    def unready(self) -> list[str]:
        """Why logs do not flow; empty while they do."""

    def reload(self) -> str:
        """Read the settings again, say what changed; raises KelpError and changes nothing then."""


class AgentServer:
    """The listener and its thread."""

    def __init__(self, listen: str, operations: Operations) -> None:
        """Bind `listen` (host:port); raises KelpError where that cannot be."""
        try:
            self._server = _Server(split_listen(listen), _handler(operations))
        except ValueError as e:
            raise KelpError(f"agent.listen: {e}") from e
        except OSError as e:
            raise KelpError(
                f"agent.listen: cannot listen on {listen}: {e.strerror or e}; "
                "is another agent running? choose another address with --listen"
            ) from e
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.2,), name="kelp-http", daemon=True
        )

    @property
    def address(self) -> str:
        """host:port that it listens on."""
        host, port = self._server.server_address[:2]
        text = str(host)
        return f"[{text}]:{port}" if ":" in text else f"{text}:{port}"

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """End; requests under way are given up."""
        if self._thread.is_alive():
            self._server.shutdown()
        self._server.server_close()


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], handler: type[_Handler]) -> None:
        self._places = threading.BoundedSemaphore(_MAX_REQUESTS)
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """A thread for each request while there are places; more are turned away."""
        if not self._places.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Give the place back."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that go away are no news."""
        _log.debug("a request failed", exc_info=True)


class _Handler(http.server.BaseHTTPRequestHandler):
    operations: Operations
    timeout = _TIMEOUT_S
    server_version = "kelp-agent"
    sys_version = ""

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/metrics":
            self._answer(HTTPStatus.OK, self.operations.metrics(), _METRICS)
        elif path == "/healthz":
            self._answer_state(self.operations.unhealthy())
        elif path == "/readyz":
            self._answer_state(self.operations.unready())
        elif path == "/-/reload":
            self._answer_text(HTTPStatus.METHOD_NOT_ALLOWED, "expected POST; got GET")
        else:
            self._not_found(path)

    def do_POST(self) -> None:
        path = self.path.partition("?")[0]
        if path != "/-/reload":
            self._not_found(path)
            return
        try:
            self._answer_text(HTTPStatus.OK, self.operations.reload())
        except KelpError as e:
            self._answer_text(HTTPStatus.BAD_REQUEST, f"the old settings stay: {e}")

    def _not_found(self, path: str) -> None:
        routes = "/metrics, /healthz, /readyz, POST /-/reload"
        self._answer_text(HTTPStatus.NOT_FOUND, f"expected one of {routes}; got {path}")

    def _answer_state(self, reasons: list[str]) -> None:
        status = HTTPStatus.SERVICE_UNAVAILABLE if reasons else HTTPStatus.OK
        self._answer_text(status, "\n".join(reasons) or "ok")

    def _answer_text(self, status: HTTPStatus, text: str) -> None:
        self._answer(status, text.encode() + b"\n", _TEXT)

    def _answer(self, status: HTTPStatus, body: bytes, content_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name
        """Probes and scrapes are no news."""
        _log.debug(format, *args)


def _handler(operations: Operations) -> type[_Handler]:
    return type("Handler", (_Handler,), {"operations": operations})
