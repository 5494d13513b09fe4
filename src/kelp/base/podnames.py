"""The names behind a pod's uid and a container's id, as the kubelet's log folders tell them.

`/var/log/pods/NAMESPACE_POD_UID` names pods, and the links `/var/log/containers` beside it
(`POD_NAMESPACE_CONTAINER-ID.log`) name containers. Both are there without any right or request; a
pod that never started a container has neither, and a sandbox ("pause") container has no link.

Names: https://github.com/kubernetes/kubernetes/blob/master/pkg/kubelet/kuberuntime/helpers.go
(`BuildPodLogsDirectory`) and legacy.go (`legacyLogSymlink`).
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from msgspec import Struct

_ID = re.compile(r"[0-9a-f]{12,64}")
# Far above what a node runs (110 pods by default); a bound against a folder of something else.
MAX_NAMES = 65_536


class PodName(Struct, frozen=True):
    """A pod, by name."""

    namespace: str
    pod: str


class PodNames:
    """An index of both folders, read once; make a new one for each sample."""

    def __init__(self, pods_dir: Path, containers_dir: Path | None = None) -> None:
        """`containers_dir`: the folder of the links; by default `containers` beside `pods_dir`."""
        self._pods = dict(filter(None, map(_pod_of, _names(pods_dir))))
        links = _names(containers_dir or pods_dir.parent / "containers")
        self._containers = dict(filter(None, map(_container_of, links)))

    def pod(self, uid: str | None) -> PodName | None:
        """The pod of a uid (a static pod's is the hash of its configuration)."""
        return self._pods.get(uid) if uid else None

    def container(self, container_id: str | None) -> str | None:
        """A container's name in its pod."""
        return self._containers.get(container_id) if container_id else None


def _names(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry, _ in zip(entries, range(MAX_NAMES), strict=False)]
    except OSError:
        return []  # then pods go by their uid, which the notes say


def _pod_of(name: str) -> tuple[str, PodName] | None:
    parts = name.split("_")
    if len(parts) != 3 or not all(parts) or not name.isascii():
        return None
    return parts[2], PodName(parts[0], parts[1])


def _container_of(name: str) -> tuple[str, str] | None:
    parts = name.removesuffix(".log").split("_")
    if len(parts) != 3 or not name.isascii():
        return None
    container, _, container_id = parts[2].rpartition("-")
    return (container_id, container) if container and _ID.fullmatch(container_id) else None
