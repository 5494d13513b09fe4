"""What settings mean together: the mistakes that no single value shows.

Each rule is a function of the whole Settings that yields (key, text): the key whose place in the
file is shown, and what is wrong there. Nothing here opens a file or a socket.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import TypeAlias
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import re2

from kelp.base.formats import TEXT, UnknownFormatError, format_of
from kelp.base.mask import mask_url
from kelp.base.settings import FormatRule, Multiline, Settings
from kelp.model.stream import LABEL_NAMES

Finding: TypeAlias = tuple[str, str]

_SERVICE = re.compile(r"[a-zA-Z0-9@_-]{1,256}")  # what a kubelet lets through
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


def check(settings: Settings) -> Iterator[Finding]:
    """Everything that is wrong; nothing where the settings can be used."""
    yield from _listeners(settings)
    yield from _certificates(settings)
    yield from _store(settings)
    yield from _agent(settings)


def is_loopback(listen: str) -> bool:
    """Whether only this machine can reach a host:port."""
    host = split_listen(listen)[0]
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def split_listen(listen: str) -> tuple[str, int]:
    """(host, port) of `host:port` or `[v6]:port`; raises ValueError where it is neither.

    An empty host is every address ("").
    """
    host, colon, port = listen.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ValueError(f'expected host:port with a port up to 65535; got "{listen}"')
    if ":" in host and not bracketed:
        raise ValueError(f'expected an IPv6 address in brackets, [::1]:3170; got "{listen}"')
    return (host[1:-1] if bracketed else host), int(port)


def _listeners(s: Settings) -> Iterator[Finding]:
    for key, listen in (("server.listen", s.server.listen), ("agent.listen", s.agent.listen)):
        try:
            split_listen(listen)
        except ValueError as e:
            yield key, str(e)
            return
    if not (is_loopback(s.server.listen) or s.server.tls.cert_file or s.server.insecure_listen):
        yield (
            "server.listen",
            f'expected a loopback address, or TLS; got "{s.server.listen}" without '
            "server.tls.cert_file: set it, or server.insecure_listen behind a proxy that ends TLS",
        )


def _certificates(s: Settings) -> Iterator[Finding]:
    pairs = (
        ("server.tls", s.server.tls.cert_file, s.server.tls.key_file),
        ("agent.ship", s.agent.ship.cert_file, s.agent.ship.key_file),
    )
    for section, cert, key in pairs:
        if bool(cert) != bool(key):
            there, missing = ("cert_file", "key_file") if cert else ("key_file", "cert_file")
            yield f"{section}.{there}", f"expected {section}.{missing} beside it; got none"
    if s.server.tls.client_ca_file and not s.server.tls.cert_file:
        yield (
            "server.tls.client_ca_file",
            "expected server.tls.cert_file beside it (clients show certificates over TLS only)",
        )


def _store(s: Settings) -> Iterator[Finding]:
    scheme = urlsplit(s.store.url).scheme if s.store.url else "chdb"
    if scheme not in ("chdb", "http", "https"):
        yield (
            "store.url",
            "expected chdb:///path, http://host:port or https://host:port; "
            f'got "{mask_url(s.store.url)}"',
        )
    elif scheme == "chdb" and s.store.cluster:
        yield (
            "store.cluster",
            "expected a store.url of a ClickHouse cluster; got the embedded store",
        )
    elif scheme != "chdb":
        for name in ("max_bytes", "encryption_key_file"):
            if getattr(s.store, name):
                yield (
                    f"store.{name}",
                    "holds for the embedded store only; set it in ClickHouse itself",
                )


def _multiline(rules: Sequence[Multiline]) -> Iterator[Finding]:
    key = "agent.multiline"
    options = re2.Options()
    options.log_errors = False  # what is wrong is told once, with its place
    for number, rule in enumerate(rules, 1):
        patterns = (rule.start_pattern, rule.continue_pattern, rule.unfinished_pattern)
        given = [p for p in patterns if p]
        if len(given) != 1:
            yield (
                key,
                "expected one of start_pattern, continue_pattern and unfinished_pattern "
                f"in rule {number}; got {len(given)}",
            )
        for pattern in given:
            try:
                re2.compile(pattern.encode(), options)
            except re2.error as e:
                reason = e.args[0].decode() if isinstance(e.args[0], bytes) else e
                yield key, f'expected a regular expression of RE2; got "{pattern}": {reason}'


def _formats(rules: Sequence[FormatRule]) -> Iterator[Finding]:
    for number, rule in enumerate(rules, 1):
        if rule.format != TEXT:
            try:
                format_of(rule.format)
            except UnknownFormatError as e:
                yield "agent.formats", f"{e} in rule {number}"


def _agent(s: Settings) -> Iterator[Finding]:
    yield from _multiline(s.agent.multiline)
    yield from _formats(s.agent.formats)
    url = s.agent.ship.url
    if url and urlsplit(url).scheme not in ("http", "https"):
        yield "agent.ship.url", f'expected http://host:port or https://host:port; got "{url}"'
    yield from _files(s)
    yield from _node_logs(s)
    spool = s.agent.spool
    if spool.segment_bytes > spool.max_bytes:
        yield (
            "agent.spool.segment_bytes",
            f"expected at most agent.spool.max_bytes ({spool.max_bytes}); "
            f"got {spool.segment_bytes}",
        )


def _node_logs(s: Settings) -> Iterator[Finding]:
    node_logs = s.agent.node_logs
    for unit in node_logs.units:
        if not _SERVICE.fullmatch(unit.removesuffix(".service")):
            yield (
                "agent.node_logs.units",
                f'expected a service such as kubelet, without a pattern; got "{unit}"',
            )
    if node_logs.enabled and node_logs.poll_interval_s < 1:
        yield (
            "agent.node_logs.poll_interval_s",
            f"expected 1 or more; got {node_logs.poll_interval_s:g}",
        )


def _files(s: Settings) -> Iterator[Finding]:
    for file in s.agent.files:
        name = PurePosixPath(file.path).name
        if not file.path.startswith("/") or not name or ".." in PurePosixPath(file.path).parts:
            yield "agent.files", f'expected an absolute path of a file; got "{file.path}"'
        for label in file.labels:
            if not _LABEL.fullmatch(label) or label in LABEL_NAMES:
                yield (
                    "agent.files",
                    "expected a label of letters, digits and _ that Kelp does not set; "
                    f'got "{label}"',
                )
    if s.agent.zone:
        try:
            ZoneInfo(s.agent.zone)
        except (ValueError, KeyError, OSError):  # no name; no such zone; a folder
            yield "agent.zone", f'expected a zone as in Europe/Berlin; got "{s.agent.zone}"'
