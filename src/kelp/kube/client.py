"""Asking the API server: GET, as a stream that may be cut short from another thread.

Connections are kept and used again. What a refusal means stands in `errors`. Left out: writing,
HTTP/2, and retries, which are for whoever knows what it is that may be asked twice.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from urllib.parse import quote, urlencode

from kelp import __version__
from kelp.base.config_checks import is_loopback
from kelp.kube.access import Access
from kelp.kube.connection import connect, target_of
from kelp.kube.errors import AccessError, AwayError, refusal

Params = Mapping[str, str | int | Sequence[str]]

TIMEOUT_S = 30.0
"""Between any two signs of life of an answer; a watch has its own."""

_KEPT_CONNECTIONS = 4
_MAX_ERROR_BYTES = 64 << 10
_BLOCK_BYTES = 1 << 16
_GZIP = 31  # zlib's window bits for a gzip header and trailer


class LineSplitter:
    """Blocks to lines without their newline; each byte is copied once or twice, whatever comes."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self.held = 0  # bytes of a line whose end has not come

    def feed(self, block: bytes) -> list[bytes]:
        """The lines that end in this block."""
        first, *more = block.split(b"\n")
        self._parts.append(first)
        self.held += len(first)
        if not more:
            return []
        lines = [b"".join(self._parts), *more[:-1]]
        self._parts, self.held = [more[-1]], len(more[-1])
        return lines

    def rest(self) -> bytes:
        """What is held."""
        return b"".join(self._parts)


class Answer:
    """A body on its way; only within the `with` that gave it, and for one thread save `cut`."""

    def __init__(self, response: http.client.HTTPResponse, sock: socket.socket | None) -> None:
        self._response = response
        self._sock = sock
        self.whole = False  # read to its end, so that the connection can be used again
        self._inflate = None
        if response.getheader("Content-Encoding", "") == "gzip":
            self._inflate = zlib.decompressobj(_GZIP)

    def header(self, name: str) -> str:
        """A header; empty where there is none."""
        return self._response.getheader(name) or ""

    def blocks(self) -> Iterator[bytes]:
        """The body as it comes; raises AwayError where it breaks off."""
        while True:
            try:
                data = self._response.read1(_BLOCK_BYTES)
                if self._inflate is not None and data:
                    yield self._inflate.decompress(data)
                elif data:
                    yield data
            except (OSError, http.client.HTTPException, zlib.error, ValueError) as e:
                raise AwayError(f"the API server's answer broke off: {e!r}") from e
            if not data:
                break
        if not self._ended() or (self._inflate and not self._inflate.eof):
            raise AwayError("the API server's answer broke off before its end")
        self._response.close()
        self.whole = True

    def _ended(self) -> bool:
        """Whether no more than the end was reached; http.client itself does not tell for all."""
        if self._response.chunked:
            return self._response.isclosed()
        return not self._response.length

    def read(self, limit: int) -> bytes:
        """All of it; raises AwayError also where there is more than `limit` bytes."""
        parts, size = [], 0
        for block in self.blocks():
            size += len(block)
            if size > limit:
                raise AwayError(f"expected an answer of at most {limit} bytes; got more")
            parts.append(block)
        return b"".join(parts)

    def lines(self, limit: int) -> Iterator[bytes]:
        """Whole lines without their newline; AwayError for one of more than `limit` bytes."""
        splitter = LineSplitter()
        for block in self.blocks():
            yield from splitter.feed(block)
            if splitter.held > limit:
                raise AwayError(f"expected lines of at most {limit} bytes; got a longer one")
        if splitter.held:
            yield splitter.rest()

    def cut(self) -> None:
        """Let reading end with AwayError, now; from any thread."""
        if self._sock is not None:
            with suppress(OSError):
                self._sock.shutdown(socket.SHUT_RDWR)


