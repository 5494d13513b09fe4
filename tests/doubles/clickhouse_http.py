"""A ClickHouse server as far as clickhouse-connect needs one: its HTTP protocol before the embedded
engine.

Speaks: the query in the URL or the body, parameters and settings in the URL, formats, compressed
inserts, errors with the engine's code in a header. It is as lenient as the embedded engine is, has
no users but one password, and `break_off` makes it go away in the ways that servers do.

Protocol: https://clickhouse.com/docs/interfaces/http
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from email import message_from_bytes
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import chdb
import lz4.frame

USER, PASSWORD = "kelp", "secret"

# What the HTTP layer of a server takes for itself; everything else in the URL is a setting.
_TRANSPORT = frozenset(
    {
        "query", "database", "default_format", "query_id", "session_id", "wait_end_of_query",
        "send_progress_in_http_headers", "http_headers_progress_interval_ms",
        "enable_http_compression", "distributed_foreground_insert",
    }
)  # fmt: skip
_CODE = re.compile(r"Code: (\d+)")
_FORMAT = re.compile(r"\sFORMAT\s+(\w+)\s*;?\s*$", re.IGNORECASE)
_TAG = "server:"


class ClickHouseServer:
    """Runs until closed; `url` is for store.url."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.requests: list[str] = []
        self.break_off: Callable[[str], str] = lambda _: ""
        self._keep = chdb.connect(str(directory))
        handler = type("Handler", (_Handler,), {"server_state": self})
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://{USER}:{PASSWORD}@127.0.0.1:{self._http.server_port}/default"

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._keep.close()

    def run(self, sql: str, options: dict[str, str], data: bytes | None) -> tuple[str, bytes]:
        """The format and the bytes of an answer; raises RuntimeError with the engine's words."""
        connection = chdb.connect(str(self.directory))
        try:
            tag = _TAG + options.get("query_id", "")
            options = {"log_comment": tag, **options}
            for name, value in sorted(options.items(), key=lambda item: item[0] == "readonly"):
                if name not in _TRANSPORT and not name.startswith("param_"):
                    connection.query(f"SET {name} = '{value}'", "Null")
            parameters = {k[6:]: v for k, v in options.items() if k.startswith("param_")}
            if data is not None:
                return "", _insert(connection, sql, data)
            sql = sql.replace("query_id =", f"Settings['log_comment'] = '{_TAG}' ||")
            given = _FORMAT.search(sql)
            form = given[1] if given else options.get("default_format", "TabSeparated")
            text = sql[: given.start()] if given else sql
            return form, connection.query(text, form, params=parameters).bytes() or b""
        finally:
            connection.close()


def _insert(connection: Any, sql: str, data: bytes) -> bytes:
    form = _FORMAT.search(sql)
    assert form is not None, f"expected an insert with a format; got {sql}"
    with connection.send_insert(sql[: form.start()], form[1]) as stream:
        stream.append(data)
        stream.finish()
    return b""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_state: ClickHouseServer

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length")
        body = self.rfile.read(int(length)) if length else self._chunks()
        if self.headers.get("Content-Encoding") == "lz4":
            body = lz4.frame.decompress(body)
        self._answer(body)

    def _chunks(self) -> bytes:
        body = b""
        while size := int(self.rfile.readline() or b"0", 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _fields(self, body: bytes) -> dict[str, str]:
        """What is too long for a URL."""
        head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
        parts = message_from_bytes(head + body, policy=HTTP).iter_parts()
        return {
            str(p.get_param("name", header="Content-Disposition")): p.get_content().rstrip("\r\n")
            for p in parts
        }

    def _answer(self, body: bytes) -> None:
        state = self.server_state
        options = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        if self.headers.get_content_type() == "multipart/form-data":
            options |= self._fields(body)
        is_insert = options.get("query", "").lstrip().upper().startswith("INSERT")
        sql = options.get("query") or body.decode()
        state.requests.append(sql)
        broken = state.break_off(sql)
        if broken == "before":
            self.close_connection = True
            return
        if options.pop("client_protocol_version", ""):
            self._send(400, "", b"Code: 115. DB::Exception: no such setting here", "115")
            return
        try:
            form, answer = state.run(sql, options, body if is_insert else None)
        except (RuntimeError, chdb.ChdbError) as e:
            code = _CODE.search(str(e))
            self._send(500, "", str(e).encode(), code[1] if code else "0")
            return
        if broken == "after":
            self.close_connection = True
            return
        self._send(200, form, answer)

    def _send(self, status: int, form: str, body: bytes, code: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-ClickHouse-Timezone", "UTC")
        if form and body:
            self.send_header("X-ClickHouse-Format", form)
        if code:
            self.send_header("X-ClickHouse-Exception-Code", code)
        self.end_headers()
        self.wfile.write(body)
