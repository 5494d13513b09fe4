"""A server's segment endpoint and nothing more: durable, idempotent, and to be killed at will.

    python -m tests.doubles.segment_server FOLDER PORT

keeps each segment as FOLDER/AGENT-SEQ.segment before it answers. A segment that comes again must
have the same bytes; one that does not is kept as a `.conflict`, which no test forgives.
"""

from __future__ import annotations

import http.server
import socket
import sys
from pathlib import Path

import pyarrow as pa

from kelp.base.files import write_durably
from kelp.wire.segment import Segment, decode_segment

PATH = "/kelp/v1/segments"


class Handler(http.server.BaseHTTPRequestHandler):
    folder: Path
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path != PATH:
            self.answer(404, b"not here")
            return
        header = decode_segment(body).header
        assert header.agent_id == self.headers["Kelp-Agent-Id"]
        assert str(header.seq) == self.headers["Kelp-Segment-Seq"]
        path = self.folder / f"{header.agent_id}-{header.seq:012d}.segment"
        duplicate = path.exists()
        if not duplicate:
            write_durably(path, body)
        elif path.read_bytes() != body:
            write_durably(path.with_suffix(".conflict"), body)
        self.answer(200, b'{"duplicate": %s}' % (b"true" if duplicate else b"false"))

    def answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def server_bind(self) -> None:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        super().server_bind()


def segments(folder: Path) -> list[Segment]:
    """What is there, in the order of numbers; there must be no conflict."""
    assert list(folder.glob("*.conflict")) == []
    return [decode_segment(f.read_bytes()) for f in sorted(folder.glob("*.segment"))]


def records(folder: Path) -> pa.Table:
    """All records with their stream's labels in the column `labels`, in the order of arrival."""
    tables = []
    for segment in segments(folder):
        for batch in segment.log_batches():
            ids = batch.records.column("stream_id").to_pylist()
            labels = pa.array([str(batch.streams[i].labels) for i in ids])
            tables.append(pa.table(batch.records).append_column("labels", labels))
    return pa.concat_tables(tables)


def main(folder: str, port: str) -> None:
    handler = type("Bound", (Handler,), {"folder": Path(folder)})
    with Server(("127.0.0.1", int(port)), handler) as server:
        print(f"listening on {server.server_address[1]}", flush=True)
        server.serve_forever(0.05)


if __name__ == "__main__":
    main(*sys.argv[1:])
