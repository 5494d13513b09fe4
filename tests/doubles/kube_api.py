"""An API server and the kubelets behind it, as far as Kelp asks them: in memory, over real HTTP.

It lists in pages and watches with bookmarks, forgets old resourceVersions, knows users by token,
and proxies to kubelets that answer `logs` as the real one does: a query becomes what `journalctl
--utc --output=short-precise` prints of a journal, `sinceTime` read in the node's own zone; a path
is a file below the node's log folder. `faults` lets single requests go wrong.
"""

from __future__ import annotations

import gzip
import http.server
import json
import re
import ssl
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

US = 1_000_000
TOKEN = "the-right-token"


@dataclass(frozen=True)
class Written:
    """An entry of a node's journal; `shown_us` is the sender's own time where that is another."""

    time_us: int
    unit: str
    message: str
    identifier: str = "kubelet"
    pid: int = 4242
    boot: int = 0
    shown_us: int = 0


@dataclass
class Fault:
    """What goes wrong with the next request whose path has `path` in it, `times` times.

    status: it is refused; cut: the connection goes after so many bytes of the body; slow_s: it
    waits before its answer; text: the body, with 200.
    """

    path: str
    status: int = 0
    cut: int = -1
    slow_s: float = 0.0
    text: str | None = None
    times: int = 1
    headers: dict[str, str] = field(default_factory=dict)


class KubeletDouble:
    """A node's kubelet; `zone_s` is what its clock is ahead of UTC."""

    def __init__(self, name: str, folder: Path | None = None) -> None:
        self.name = name
        self.folder = folder
        self.journal: list[Written] = []
        self.handler = self.query = True
        self.zone_s = 0
        self.cut_after: int | None = None  # lines, as when its 30 s are over

    def write(self, *entries: Written) -> None:
        self.journal += entries

    def answer(self, path: str, params: dict[str, list[str]]) -> tuple[int, str, bytes]:
        """(status, content type, body)."""
        if not self.handler:
            return 405, "text/plain", b"logs endpoint is disabled.\n"
        asked = {k: v for k, v in params.items() if k in _PARAMETERS}
        if self.query and asked:
            if path:
                return 406, "text/plain", b"path not allowed in query mode\n"
            problem = _problem(asked)
            if problem:
                return 406, "text/plain", problem.encode() + b"\n"
            names = asked["query"]
            if not any("/" in n for n in names):
                return 200, "text/plain;charset=UTF-8", self.journalctl(asked).encode()
            path = names[0].lstrip("/")
        return self.file(path)

    def journalctl(self, asked: dict[str, list[str]]) -> str:
        units = [f"{u}.service" for u in asked["query"]]
        known = {e.unit for e in self.journal}
        native = [u for u in units if u in known]
        if not native:
            if len(asked) > 1:
                return (
                    f"\noptions present and query resolved to log files for {asked['query']}\n"
                    "try without specifying options\n"
                )
            name = asked["query"][0]
            if self.folder is not None and (self.folder / f"{name}.log").exists():
                return (self.folder / f"{name}.log").read_text()
            return f"\nlog not found for {name}\n"
        entries = [e for e in self.journal if e.unit in native]
        if "sinceTime" in asked:
            # journalctl gets the time without its zone, to the second, and takes it for its own.
            wall = time.strptime(asked["sinceTime"][0][:19], "%Y-%m-%dT%H:%M:%S")
            since_us = (_epoch(wall) - self.zone_s) * US
            entries = [e for e in entries if e.time_us >= since_us]
        if "boot" in asked:
            entries = [e for e in entries if e.boot == int(asked["boot"][0])]
        if "pattern" in asked:
            entries = [e for e in entries if re.search(asked["pattern"][0], e.message)]
        if "tailLines" in asked:
            count = int(asked["tailLines"][0])
            entries = entries[-count:] if count else []
        lines = list(_short_precise(entries))
        if self.cut_after is not None and len(lines) > self.cut_after:
            return "\n".join(lines[: self.cut_after]) + "\n" + lines[self.cut_after][:30]
        return "\n".join([*lines, ""]) if lines else "-- No entries --\n"

    def file(self, path: str) -> tuple[int, str, bytes]:
        if self.folder is None:
            return 200, "text/html; charset=utf-8", b"<!doctype html>\n<pre>\n</pre>\n"
        target = (self.folder / path).resolve()
        if not target.is_relative_to(self.folder.resolve()) or not target.exists():
            return 404, "text/plain; charset=utf-8", b"404 page not found\n"
        if target.is_dir() and path and not path.endswith("/"):
            return 301, "text/plain", b""
        if target.is_dir():
            names = sorted(p.name + ("/" if p.is_dir() else "") for p in target.iterdir())
            rows = "".join(f'<a href="{n}">{n}</a>\n' for n in names)
            return 200, "text/html; charset=utf-8", f"<pre>\n{rows}</pre>\n".encode()
        return 200, "text/plain; charset=utf-8", target.read_bytes()


