"""Streams: the labels that identify where records come from, and the id that stands for them.

Label names are those of the query surface (Loki's customary short ones), so that nothing has to be
translated between the node and the answer:

    dataset, format, cluster, namespace, pod, pod_uid, container, restart, node, stream, filename,
    app, unit, boot_id

A label with an empty value is the same as no label, as in Loki and Prometheus; it is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import TypeAlias

Labels: TypeAlias = Mapping[str, str]

DATASET_APP = "app"  # what containers write; every other dataset comes with its source
DATASET_NODE = "node"  # what the node's own services write
DATASET_KERNEL = "kernel"

LABEL_NAMES = (
    "dataset",
    "format",
    "cluster",
    "namespace",
    "pod",
    "pod_uid",
    "container",
    "restart",
    "node",
    "stream",
    "filename",
    "app",
    "unit",
    "boot_id",
)


class Stream:
    """One label set; immutable, ordered by name, with its id computed once."""

    __slots__ = ("id", "labels")

    def __init__(self, labels: Labels, tenant: str = "") -> None:
        self.labels: dict[str, str] = {k: labels[k] for k in sorted(labels) if labels[k]}
        self.id = stream_id(self.labels, tenant)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Stream) and self.labels == other.labels

    def __hash__(self) -> int:
        return self.id

    def __repr__(self) -> str:
        inner = ", ".join(f'{k}="{v}"' for k, v in self.labels.items())
        return f"{{{inner}}}"

    def of_tenant(self, tenant: str) -> Stream:
        """The same labels under another tenant: a different stream, with a different id."""
        return Stream(self.labels, tenant)


def stream_id(labels: Labels, tenant: str = "") -> int:
    """64 bits that stand for a tenant's label set; the same on every machine and in every run.

    The names and values are joined with bytes that UTF-8 never contains, so no two different
    label sets give the same input to the hash.
    """
    pairs: Iterable[tuple[str, str]] = sorted((k, v) for k, v in labels.items() if v)
    text = b"\xff".join(k.encode() + b"\xfe" + v.encode() for k, v in pairs)
    digest = blake2b(tenant.encode() + b"\xfd" + text, digest_size=8).digest()
    return int.from_bytes(digest, "little")
