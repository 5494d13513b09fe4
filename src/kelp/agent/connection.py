"""One HTTP(S) connection to the Kelp server, kept open between requests.

`http.client` and not httpx2: the agent sends few kinds of requests to one host, one at a time, and
httpx2 costs 6 MB of resident memory on every node (measured: 77.6 MB without, 83.6 MB with a
client). Left out: proxies, redirects, HTTP/2, and any judgement of the answer.
"""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from kelp.agent.credentials import TlsFiles, TokenFile
from kelp.base.errors import ConfigError
from kelp.base.settings import Ship

DEFAULT_URL = "http://127.0.0.1:3170"

_MAX_ANSWER_BYTES = 64 << 10


@dataclass(frozen=True)
class Answer:
    """An HTTP answer; `headers` has lower-case names, `text` the first bytes of the body."""

    status: int
    headers: Mapping[str, str]
    text: str = ""


class Connection:
    """Posts to one server. For one thread, save `abort`."""

    def __init__(self, ship: Ship, token_file: Path, timeout_s: float | None = None) -> None:
        """`timeout_s`: without an answer for so long a request fails; None: ship.timeout_s.

        Raises ConfigError where the URL or the TLS files cannot be used.
        """
        self._url = parse_url(ship.url or DEFAULT_URL)
        self._timeout_s = ship.timeout_s if timeout_s is None else timeout_s
        self._token = TokenFile(token_file)
        self._tls = TlsFiles(ship) if self._url.scheme == "https" else None
        if self._tls:
            self._tls.context()
        self._context: ssl.SSLContext | None = None
        self._connection: http.client.HTTPConnection | None = None

    def url_of(self, path: str) -> str:
        """The address that requests to `path` go to."""
        return self._url.geturl().rstrip("/") + path

    def post(self, path: str, data: memoryview | bytes, headers: Mapping[str, str]) -> Answer:
        """Post a body; raises OSError or HTTPException where no whole answer came.

        A request may be sent twice where the server closes the connection at the same moment.
        """
        connection, used_before = self._connected()
        try:
            return self._exchange(connection, path, data, headers)
        except (ConnectionError, http.client.BadStatusLine):
            self.close()
            # The server closes idle connections; that shows only when the next request is sent.
            if not used_before:
                raise
            return self._exchange(self._connected()[0], path, data, headers)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close it; the next request opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def abort(self) -> None:
        """Make a request of another thread fail now."""
        connection = self._connection
        if connection is not None and connection.sock is not None:
            with suppress(OSError):
                connection.sock.shutdown(socket.SHUT_RDWR)

    def _connected(self) -> tuple[http.client.HTTPConnection, bool]:
        """A connection, and whether it was in use before."""
        context = self._tls.context() if self._tls else None
        if context is not self._context:
            self.close()
        if self._connection is not None and self._connection.sock is not None:
            return self._connection, True
        self._context = context
        self._connection = self._make(context)
        self._connection.connect()
        return self._connection, False

    def _make(self, context: ssl.SSLContext | None) -> http.client.HTTPConnection:
        host, port = self._url.hostname or "", self._url.port
        if context is None:
            return http.client.HTTPConnection(host, port, timeout=self._timeout_s)
        return http.client.HTTPSConnection(host, port, timeout=self._timeout_s, context=context)

    def _exchange(
        self,
        connection: http.client.HTTPConnection,
        path: str,
        data: memoryview | bytes,
        headers: Mapping[str, str],
    ) -> Answer:
        token = self._token.token()
        sent = {**headers, "Authorization": f"Bearer {token}"} if token else dict(headers)
        # A server that refuses by the headers alone answers and closes before it has read all;
        # where it did not answer, getresponse fails in turn.
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.request("POST", self._url.path.rstrip("/") + path, data, sent)
        response = connection.getresponse()
        text = response.read(_MAX_ANSWER_BYTES)
        if not response.isclosed():
            self.close()  # what is left of an answer that long is not worth reading
            if len(text) < _MAX_ANSWER_BYTES:
                raise http.client.IncompleteRead(text, response.length)
        return Answer(
            response.status,
            {name.lower(): value for name, value in response.getheaders()},
            text.decode(errors="replace"),
        )


def parse_url(url: str) -> SplitResult:
    """The parts of a server's address; raises ConfigError where it cannot be one."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - reading it is what checks it
    except ValueError as e:
        raise ConfigError(f"agent.ship.url: expected http(s)://host:port; got {url!r}: {e}") from e
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(f"agent.ship.url: expected http(s)://host:port; got {url!r}")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ConfigError(
            "agent.ship.url: expected no user, password, query or fragment; the token goes into "
            "agent.ship.token_file"
        )
    return parts
