"""A server of Kelp's read API over records in memory, for tests of the command line.

Speaks what docs/reference/http-api.md says of /kelp/v1/logs (with `follow`), label values and
series. It understands selectors and line filters, nothing more of LogQL. It can be stopped and
started again on its port, and can cut answers short.
"""

from __future__ import annotations

import json
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import re2

MATCHER = re.compile(r'(\w+)(=~|!~|!=|=)("(?:[^"\\]|\\.)*"|`[^`]*`)')
SELECTOR = re.compile(rf"\{{\s*(?:{MATCHER.pattern}\s*,?\s*)*\}}")
FILTER = re.compile(r'(\|=|!=|\|~|!~) ("(?:[^"\\]|\\.)*"|`[^`]*`)')


def record(time_ns: int, line: str = "x", position: int | None = None, **labels: str) -> dict:
    """A record as the API gives it, with the labels of a container in `labels`."""
    base = {"namespace": "payments", "pod": "web-0", "pod_uid": "u", "container": "app",
            "restart": "0", "stream": "stdout"}  # fmt: skip
    severity = labels.pop("severity", "unknown")
    return {"record": {
        "timestamp": str(time_ns), "position": time_ns if position is None else position,
        "labels": {**base, **labels}, "line": line, "severity": severity,
    }}  # fmt: skip


def loss(start_ns: int, end_ns: int, size: int = 0, reason: str = "rotated_away", **labels) -> dict:
    """A loss as the API gives it."""
    found = record(start_ns, **labels)["record"]["labels"]
    return {"loss": {
        "labels": {k: v for k, v in found.items() if k != "stream"}, "position": start_ns,
        "size_bytes": size, "start": str(start_ns), "end": str(end_ns), "reason": reason,
    }}  # fmt: skip


def time_of(item: dict) -> int:
    return int(item["record"]["timestamp"] if "record" in item else item["loss"]["start"])


@dataclass
class LogServer:
    """The double; `items` may grow while it runs (use `add`)."""

    items: list[dict] = field(default_factory=list)
    token: str = "secret"
    cut_after: int | None = None  # break connections after so many lines of an answer
    warnings: list[str] = field(default_factory=list)
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    port: int = 0

    def __post_init__(self) -> None:
        self.changed = threading.Condition()
        self.stopping = False
        self._http: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self.stopping = False
        self._http = ThreadingHTTPServer(("127.0.0.1", self.port), self._handler())
        self._http.daemon_threads = True
        self.port = self._http.server_address[1]
        threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        """Go away; answers that are under way end without a last line."""
        with self.changed:
            self.stopping = True
            self.changed.notify_all()
        assert self._http is not None
        self._http.shutdown()
        self._http.server_close()

    def add(self, *items: dict) -> None:
        with self.changed:
            self.items.extend(items)
            self.changed.notify_all()

    def fitting(self, query: str) -> list[dict]:
        selector = SELECTOR.match(query)
        assert selector, query
        end = selector.end()
        return [
            i
            for i in self.items
            if _fits(query[:end], next(iter(i.values()))["labels"])
            and ("loss" in i or _passes(query[end:], i["record"]["line"]))
        ]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                params = {k: v[0] for k, v in parse_qs(parts.query).items()}
                server.requests.append((parts.path, params))
                if self.headers.get("Authorization") != f"Bearer {server.token}":
                    self._answer(401, b'{"error": {"message": "no token, or a wrong one"}}')
                elif parts.path == "/kelp/v1/logs":
                    self._logs(params)
                else:
                    self._loki(parts.path, params)

            def _loki(self, path: str, params: dict[str, str]) -> None:
                query = params.get("match[]") or params.get("query")
                found = server.fitting(query) if query else server.items
                streams = [i["record"]["labels"] for i in found if "record" in i]
                if path.endswith("/values"):
                    name = path.split("/")[-2]
                    data: Any = sorted({s[name] for s in streams if name in s})
                else:
                    data = [dict(s) for s in {tuple(sorted(s.items())) for s in streams}]
                self._answer(200, json.dumps({"status": "success", "data": data}).encode())

            def _logs(self, params: dict[str, str]) -> None:
                if "|||" in params["query"]:
                    text = b'{"error": {"message": "line 1:3: no query", "hint": "write one"}}'
                    self._answer(400, text)
                    return
                start, end = int(params.get("start", 0)), int(params.get("end", 2**63))
                self.send_response(200)
                self.send_header("Content-Type", "application/x-ndjson")
                self.end_headers()
                found = sorted(server.fitting(params["query"]), key=time_of)
                found = [i for i in found if start <= time_of(i) < end]
                if "tail" in params:
                    found = found[-int(params["tail"]) :]
                for i, item in enumerate(found):
                    if i == server.cut_after:
                        return
                    self._line(item)
                if params.get("follow") == "true":
                    self._follow(params["query"], start, len(server.items))
                else:
                    self._line({"end": {"records": len(found), "warnings": server.warnings}})

            def _follow(self, query: str, start: int, seen: int) -> None:
                while True:
                    with server.changed:
                        if not server.stopping and len(server.items) == seen:
                            server.changed.wait(0.05)
                        if server.stopping:
                            return
                        fresh, seen = server.items[seen:], len(server.items)
                    fitting = server.fitting(query)
                    for item in fresh:
                        if item in fitting and time_of(item) >= start:
                            self._line(item)
                    self.wfile.write(b"\n")
                    self.wfile.flush()

            def _line(self, item: dict) -> None:
                self.wfile.write(json.dumps(item).encode() + b"\n")
                self.wfile.flush()

            def _answer(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - stdlib's name
                pass

        return Handler


def _fits(selector: str, labels: dict[str, str]) -> bool:
    return all(
        _matches(op, labels.get(name, ""), _unquote(value), whole=True)
        for name, op, value in MATCHER.findall(selector)
    )


def _passes(filters: str, line: str) -> bool:
    return all(_matches(op, line, _unquote(v), whole=False) for op, v in FILTER.findall(filters))


def _matches(op: str, text: str, value: str, *, whole: bool) -> bool:
    if op in ("=", "!=") and whole:
        return (text == value) == (op == "=")
    if op in ("|=", "!="):
        return (value in text) == (op == "|=")
    pattern = re2.compile(value)
    found = pattern.fullmatch(text) if whole else pattern.search(text)
    return bool(found) == (op in ("=~", "|~"))


def _unquote(text: str) -> str:
    return text[1:-1] if text.startswith("`") else json.loads(text)
