"""An HTTP server that answers as a test says, and remembers what it was asked."""

from __future__ import annotations

import http.server
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

Reply = tuple[int, dict[str, str], bytes]
OK: Reply = (200, {}, b"{}")


@dataclass
class Scripted:
    """`replies` are given one after the other, then `last` for ever.

    Unless it `asks`, it is a server that knows no questions to nodes, and does not count them.
    """

    asks: bool = False
    port: int = 0
    replies: list[Reply | Callable[[http.server.BaseHTTPRequestHandler], None]] = field(
        default_factory=list
    )
    last: Reply = OK
    seen: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    connections: int = 0

    @property
    def bodies(self) -> list[bytes]:
        return [body for _, _, body in self.seen]

    @property
    def seqs(self) -> list[int]:
        return [int(headers["kelp-segment-seq"]) for _, headers, _ in self.seen]


@contextmanager
def serving(script: Scripted, context: ssl.SSLContext | None = None) -> Iterator[str]:
    """Serve on a free port (or script.port); the base URL."""

    open_connections: list[socket.socket] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            script.connections += 1
            super().setup()

        def do_POST(self) -> None:
            if self.path.startswith("/kelp/v1/asks") and not script.asks:
                self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(404)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            reply = script.replies.pop(0) if script.replies else script.last
            headers = {k.lower(): v for k, v in self.headers.items()}
            if callable(reply):
                script.seen.append((self.path, headers, b""))
                reply(self)
                return
            body = self.rfile.read(int(headers["content-length"]))
            script.seen.append((self.path, headers, body))
            status, more, text = reply
            self.send_response(status)
            for name, value in more.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
            pass

    class Server(http.server.ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

        def handle_error(self, request: object, client_address: object) -> None:
            pass

        def get_request(self):
            connection, address = super().get_request()
            open_connections.append(connection)
            if context is not None:
                connection.settimeout(5)
                connection = context.wrap_socket(connection, server_side=True)
                open_connections.append(connection)
            return connection, address

    server = Server(("127.0.0.1", script.port), Handler)
    script.port = server.server_address[1]
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    scheme = "https" if context else "http"
    try:
        yield f"{scheme}://localhost:{script.port}"
    finally:
        server.shutdown()
        server.server_close()
        for connection in open_connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
