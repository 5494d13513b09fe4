"""Who asks: bearer tokens, token files that are rotated, passwords, and exec plugins.

Formats: https://kubernetes.io/docs/reference/config-api/client-authentication.v1/ (ExecCredential)
and https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/ (service accounts).
"""

from __future__ import annotations

import base64
import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import NamedTuple, Protocol

import msgspec

from kelp.base.clock import Clock, SystemClock
from kelp.kube.errors import AccessError

_PLUGIN_TIMEOUT_S = 60.0
_EARLY_NS = 30_000_000_000  # a token that is about to expire may expire on its way
_VERSIONS = ("v1", "v1beta1", "v1alpha1")
_GROUP = "client.authentication.k8s.io/"


class Certificate(NamedTuple):
    """A client certificate and its key, PEM."""

    cert: str
    key: str


class Credentials(Protocol):
    """What a request is shown with; must be safe to call from several threads."""

    def authorization(self) -> str:
        """The header of that name; empty for none. Raises AccessError."""

    def certificate(self) -> Certificate | None:
        """For the connection; None where there is none, or the kubeconfig names it itself."""

    def renew(self) -> bool:
        """They were refused with 401; whether others may be had."""


@dataclass(frozen=True)
class Fixed:
    """A header that stays: of a token, of a user with password, or none."""

    header: str = ""

    @staticmethod
    def token(token: str) -> Fixed:
        """A bearer token."""
        return Fixed(f"Bearer {token}")

    @staticmethod
    def password(user: str, password: str) -> Fixed:
        """Basic authentication."""
        return Fixed("Basic " + base64.b64encode(f"{user}:{password}".encode()).decode())

    def authorization(self) -> str:
        """See Credentials."""
        return self.header

    def certificate(self) -> Certificate | None:
        """See Credentials."""
        return None

    def renew(self) -> bool:
        """See Credentials."""
        return False


class TokenFile:
    """A token that is rotated in its file, as the kubelet does with a service account's."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int, int] | None = None
        self._token = ""
        self._lock = threading.Lock()

    def authorization(self) -> str:
        """See Credentials; the old token goes on being used while a new one cannot be read."""
        with self._lock:
            try:
                status = self._path.stat()  # through the links that the kubelet swaps
                seen = (status.st_ino, status.st_mtime_ns, status.st_size)
                if seen != self._seen:
                    self._token = self._path.read_text().strip() or self._token
                    self._seen = seen
            except (OSError, UnicodeDecodeError) as e:
                if not self._token:
                    raise AccessError(f"cannot read the token of the service account: {e}") from e
            if not self._token:
                raise AccessError(f"expected a token in {self._path}; got an empty file")
            return f"Bearer {self._token}"

    def certificate(self) -> Certificate | None:
        """See Credentials."""
        return None

    def renew(self) -> bool:
        """Read it again, whatever the file's times say."""
        with self._lock:
            before, self._seen = self._token, None
        return self.authorization() != f"Bearer {before}"


class _ExecStatus(msgspec.Struct):
    token: str = ""
    expires: str = msgspec.field(name="expirationTimestamp", default="")
    certificate: str = msgspec.field(name="clientCertificateData", default="")
    key: str = msgspec.field(name="clientKeyData", default="")


class _ExecCredential(msgspec.Struct):
    version: str = msgspec.field(name="apiVersion", default="")
    status: _ExecStatus | None = None


@dataclass(frozen=True)
class Plugin:
    """A program that gives credentials, as a kubeconfig names it."""

    command: str
    args: Sequence[str] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    version: str = _GROUP + "v1"
    hint: str = ""  # how to install it, in the kubeconfig's words
    interactive: str = "IfAvailable"
    cluster: Mapping[str, object] | None = None  # where it wants to know of the cluster


class Exec:
    """What a plugin gave, until it expires or is refused."""

    def __init__(self, plugin: Plugin, clock: Clock | None = None) -> None:
        """Raises AccessError where it is of a version that nobody knows."""
        if plugin.version not in [_GROUP + v for v in _VERSIONS]:
            raise AccessError(
                f"expected an exec plugin of {_GROUP}v1 or v1beta1; got {plugin.version!r}"
            )
        self._plugin = plugin
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._status: _ExecStatus | None = None
        self._expires_ns: int | None = None

    def authorization(self) -> str:
        """See Credentials; runs the plugin where there is nothing that is still good."""
        token = self._current().token
        return f"Bearer {token}" if token else ""

    def certificate(self) -> Certificate | None:
        """See Credentials."""
        status = self._current()
        return Certificate(status.certificate, status.key) if status.certificate else None

    def renew(self) -> bool:
        """See Credentials."""
        with self._lock:
            self._status = None
        return True

    def _current(self) -> _ExecStatus:
        with self._lock:
            expired = (
                self._expires_ns is not None
                and self._clock.now_ns() >= self._expires_ns - _EARLY_NS
            )
            if self._status is None or expired:
                self._status = self._run()
                self._expires_ns = _time_ns(self._status.expires, self._plugin.command)
            return self._status

    def _run(self) -> _ExecStatus:
        plugin = self._plugin
        terminal = sys.stdin is not None and sys.stdin.isatty() and plugin.interactive != "Never"
        if plugin.interactive == "Always" and not terminal:
            raise AccessError(
                f"expected a terminal, which the exec plugin {plugin.command} asks for; got none"
            )
        spec: dict[str, object] = {"interactive": terminal}
        if plugin.cluster is not None:
            spec["cluster"] = plugin.cluster
        info = {"apiVersion": plugin.version, "kind": "ExecCredential", "spec": spec}
        told = {"KUBERNETES_EXEC_INFO": msgspec.json.encode(info).decode()}
        return _credential(plugin, _output(plugin, {**os.environ, **plugin.env, **told}, terminal))


def _output(plugin: Plugin, environ: Mapping[str, str], terminal: bool) -> bytes:
    words = [plugin.command, *plugin.args]
    try:
        done = subprocess.run(
            words,
            env=environ,
            stdin=None if terminal else subprocess.DEVNULL,
            capture_output=True,
            timeout=_PLUGIN_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise AccessError(
            f"expected credentials of the exec plugin {plugin.command} within "
            f"{_PLUGIN_TIMEOUT_S:.0f} s; got none"
        ) from None
    except OSError as e:
        hint = f"; {plugin.hint.strip()}" if plugin.hint else ""
        raise AccessError(f"cannot run the exec plugin {plugin.command}: {e.strerror}{hint}") from e
    if done.returncode:
        complaint = " ".join(done.stderr.decode(errors="replace").split())[-500:]
        raise AccessError(
            f"the exec plugin {plugin.command} ended with status {done.returncode}: {complaint}"
        )
    return done.stdout


def _credential(plugin: Plugin, output: bytes) -> _ExecStatus:
    expected = f"expected an ExecCredential of {plugin.version} from {plugin.command}"
    try:
        credential = msgspec.json.decode(output, type=_ExecCredential)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as e:
        raise AccessError(f"{expected}; {e}") from e
    if credential.version != plugin.version:
        raise AccessError(f"{expected}; got {credential.version!r}")
    status = credential.status
    if status is None or not (status.token or (status.certificate and status.key)):
        raise AccessError(f"{expected} with a token or a certificate and its key; got neither")
    return status


def _time_ns(text: str, command: str) -> int | None:
    if not text:
        return None
    try:
        return int(datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() * 1e9)
    except ValueError:
        raise AccessError(
            f"expected an expirationTimestamp in RFC 3339 from {command}; got {text!r}"
        ) from None
