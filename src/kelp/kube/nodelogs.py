"""A node's own logs, through the API server: its units' journals, and files below /var/log.

    GET /api/v1/nodes/NODE/proxy/logs/?query=kubelet&sinceTime=…      NodeLogQuery (GA in 1.36)
    GET /api/v1/nodes/NODE/proxy/logs/syslog                          a file, of any Kubernetes

It takes the right to `get nodes/proxy`, and three settings of the kubelet; which of them is missing
is told. `untilTime` is not sent: kubelets format `sinceTime` in its place, so the end has to be
found here. A kubelet stops after 30 s, without a word.

Source: https://github.com/kubernetes/kubernetes/blob/master/pkg/kubelet/kubelet_server_journal.go
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from html import unescape
from urllib.parse import quote

from kelp.base.errors import KelpError
from kelp.kube.client import Answer, KubeClient, segment
from kelp.kube.errors import ApiError

MAX_UNITS = 4  # a kubelet takes no more in one query
MAX_LINE_BYTES = 64 << 20
KUBELET_STOPS_AFTER_S = 29.0
"""Its deadline is 30 s; an answer that took this long may have been cut."""

_UNIT = re.compile(r"[a-zA-Z0-9@_-]{1,256}")
_LINK = re.compile(r'<a href="[^"]*">([^<]*)</a>')
_RIGHT = "get nodes/proxy"
_ROOT = "/var/log/"


class DisabledError(KelpError):
    """The kubelet does not answer this, by its configuration."""


class IsFolderError(KelpError):
    """The path is a folder's, and has no slash at its end."""


@dataclass(frozen=True)
class LogQuery:
    """What to ask of a node's journal; `pattern` is a regular expression of journalctl's (PCRE2).

    `boot`: 0 is the present one, -1 the one before; None: all.
    """

    units: Sequence[str]
    since_us: int | None = None
    tail: int | None = None
    boot: int | None = None
    pattern: str = ""

    def params(self) -> dict[str, str | int | Sequence[str]]:
        """As the kubelet wants them; raises KelpError for what it would refuse."""
        params: dict[str, str | int | Sequence[str]] = {"query": [service(u) for u in self.units]}
        if not 0 < len(self.units) <= MAX_UNITS:
            raise KelpError(f"expected 1 to {MAX_UNITS} units at once; got {len(self.units)}")
        if self.since_us is not None:
            params["sinceTime"] = self.since()
        if self.tail is not None:
            params["tailLines"] = self.tail
        if self.boot is not None:
            params["boot"] = self.boot
        if self.pattern:
            params["pattern"] = self.pattern
        return params

    def since(self) -> str:
        """`since_us` in RFC 3339, to the second, which is all that a kubelet looks at."""
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime((self.since_us or 0) // 1_000_000))


def service(unit: str) -> str:
    """A unit as a kubelet takes it: without `.service`; raises KelpError for any other kind."""
    name = unit.removesuffix(".service")
    if not _UNIT.fullmatch(name):
        raise KelpError(f'expected a service such as kubelet; got "{unit}"')
    return name


def file_path(path: str) -> str:
    """A path below /var/log as it stands in the request; raises KelpError for one elsewhere."""
    inner = path.removeprefix(_ROOT) if path.startswith("/") else path
    if path.rstrip("/") == _ROOT.rstrip("/"):
        inner = ""
    if inner.startswith("/") or ".." in inner.split("/"):
        raise KelpError(f'expected a path below {_ROOT}; got "{path}"')
    return inner


@contextmanager
def query_journal(client: KubeClient, node: str, query: LogQuery) -> Iterator[Answer]:
    """The text that the node's journalctl prints; raises KelpError."""
    with _ask(client, node, "", query.params()) as answer:
        if answer.header("Content-Type").startswith("text/html"):
            raise DisabledError(
                f"expected the kubelet of {node} to take queries; it did not look at this one: its "
                "configuration needs `enableSystemLogQuery: true` and, before Kubernetes 1.36, "
                "`featureGates: {NodeLogQuery: true}`; files need neither: try a path such as "
                "/var/log/syslog"
            )
        yield answer


@contextmanager
def read_file(client: KubeClient, node: str, path: str) -> Iterator[Answer]:
    """A file's bytes; raises KelpError, IsFolderError where the path lacks a folder's slash.

    Of a folder a page of HTML, see `listing`.
    """
    with _ask(client, node, quote(file_path(path)), {}) as answer:
        yield answer


def listing(page: bytes) -> list[str]:
    """The names in a folder's page; folders end with a slash."""
    return [unescape(n) for n in _LINK.findall(page.decode(errors="replace"))]


@contextmanager
def _ask(
    client: KubeClient, node: str, path: str, params: dict[str, str | int | Sequence[str]]
) -> Iterator[Answer]:
    url = f"/api/v1/nodes/{segment(node)}/proxy/logs/{path}"
    try:
        # This very word, no list: a kubelet compares the whole header.
        with client.get(
            url, params, right=_RIGHT, headers={"Accept": "*/*", "Accept-Encoding": "gzip"}
        ) as answer:
            yield answer
    except ApiError as e:
        raise _explained(e, node, path) from e


def _explained(error: ApiError, node: str, path: str) -> KelpError:
    if error.status == 405:
        return DisabledError(
            f"expected the kubelet of {node} to give out logs; it says: {error.message}: its "
            "configuration needs `enableSystemLogHandler: true` and "
            "`enableDebuggingHandlers: true`"
        )
    if error.status in (400, 406):
        return KelpError(f"the kubelet of {node} refuses the query: {error.message}")
    if 300 <= error.status < 400:
        return IsFolderError(f"expected a file {_ROOT}{path} on {node}; got a folder")
    if error.status == 404 and path and "nodes " not in error.message:
        return KelpError(f"expected a file {_ROOT}{path} on {node}; there is none")
    if error.status == 404 and "not found" in error.message and "nodes " in error.message:
        return KelpError(f"expected the name of a node of the cluster; {error.message}")
    return error
