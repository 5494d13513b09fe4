"""Annotations of a node's pods, by the uid that names their folders on the node.

    kelp.dev/format: combined          of all containers of the pod
    kelp.dev/format.sidecar: envoy     of the container `sidecar`, before the one above

A static pod is in the API under another uid (its mirror's) than its folder's, which is the hash in
`kubernetes.io/config.hash`. Annotations of a pod that is deleted are kept for a while, since its
last lines are still to be read. Only Kelp's own annotations are kept.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from kelp.base.backoff import Backoff
from kelp.kube.client import KubeClient
from kelp.kube.reflector import Meta, Reflector

PREFIX = "kelp.dev/"
FORMAT = PREFIX + "format"
_CONFIG_HASH = "kubernetes.io/config.hash"

MAX_GONE = 1000
"""Deleted pods whose annotations are kept; a node has some hundred pods at a time."""

_NONE: Mapping[str, str] = MappingProxyType({})


class PodAnnotations:
    """For any thread; nothing in it waits. Without answers of the API server it knows of nothing.

    Takes lists and changes from a Reflector (see kelp.kube.reflector.Sink).
    """

    def __init__(self) -> None:
        self._of: dict[str, Mapping[str, str]] = {}
        self._hash_of: dict[str, str] = {}  # a mirror pod's uid → its folder's
        self._gone: OrderedDict[str, Mapping[str, str]] = OrderedDict()

    def annotations_of(self, pod_uid: str) -> Mapping[str, str]:
        """Kelp's annotations of a pod, by its folder's uid; empty where there are none."""
        found = self._of.get(pod_uid)
        return found if found is not None else self._gone.get(pod_uid, _NONE)

    def format_for(self, pod_uid: str, container: str) -> str:
        """The format that the pod names for a container; empty for none."""
        annotations = self.annotations_of(pod_uid)
        if not annotations:
            return ""
        return annotations.get(f"{FORMAT}.{container}", annotations.get(FORMAT, "")).strip()

    def __len__(self) -> int:
        return len(self._of)

    def replace(self, objects: Sequence[Meta]) -> None:
        """See Sink."""
        uids = {_folder_uid(m) for m in objects}
        for uid in [u for u in self._of if u not in uids]:
            self._leave(uid)
        self._hash_of = {m.uid: _folder_uid(m) for m in objects if m.uid != _folder_uid(m)}
        for meta in objects:
            self._of[_folder_uid(meta)] = _ours(meta)

    def changed(self, kind: str, meta: Meta) -> None:
        """See Sink."""
        uid = _folder_uid(meta)
        if kind == "DELETED":
            self._leave(self._hash_of.pop(meta.uid, uid))
            return
        if uid != meta.uid:
            self._hash_of[meta.uid] = uid
        self._of[uid] = _ours(meta)
        self._gone.pop(uid, None)

    def _leave(self, uid: str) -> None:
        annotations = self._of.get(uid, _NONE)
        if annotations:
            self._gone[uid] = annotations
            while len(self._gone) > MAX_GONE:
                self._gone.popitem(last=False)
        self._of.pop(uid, None)


def watch_pods(
    client: KubeClient,
    node: str,
    annotations: PodAnnotations,
    on_state: Callable[[str], None] = lambda _: None,
    backoff: Backoff | None = None,
) -> Reflector:
    """What keeps `annotations` up to date with the pods of a node; to be started and stopped."""
    chosen = {"fieldSelector": f"spec.nodeName={node}"}
    return Reflector(client, "/api/v1/pods", chosen, annotations, on_state, backoff)


def _folder_uid(meta: Meta) -> str:
    return (meta.annotations or {}).get(_CONFIG_HASH, meta.uid)


def _ours(meta: Meta) -> Mapping[str, str]:
    return {k: v for k, v in (meta.annotations or {}).items() if k.startswith(PREFIX)} or _NONE
