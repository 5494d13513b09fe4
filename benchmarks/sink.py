"""A server that takes segments and forgets them: what the agent costs is then the agent's alone."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import msgspec

from kelp.wire.segment import read_header


class Sink:
    """Counts records; keeps the segments as files where `keep` names a folder."""

    def __init__(self, keep: Path | None = None) -> None:
        self.records = 0
        self.bytes = 0
        self.segments = 0
        sink = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if not self.path.endswith("/segments"):
                    self.send_error(404)
                    return
                sink.take(body, keep)
                answer = msgspec.json.encode({"duplicate": False})
                self.send_response(200)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                """Nothing: one line a request would be noise."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def take(self, body: bytes, keep: Path | None) -> None:
        """One segment came."""
        self.records += read_header(body).records
        self.bytes += len(body)
        if keep:
            (keep / f"{self.segments:08d}.segment").write_bytes(body)
        self.segments += 1

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
