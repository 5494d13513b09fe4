"""One HTTP(S) connection to the API server, straight or through a proxy; chosen and opened here."""

from __future__ import annotations

import base64
import http.client
import ssl
import urllib.request
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urlsplit

from kelp.kube.access import Access
from kelp.kube.errors import AccessError


@dataclass(frozen=True)
class Target:
    """Where a connection goes: to the server, or to a proxy before it."""

    server: SplitResult
    proxy: SplitResult | None


def target_of(access: Access) -> Target:
    """Raises AccessError where the server's or the proxy's address cannot be one."""
    server = _parsed(access.server, "an API server", ("https", "http"))
    address = access.proxy or _environments_proxy(server)
    if not address:
        return Target(server, None)
    if "://" not in address:
        address = f"http://{address}"
    return Target(server, _parsed(address, "a proxy", ("http", "https")))


def _environments_proxy(server: SplitResult) -> str:
    """Of https_proxy, http_proxy and no_proxy, in small letters or great ones."""
    proxies = urllib.request.getproxies_environment()
    host = server.hostname or ""
    if urllib.request.proxy_bypass_environment(host, proxies):  # type: ignore[attr-defined]
        return ""
    return proxies.get(server.scheme, "")


def _parsed(address: str, what: str, schemes: tuple[str, ...]) -> SplitResult:
    try:
        parts = urlsplit(address)
        parts.port  # noqa: B018 - reading it is what checks it
    except ValueError as e:
        raise AccessError(f"expected the address of {what}; got {address!r}: {e}") from e
    if parts.scheme not in schemes or not parts.hostname:
        told = f"{parts.scheme}://{parts.hostname}" if parts.hostname else repr(address)
        expected = " or ".join(f"{s}://host:port" for s in schemes)
        raise AccessError(f"expected {expected} as the address of {what}; got {told}")
    return parts


class _NamedConnection(http.client.HTTPSConnection):
    """TLS for a name that may be another than the host's (`tls-server-name`)."""

    def __init__(
        self, host: str, port: int | None, timeout_s: float, context: ssl.SSLContext, name: str
    ) -> None:
        super().__init__(host, port, timeout=timeout_s, context=context)
        self._tls_context, self._tls_name = context, name

    def connect(self) -> None:
        """Connect, through the tunnel where there is one, and speak TLS."""
        http.client.HTTPConnection.connect(self)
        self.sock = self._tls_context.wrap_socket(self.sock, server_hostname=self._tls_name)


def connect(access: Access, target: Target, timeout_s: float) -> http.client.HTTPConnection:
    """An open connection; raises OSError and AccessError."""
    server, proxy = target.server, target.proxy
    first = proxy or server
    host, port = first.hostname or "", first.port or (443 if first.scheme == "https" else 80)
    connection: http.client.HTTPConnection
    if server.scheme == "https":
        if proxy is not None and proxy.scheme == "https":
            raise AccessError(f"expected a proxy of http://; got https://{proxy.hostname}")
        context = access.tls.context(access.credentials.certificate())
        name = access.tls.server_name or server.hostname or ""
        connection = _NamedConnection(host, port, timeout_s, context, name)
    else:
        connection = http.client.HTTPConnection(host, port, timeout=timeout_s)
    if proxy is not None:
        far_port = server.port or (443 if server.scheme == "https" else 80)
        connection.set_tunnel(server.hostname or "", far_port, _proxy_headers(proxy))
    connection.connect()
    return connection


def _proxy_headers(proxy: SplitResult) -> dict[str, str]:
    if not proxy.username:
        return {}
    pair = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return {"Proxy-Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}