_PARAMETERS = ("query", "sinceTime", "untilTime", "tailLines", "boot", "pattern")


def _problem(asked: dict[str, list[str]]) -> str:
    names = asked.get("query", [])
    files = [n for n in names if "/" in n]
    if not names:
        return "query: Required value: cannot be empty with options"
    if files and len(files) < len(names):
        return f'query: Invalid value: "{files}, {names}": cannot specify a file and service'
    if files and len(asked) > 1:
        return f'query: Invalid value: "{files}": cannot specify file with options'
    if len(names) > 4:
        return "query: Too many: 5: must have at most 4 items"
    if int(asked.get("boot", ["0"])[0]) > 0:
        return "boot: Invalid value: 1: must be less than 1"
    if int(asked.get("tailLines", ["0"])[0]) > 100_000:
        return "tailLines: Invalid value: 100001: must be between 0 and 100000, inclusive"
    return ""


def _short_precise(entries: list[Written]) -> Iterator[str]:
    boot: int | None = None
    for e in entries:
        if boot is not None and e.boot != boot:
            yield "-- Boot 6c7c6013a26343b29e964691ff25d04c --"
        boot = e.boot
        shown = e.shown_us or e.time_us
        stamp = time.strftime("%b %d %H:%M:%S", time.gmtime(shown // US))
        head = f"{stamp}.{shown % US:06d} host {e.identifier}[{e.pid}]: "
        first, *more = e.message.split("\n")
        yield head + first
        yield from (" " * len(head) + line for line in more)


def _epoch(wall: time.struct_time) -> int:
    import calendar

    return calendar.timegm(wall)


class KubeApi:
    """Start it, ask it at `url`; `requests` are those that came, as paths with their queries."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.lock = threading.Condition()
        self.version = 1000
        self.oldest = 0  # resourceVersions before this are gone
        self.pods: dict[str, dict[str, Any]] = {}
        self.events: list[tuple[int, dict[str, Any]]] = []
        self.nodes: dict[str, KubeletDouble] = {}
        self.rights = {TOKEN: {"get nodes/proxy", "list nodes", "list pods", "watch pods"}}
        self.faults: deque[Fault] = deque()
        self.requests: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.page = 500
        self.stopping = False
        handler = type("Bound", (_Handler,), {"api": self})
        self.http = _Server(("127.0.0.1", 0), handler)
        if tls is not None:
            self.http.socket = tls.wrap_socket(self.http.socket, server_side=True)
        self.scheme = "http" if tls is None else "https"
        self._thread = threading.Thread(
            target=self.http.serve_forever, args=(0.02,), daemon=True
        )  # fmt: skip

    @property
    def port(self) -> int:
        return int(self.http.server_address[1])

    @property
    def url(self) -> str:
        return f"{self.scheme}://localhost:{self.port}"

    def start(self) -> KubeApi:
        self._thread.start()
        return self

    def stop(self) -> None:
        with self.lock:
            self.stopping = True
            self.lock.notify_all()
        self.http.shutdown()
        self.http.server_close()
        self._thread.join()

    def __enter__(self) -> KubeApi:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def node(self, name: str, folder: Path | None = None) -> KubeletDouble:
        return self.nodes.setdefault(name, KubeletDouble(name, folder))

    def pod(self, uid: str, kind: str = "ADDED", /, **annotations: str) -> None:
        """A pod comes, changes (MODIFIED) or goes (DELETED)."""
        with self.lock:
            self.version += 1
            metadata = {
                "uid": uid, "name": f"pod-{uid}", "namespace": "shop",
                "resourceVersion": str(self.version), "annotations": dict(annotations),
                "labels": {"app": "web"},
            }  # fmt: skip
            pod = {"metadata": metadata, "spec": {"nodeName": "n1"}}
            if kind == "DELETED":
                del self.pods[uid]
            else:
                self.pods[uid] = pod
            self.events.append((self.version, {"type": kind, "object": pod}))
            self.lock.notify_all()

    def send(self, event: dict[str, Any]) -> None:
        """Any event, to all that watch."""
        with self.lock:
            self.version += 1
            self.events.append((self.version, event))
            self.lock.notify_all()

    def forget(self) -> None:
        """As etcd's compaction: whoever watches from before now is told 410."""
        with self.lock:
            self.version += 1
            self.oldest = self.version
            self.events.clear()
            self.lock.notify_all()

    def fault(self, path: str, **what: Any) -> Fault:
        made = Fault(path, **what)
        self.faults.append(made)
        return made

    def kubeconfig(self, path: Path, token: str = TOKEN, ca: str = "") -> Path:
        cluster = {"server": self.url} | ({"certificate-authority-data": ca} if ca else {})
        path.write_text(
            json.dumps(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "current-context": "test",
                    "clusters": [{"name": "c", "cluster": cluster}],
                    "users": [{"name": "u", "user": {"token": token}}],
                    "contexts": [{"name": "test", "context": {"cluster": "c", "user": "u"}}],
                }
            )
        )
        return path

    def take_fault(self, path: str) -> Fault | None:
        with self.lock:
            for fault in self.faults:
                if fault.path in path:
                    fault.times -= 1
                    if not fault.times:
                        self.faults.remove(fault)
                    return fault
        return None


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        if not isinstance(sys.exc_info()[1], OSError):  # a client that is gone is none
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Handler(http.server.BaseHTTPRequestHandler):
    api: KubeApi
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        params = parse_qs(url.query, keep_blank_values=True)
        path = unquote(url.path)
        self.api.requests.append(self.path)
        self.api.headers.append({k.lower(): v for k, v in self.headers.items()})
        fault = self.api.take_fault(self.path)
        if fault is not None:
            if fault.slow_s:
                time.sleep(fault.slow_s)
            if fault.status:
                self.status(fault.status, "made to fail", fault.headers)
                return
            if fault.text is not None:
                self.body(200, "text/plain", fault.text.encode())
                return
        self.cut = -1 if fault is None else fault.cut
        node = re.fullmatch(r"/api/v1/nodes/([^/]+)/proxy/logs(?:/(.*))?", path)
        right = "get nodes/proxy" if node else self.right(path, params)
        if not right:
            self.status(404, "the server could not find the requested resource")
        elif self.allowed(right):
            if node:
                self.node_logs(node[1], node[2] or "", params)
            elif path == "/api/v1/nodes":
                self.list_(self.nodes(), "NodeList", params)
            elif path == "/api/v1/pods" and "watch" in params:
                self.watch(params)
            else:
                self.list_(self.pods(), "PodList", params)

    def right(self, path: str, params: dict[str, list[str]]) -> str:
        if path not in ("/api/v1/nodes", "/api/v1/pods"):
            return ""
        verb = "watch" if "watch" in params else "list"
        return f"{verb} {path.rsplit('/', 1)[-1]}"

    def allowed(self, right: str) -> bool:
        token = (self.headers["Authorization"] or "").removeprefix("Bearer ")
        if token not in self.api.rights:
            self.status(401, "Unauthorized")
            return False
        if right not in self.api.rights[token]:
            verb, resource = right.split()
            self.status(
                403,
                f'{resource} is forbidden: User "u" cannot {verb} resource "{resource}" '
                'in API group "" at the cluster scope',
            )
            return False
        return True

    def node_logs(self, name: str, path: str, params: dict[str, list[str]]) -> None:
        if name not in self.api.nodes:
            self.status(404, f'nodes "{name}" not found')
            return
        status, kind, body = self.api.nodes[name].answer(path, params)
        gzipped = self.headers["Accept-Encoding"] == "gzip" and status == 200
        headers = {"Content-Encoding": "gzip"} if gzipped else {}
        self.chunked(status, kind, gzip.compress(body, 1) if gzipped else body, headers)

    def pods(self) -> list[dict[str, Any]]:
        return [p for _, p in sorted(self.api.pods.items())]

    def nodes(self) -> list[dict[str, Any]]:
        return [{"metadata": {"name": n, "uid": n}} for n in sorted(self.api.nodes)]

    def list_(self, items: list[dict[str, Any]], kind: str, params: dict[str, list[str]]) -> None:
        start = int(params.get("continue", ["0"])[0] or 0)
        limit = min(int(params.get("limit", ["0"])[0]) or self.api.page, self.api.page)
        part = items[start : start + limit]
        metadata = {"resourceVersion": str(self.api.version)}
        if start + limit < len(items):
            metadata["continue"] = str(start + limit)
        self.json({"kind": kind, "metadata": metadata, "items": part})

    def watch(self, params: dict[str, list[str]]) -> None:
        api = self.api
        version = int(params["resourceVersion"][0])
        end = time.monotonic() + float(params.get("timeoutSeconds", ["300"])[0])
        self.head(200, "application/json", {"Transfer-Encoding": "chunked"})
        sent = 0
        while True:
            with api.lock:
                if version < api.oldest:
                    gone = {"kind": "Status", "code": 410, "message": "too old resource version"}
                    self.event({"type": "ERROR", "object": gone})
                    break
                due = [(v, e) for v, e in api.events if v > version]
                now = api.version
                if not due and now == version and not api.stopping and time.monotonic() < end:
                    api.lock.wait(0.05)
                    continue
            for v, event in due:
                self.event(event)
                version = v
                sent += 1
                if 0 <= self.cut <= sent:
                    self.close_connection = True
                    return
            if api.stopping or time.monotonic() >= end:
                break
            if now > version:
                mark = {"kind": "Pod", "metadata": {"resourceVersion": str(now)}}
                version = now
                if "allowWatchBookmarks" in params:
                    self.event({"type": "BOOKMARK", "object": mark})
        self.chunk(b"")

    def event(self, event: dict[str, Any]) -> None:
        self.chunk(json.dumps(event).encode() + b"\n")

    def status(self, code: int, message: str, headers: dict[str, str] | None = None) -> None:
        status = {"kind": "Status", "status": "Failure", "message": message, "code": code}
        self.body(code, "application/json", json.dumps(status).encode(), headers)

    def json(self, value: object) -> None:
        self.body(200, "application/json", json.dumps(value).encode())

    def head(self, code: int, kind: str, headers: dict[str, str]) -> None:
        self.send_response(code)
        self.send_header("Content-Type", kind)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def body(
        self, code: int, kind: str, body: bytes, headers: dict[str, str] | None = None
    ) -> None:
        self.head(code, kind, {"Content-Length": str(len(body)), **(headers or {})})
        cut = getattr(self, "cut", -1)
        self.wfile.write(body if cut < 0 else body[:cut])
        self.close_connection = self.close_connection or cut >= 0

    def chunked(self, code: int, kind: str, body: bytes, headers: dict[str, str]) -> None:
        self.head(code, kind, {"Transfer-Encoding": "chunked", **headers})
        if self.cut >= 0:
            self.chunk(body[: self.cut] or b" ")
            self.close_connection = True
            return
        for at in range(0, len(body), 4096):
            self.chunk(body[at : at + 4096])
        self.chunk(b"")

    def chunk(self, data: bytes) -> None:
        try:
            self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
            self.wfile.flush()
        except OSError:
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
        pass
