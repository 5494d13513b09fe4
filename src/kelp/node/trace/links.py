"""`/var/log/containers`: the kubelet's flat folder of links to containers' logs.

    POD_NAMESPACE_CONTAINER-ID.log -> /var/log/pods/NAMESPACE_POD_UID/CONTAINER/N.log

With Docker the log under the pods folder is itself a link, to `/var/lib/docker/containers/ID/…`.
Names: https://github.com/kubernetes/kubernetes/blob/master/pkg/kubelet/kuberuntime/legacy.go
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

_NAME = re.compile(
    r"(?P<pod>[^_]+)_(?P<namespace>[^_]+)_(?P<container>.+)-(?P<id>[0-9a-f]{64})\.log"
)
_MAX_HOPS = 16  # of links to links; more is a circle


class Link(Struct, frozen=True):
    """One link of the folder. `container_id` is empty where the name has another form."""

    path: str
    target: str
    container_id: str


def hops(path: Path) -> Iterator[Path]:
    """The path itself, and what each link on the way points to; absolute, none resolved further."""
    for _ in range(_MAX_HOPS):
        path = Path(os.path.normpath(Path.cwd() / path))
        yield path
        try:
            target = path.readlink()
        except OSError:  # no link, or not there
            return
        path = path.parent / target


def links_into(folder: Path, containers_dir: Path) -> list[Link]:
    """The links that lead to a container's folder, sorted; none where there is no such folder.

    Raises OSError where the links cannot be listed.
    """
    try:
        names = sorted(os.listdir(containers_dir))  # noqa: PTH208 - names alone, there are many
    except FileNotFoundError:
        return []
    found = []
    for name in names:
        path = containers_dir / name
        try:
            target = path.readlink()
        except OSError:
            continue
        if Path(os.path.normpath(containers_dir / target)).parent == folder:
            found.append(Link(str(path), str(target), container_id(name)))
    return found


def container_id(name: str) -> str:
    """The container's id out of a link's name; empty where it has another form."""
    match = _NAME.fullmatch(name)
    return match["id"] if match else ""
