"""Kubeconfig files: several, merged as kubectl does; one context of them as an Access.

Of entries with the same name the first file's counts, and of scalars the first that is set; a file
of the list that does not exist is left out. Paths in a file are relative to it.
Source: https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import yaml
from msgspec import field

from kelp.kube.access import Access, Tls
from kelp.kube.credentials import Credentials, Exec, Fixed, Plugin, TokenFile
from kelp.kube.errors import AccessError

_MAX_BYTES = 8 << 20

N = TypeVar("N")


class _Cluster(msgspec.Struct):
    server: str = ""
    tls_server_name: str = field(name="tls-server-name", default="")
    insecure: bool = field(name="insecure-skip-tls-verify", default=False)
    ca_file: str = field(name="certificate-authority", default="")
    ca_data: str = field(name="certificate-authority-data", default="")
    proxy: str = field(name="proxy-url", default="")


class _Variable(msgspec.Struct):
    name: str
    value: str


class _Exec(msgspec.Struct):
    version: str = field(name="apiVersion", default="")
    command: str = ""
    args: list[str] | None = None
    env: list[_Variable] | None = None
    hint: str = field(name="installHint", default="")
    interactive: str = field(name="interactiveMode", default="IfAvailable")
    tell_cluster: bool = field(name="provideClusterInfo", default=False)


class _User(msgspec.Struct):
    cert_file: str = field(name="client-certificate", default="")
    cert_data: str = field(name="client-certificate-data", default="")
    key_file: str = field(name="client-key", default="")
    key_data: str = field(name="client-key-data", default="")
    token: str = ""
    token_file: str = field(name="tokenFile", default="")
    username: str = ""
    password: str = ""
    exec: _Exec | None = None
    auth_provider: dict[str, Any] | None = field(name="auth-provider", default=None)
    impersonate: str = field(name="as", default="")


class _Context(msgspec.Struct):
    cluster: str = ""
    user: str = ""
    namespace: str = ""


class _NamedCluster(msgspec.Struct):
    name: str
    cluster: _Cluster


class _NamedUser(msgspec.Struct):
    name: str
    user: _User


class _NamedContext(msgspec.Struct):
    name: str
    context: _Context


class _File(msgspec.Struct):
    current: str = field(name="current-context", default="")
    clusters: list[_NamedCluster] | None = None
    users: list[_NamedUser] | None = None
    contexts: list[_NamedContext] | None = None


class _Merged:
    """All files together; each entry with the folder of its file."""

    def __init__(self) -> None:
        self.current = ""
        self.clusters: dict[str, tuple[_Cluster, Path]] = {}
        self.users: dict[str, tuple[_User, Path]] = {}
        self.contexts: dict[str, _Context] = {}

    def add(self, file: _File, folder: Path) -> None:
        self.current = self.current or file.current
        for c in file.clusters or ():
            self.clusters.setdefault(c.name, (c.cluster, folder))
        for u in file.users or ():
            self.users.setdefault(u.name, (u.user, folder))
        for x in file.contexts or ():
            self.contexts.setdefault(x.name, x.context)


def read_kubeconfig(paths: Sequence[Path], context: str = "") -> Access:
    """The Access of a context (default: the current one); raises AccessError."""
    merged = _Merged()
    found = [p for p in paths if p.exists()]
    for path in found:
        merged.add(_read(path), path.absolute().parent)
    where = ":".join(map(str, found or paths))
    if not found:
        raise AccessError(f"expected a kubeconfig in {where}; there is no such file")
    name = context or merged.current
    if not name:
        raise AccessError(f"expected a current-context in {where}; got none: name one (--context)")
    chosen = _named(merged.contexts, name, "context", where)
    cluster, cluster_folder = _named(merged.clusters, chosen.cluster, "cluster", where)
    user, user_folder = _User(), Path()
    if chosen.user:
        user, user_folder = _named(merged.users, chosen.user, "user", where)
    source = f'the context "{name}" of {where}'
    if not cluster.server:
        raise AccessError(f"expected a server in the cluster of {source}; got none")
    return Access(
        server=cluster.server,
        tls=_tls(cluster, cluster_folder, user, user_folder, source),
        credentials=_credentials(user, user_folder, cluster, source),
        proxy=cluster.proxy,
        namespace=chosen.namespace or "default",
        source=source,
    )


def _named(entries: dict[str, N], name: str, kind: str, where: str) -> N:
    if name not in entries:
        known = ", ".join(sorted(entries)) or "none"
        raise AccessError(f'expected a {kind} "{name}" in {where}; got {known}')
    return entries[name]


def _read(path: Path) -> _File:
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except OSError as e:
        raise AccessError(f"cannot read the kubeconfig {path}: {e.strerror}") from e
    if len(data) > _MAX_BYTES:
        raise AccessError(f"{path}: expected a kubeconfig of at most {_MAX_BYTES} bytes")
    try:
        loaded = yaml.safe_load(data)
        return msgspec.convert({} if loaded is None else loaded, _File)
    except yaml.MarkedYAMLError as e:
        mark = e.problem_mark or e.context_mark
        place = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        raise AccessError(f"{path}{place}: expected YAML; {e.problem or e.context}") from e
    except (yaml.YAMLError, RecursionError, ValueError) as e:
        if isinstance(e, msgspec.ValidationError):
            raise AccessError(f"{path}: expected a kubeconfig; {e}") from e
        raise AccessError(f"{path}: expected YAML") from e


def _tls(
    cluster: _Cluster, cluster_folder: Path, user: _User, user_folder: Path, source: str
) -> Tls:
    def path(folder: Path, text: str) -> Path | None:
        return folder / text if text else None

    def data(text: str, name: str) -> str:
        return _decoded(text, name, source) if text else ""

    return Tls(
        ca_file=None if cluster.ca_data else path(cluster_folder, cluster.ca_file),
        ca_data=data(cluster.ca_data, "certificate-authority-data"),
        insecure=cluster.insecure,
        server_name=cluster.tls_server_name,
        cert_file=None if user.cert_data else path(user_folder, user.cert_file),
        key_file=None if user.key_data else path(user_folder, user.key_file),
        cert_data=data(user.cert_data, "client-certificate-data"),
        key_data=data(user.key_data, "client-key-data"),
    )


def _decoded(text: str, name: str, source: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode()
    except (binascii.Error, ValueError):
        raise AccessError(f"expected base64 of PEM in {name} of {source}; got other text") from None


def _credentials(user: _User, folder: Path, cluster: _Cluster, source: str) -> Credentials:
    if user.impersonate:
        raise AccessError(f"expected a user without `as` (impersonation) in {source}")
    if user.token_file:
        return TokenFile(folder / user.token_file)
    if user.token:
        return Fixed.token(user.token)
    if user.username:
        return Fixed.password(user.username, user.password)
    if user.exec is not None:
        return Exec(_plugin(user.exec, folder, cluster, source))
    if user.auth_provider is not None:
        raise AccessError(
            f"expected token, certificate or exec in the user of {source}; got auth-provider, "
            "which Kubernetes has dropped in 1.26: use the provider's exec plugin"
        )
    return Fixed()


def _plugin(found: _Exec, folder: Path, cluster: _Cluster, source: str) -> Plugin:
    if not found.command:
        raise AccessError(f"expected exec.command in the user of {source}; got none")
    # A command with a slash is relative to the kubeconfig; one without is looked for in PATH.
    command = str(folder / found.command) if "/" in found.command else found.command
    told = {
        "server": cluster.server,
        "tls-server-name": cluster.tls_server_name,
        "insecure-skip-tls-verify": cluster.insecure,
        "certificate-authority-data": cluster.ca_data,
        "proxy-url": cluster.proxy,
    }
    return Plugin(
        command=command,
        args=found.args or (),
        env={v.name: v.value for v in found.env or ()},
        version=found.version,
        hint=found.hint,
        interactive=found.interactive,
        cluster={k: v for k, v in told.items() if v} if found.tell_cluster else None,
    )
