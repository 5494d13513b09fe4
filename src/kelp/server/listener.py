"""The socket that the server listens on, and its TLS: everything that can be wrong before a start.

Bound before the store is opened, so that a second server on the same port says so at once.
"""

from __future__ import annotations

import socket
import ssl

from kelp.base.config_checks import check, split_listen
from kelp.base.errors import ConfigError, KelpError
from kelp.base.settings import ServerTls, Settings

_BACKLOG = 2048


def bind(settings: Settings) -> socket.socket:
    """A bound socket; raises KelpError where the address is taken, wrong, or not to be used."""
    for key, text in check(settings):
        raise ConfigError(f"{key}: {text}")
    host, port = split_listen(settings.server.listen)
    try:
        found = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        return _bound(found[0][0], found[0][4])
    except OSError as e:
        raise KelpError(
            f"cannot listen on {settings.server.listen}: {e.strerror or e}; "
            "is another server running? choose another address with --listen"
        ) from e


def _bound(family: int, address: object) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)  # type: ignore[arg-type] # as getaddrinfo gave it
        # Now, not later: another server may bind as well as long as neither listens.
        made.listen(_BACKLOG)
        made.setblocking(False)
    except BaseException:
        made.close()
        raise
    return made


def url_of(bound: socket.socket, *, tls: bool) -> str:
    """Where a client finds it; a wildcard address is shown as loopback."""
    host, port = bound.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    shown = f"[{host}]" if ":" in host else host
    return f"{'https' if tls else 'http'}://{shown}:{port}"


class Tls:
    """The listener's certificates; `reload` reads the files again."""

    def __init__(self, files: ServerTls) -> None:
        """Raises ConfigError where a file cannot be used."""
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.context.set_alpn_protocols(["http/1.1"])
        self.reload(files)

    def reload(self, files: ServerTls) -> None:
        """New connections use what the files hold now; raises ConfigError and keeps the old."""
        try:
            # First into a context of its own: one that is half changed would serve nobody.
            for context in (ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), self.context):
                context.load_cert_chain(files.cert_file, files.key_file)
                if files.client_ca_file:
                    context.load_verify_locations(files.client_ca_file)
                    context.verify_mode = ssl.CERT_REQUIRED
        except (OSError, ssl.SSLError) as e:
            raise ConfigError(
                f"server.tls: cannot use {files.cert_file}, {files.key_file}"
                f"{', ' + files.client_ca_file if files.client_ca_file else ''}: {e}"
            ) from e


def tls_of(files: ServerTls) -> Tls | None:
    """None where TLS is off."""
    return Tls(files) if files.cert_file else None
