"""Where the API server is, how it is trusted, and as whom it is asked.

Looked for in the order of kubectl: what is named, $KUBECONFIG, ~/.kube/config, and in a pod its
service account.
"""

from __future__ import annotations

import os
import ssl
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from kelp.kube.credentials import Certificate, Credentials, TokenFile
from kelp.kube.errors import AccessError

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


@dataclass(frozen=True)
class Tls:
    """How a server is trusted, and which certificate it is shown; data goes before files."""

    ca_file: Path | None = None
    ca_data: str = ""
    insecure: bool = False
    server_name: str = ""
    cert_file: Path | None = None
    key_file: Path | None = None
    cert_data: str = ""
    key_data: str = ""

    def context(self, certificate: Certificate | None = None) -> ssl.SSLContext:
        """For one connection, so that files are read anew when they are rotated.

        `certificate` is what an exec plugin gives, which goes before all else. Raises AccessError.
        """
        try:
            context = ssl.create_default_context(
                cafile=str(self.ca_file) if self.ca_file else None, cadata=self.ca_data or None
            )
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            if self.insecure:
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
            self._load_certificate(context, certificate)
        except (OSError, ValueError) as e:
            raise AccessError(f"cannot use the certificates for the API server: {e}") from e
        return context

    def _load_certificate(self, context: ssl.SSLContext, given: Certificate | None) -> None:
        cert = given.cert if given else self.cert_data
        key = given.key if given else self.key_data
        cert_file, key_file = (None, None) if given else (self.cert_file, self.key_file)
        if not (cert or cert_file):
            return
        # OpenSSL's loader takes files alone; these are gone before anything is sent.
        with tempfile.TemporaryDirectory(prefix="kelp-") as folder:
            chain = _as_file(Path(folder) / "cert.pem", cert) or cert_file
            private = _as_file(Path(folder) / "key.pem", key) or key_file
            assert chain is not None
            context.load_cert_chain(chain, private, password=_no_password)


def _as_file(path: Path, text: str) -> Path | None:
    if not text:
        return None
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    return path


def _no_password() -> str:
    raise ValueError("expected a client key without a password")


@dataclass(frozen=True)
class Access:
    """A way to an API server; `source` says where it was found."""

    server: str
    credentials: Credentials = field(repr=False)
    tls: Tls = field(default_factory=Tls, repr=False)
    proxy: str = ""
    namespace: str = "default"
    source: str = ""


def in_cluster(environ: Mapping[str, str], folder: Path = SERVICE_ACCOUNT) -> Access | None:
    """That of the pod that this runs in; None where it runs in none."""
    host, port = environ.get("KUBERNETES_SERVICE_HOST"), environ.get("KUBERNETES_SERVICE_PORT")
    if not host or not port or not (folder / "token").exists():
        return None
    try:
        namespace = (folder / "namespace").read_text().strip()
    except OSError:
        namespace = ""
    ca = folder / "ca.crt"
    return Access(
        server=f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}",
        tls=Tls(ca_file=ca if ca.exists() else None),
        credentials=TokenFile(folder / "token"),
        namespace=namespace or "default",
        source="the pod's service account",
    )


def find_access(
    environ: Mapping[str, str],
    *,
    kubeconfig: str = "",
    context: str = "",
    folder: Path = SERVICE_ACCOUNT,
) -> Access:
    """The first that there is; raises AccessError where there is none, or it cannot be used."""
    # YAML and its like, which a pod with a service account does not need.
    from kelp.kube.kubeconfig import read_kubeconfig  # noqa: PLC0415

    if kubeconfig:
        path = Path(kubeconfig)
        if not path.exists():
            raise AccessError(f"expected a kubeconfig in {path}; there is no such file")
        return read_kubeconfig([path], context)
    listed = [Path(p) for p in environ.get("KUBECONFIG", "").split(os.pathsep) if p]
    home = Path(environ["HOME"]) / ".kube" / "config" if environ.get("HOME") else None
    if listed:
        return read_kubeconfig(listed, context)
    if home is not None and home.exists():
        return read_kubeconfig([home], context)
    access = None if context else in_cluster(environ, folder)
    if access is None:
        raise AccessError(
            "expected a way to the Kubernetes API server; found none: name a kubeconfig "
            "(--kubeconfig, $KUBECONFIG, ~/.kube/config), or run in a pod with a service account"
        )
    return access
