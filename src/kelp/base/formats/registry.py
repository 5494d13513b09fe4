"""All formats, in the order in which a line is compared with them: the first that fits counts.

What is told by little (any JSON, any logfmt) stands behind what is told by much.
"""

from __future__ import annotations

from kelp.base.formats import (
    auditd,
    coredns,
    envoy,
    etcd,
    general,
    haproxy,
    klog,
    network,
    nginx,
    traefik,
)
from kelp.base.formats.format import Format
from kelp.base.formats.recognise import recognise as _recognise

# The name that says: not of any format.
TEXT = "text"

FORMATS: tuple[Format, ...] = (
    *nginx.FORMATS,
    *traefik.FORMATS,
    *envoy.FORMATS,
    *haproxy.FORMATS,
    *klog.FORMATS,
    *coredns.FORMATS,
    *etcd.FORMATS,
    *auditd.FORMATS,
    *network.FORMATS,
    *general.FORMATS,
)

_BY_NAME = {f.name: f for f in FORMATS}


class UnknownFormatError(ValueError):
    """No format has this name; says which names there are."""


def format_of(name: str) -> Format:
    """The format of a name; raises UnknownFormatError."""
    found = _BY_NAME.get(name)
    if found is None:
        raise UnknownFormatError(
            f"expected one of {', '.join(sorted([*_BY_NAME, TEXT]))}; got {name!r}"
        )
    return found


def is_format(name: str) -> bool:
    """Whether a format has this name."""
    return name in _BY_NAME


def recognise(line: bytes) -> str:
    """The name of a line's format; empty where it is none that is known. For samples only."""
    return _recognise(line, FORMATS)
