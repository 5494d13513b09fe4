"""The token and the TLS files, read again when they change on disk.

Tokens and certificates are rotated under a running agent (cert-manager, a projected volume), so
each is read anew when its file is another one than before. While a new one cannot be read (half
written, gone for a moment), the old one goes on being used.
"""

from __future__ import annotations

import logging
import ssl
from pathlib import Path

from kelp.base.errors import ConfigError, KelpError
from kelp.base.settings import Ship
from kelp.base.token import read_token

_log = logging.getLogger(__name__)


class TokenFile:
    """A bearer token in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._mark: object = None
        self._token = ""

    def token(self) -> str:
        """The token of now; empty where there never was one (mTLS needs none)."""
        mark = _mark(self._path)
        if mark != self._mark:
            self._read(mark)
        return self._token

    def _read(self, mark: object) -> None:
        try:
            self._token = read_token(self._path)
        except (KelpError, UnicodeDecodeError) as e:
            _log.warning("cannot read the token", extra={"error": str(e)})
        # Also after an error: the next try comes when the file changes again, not with each send.
        self._mark = mark


class TlsFiles:
    """The TLS context that ship.ca_file, cert_file and key_file make."""

    def __init__(self, ship: Ship) -> None:
        self._ship = ship
        self._paths = [Path(p) for p in (ship.ca_file, ship.cert_file, ship.key_file) if p]
        self._marks: list[object] = []
        self._context: ssl.SSLContext | None = None

    def context(self) -> ssl.SSLContext:
        """The context of now, another object after a change; raises ConfigError at first use."""
        marks = [_mark(p) for p in self._paths]
        if self._context is not None and marks == self._marks:
            return self._context
        try:
            self._context = self._make()
        except (OSError, ssl.SSLError) as e:
            text = f"agent.ship: cannot use the TLS files {', '.join(map(str, self._paths))}: {e}"
            if self._context is None:
                raise ConfigError(text) from e
            _log.warning("the old certificates stay in use", extra={"error": text})
        self._marks = marks
        return self._context

    def _make(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self._ship.ca_file or None)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self._ship.cert_file:
            context.load_cert_chain(self._ship.cert_file, self._ship.key_file or None)
        return context


def _mark(path: Path) -> object:
    """Something that is another when the file is; the target counts where it is a link."""
    try:
        status = path.stat()
    except OSError:
        return None
    return (status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size)