class KubeClient:
    """For any number of threads."""

    def __init__(self, access: Access) -> None:
        """Raises AccessError where an address in it cannot be used."""
        self.access = access
        self._target = target_of(access)
        server = self._target.server
        self._private = server.scheme == "https" or is_loopback(f"[{server.hostname}]:0")
        self._idle: list[http.client.HTTPConnection] = []
        self._under_way: set[Answer] = set()
        self._lock = threading.Lock()

    @contextmanager
    def get(
        self,
        path: str,
        params: Params | None = None,
        *,
        right: str,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> Iterator[Answer]:
        """Ask for `path` (/api/v1/pods, already quoted); `right` is what it takes (list pods).

        Raises ApiError where it is refused, AwayError where there is no answer, AccessError where
        there are no credentials to be had.
        """
        url = self._target.server.path.rstrip("/") + path
        if params:
            url += "?" + urlencode(params, doseq=True)
        connection, response = self._ask(url, headers or {}, timeout_s)
        answer = Answer(response, connection.sock)
        with self._lock:
            self._under_way.add(answer)
        try:
            if response.status != 200:
                body = b""
                with suppress(AwayError):
                    body = answer.read(_MAX_ERROR_BYTES)
                source = self.access.source or self.access.server
                error = refusal(
                    response.status, body, what=f"GET {path}", right=right, source=source
                )
                error.retry_after_s = _seconds(answer.header("Retry-After"))
                raise error
            yield answer
        finally:
            with self._lock:
                self._under_way.discard(answer)
            self._give_back(connection, usable=answer.whole and not response.will_close)

    def read(self, path: str, params: Params | None = None, *, right: str, limit: int) -> bytes:
        """The whole answer, at most `limit` bytes; raises as `get`."""
        with self.get(path, params, right=right) as answer:
            return answer.read(limit)

    def close(self) -> None:
        """Cut what is under way, and close the connections that nobody uses."""
        self._forget()
        with self._lock:
            under_way = list(self._under_way)
        for answer in under_way:
            answer.cut()

    def _forget(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _ask(
        self, url: str, headers: Mapping[str, str], timeout_s: float
    ) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        connection, response = self._send(url, headers, timeout_s)
        if response.status == 401 and self.access.credentials.renew():
            connection.close()
            self._forget()  # what is open may have been opened with the old certificate
            connection, response = self._send(url, headers, timeout_s)
        return connection, response

    def _send(
        self, url: str, headers: Mapping[str, str], timeout_s: float
    ) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        authorization = self.access.credentials.authorization()
        if authorization and not self._private:
            raise AccessError(
                "expected https:// of an API server that is shown credentials; got "
                f"{self._target.server.scheme}://{self._target.server.netloc}"
            )
        sent = {
            "Accept": "application/json, */*",
            "User-Agent": f"kelp/{__version__}",
            **({"Authorization": authorization} if authorization else {}),
            **headers,
        }
        while True:
            connection, used = self._connected(timeout_s)
            try:
                connection.request("GET", url, headers=sent)
                return connection, connection.getresponse()
            except (OSError, http.client.HTTPException) as e:
                connection.close()
                # The server closes idle connections; that shows only at the next request.
                if not (used and isinstance(e, ConnectionError | http.client.BadStatusLine)):
                    raise AwayError(_away(self.access.server, e)) from e

    def _connected(self, timeout_s: float) -> tuple[http.client.HTTPConnection, bool]:
        """A connection, and whether it was in use before."""
        with self._lock:
            kept = self._idle.pop() if self._idle else None
        if kept is not None and kept.sock is not None:
            kept.sock.settimeout(timeout_s)
            return kept, True
        try:
            return connect(self.access, self._target, timeout_s), False
        except (OSError, http.client.HTTPException) as e:
            raise AwayError(_away(self.access.server, e)) from e

    def _give_back(self, connection: http.client.HTTPConnection, *, usable: bool) -> None:
        with self._lock:
            if usable and len(self._idle) < _KEPT_CONNECTIONS and connection.sock is not None:
                self._idle.append(connection)
                return
        connection.close()


def segment(name: str) -> str:
    """A name as one part of a path; raises AccessError for what would be none or another."""
    if not name or name in (".", ".."):
        raise AccessError(f"expected a name; got {name!r}")
    return quote(name, safe="")


def _away(server: str, error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"expected a certificate for {server} of the authority that the kubeconfig names; "
            f"{error.verify_message}"
        )
    return f"cannot reach the Kubernetes API server at {server}: {error or type(error).__name__}"


def _seconds(text: str) -> float:
    return float(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0.0
