"""Which container folders there are, and which of them changed.

The tree is pods folder / pod / container. inotify says where names changed; the periodic scan says
it too, for folders that inotify cannot see, and is cheap because a folder whose modification time
has not changed is not read again. Symlinked folders are followed, and so are links in the place of
log files: what was rotated away behind such a link lies in another folder, which belongs to the one
that has the link.
"""

from __future__ import annotations

import logging
import os
from collections import defaultdict
from pathlib import Path
from typing import Protocol

from kelp.agent.collect.linked import link_target, rotated_behind
from kelp.agent.collect.metrics import CollectMetrics
from kelp.agent.collect.paths import LogName, Naming, PodFolder, PodNaming, parse_pod_folder

RECENT_NS = 2_000_000_000
"""A folder changed so lately is read again at the next scan: a further change within one tick of
the file system's clock would leave its modification time as it is."""

_log = logging.getLogger(__name__)


class Folder:
    """A folder of the tree, and what was known of it when it was last read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.watched = False
        self.gone = False
        self._seen: tuple[int, int, int] | None = None

    def changed(self, now_ns: int) -> bool:
        """Whether names may have changed since the last call, by the folder's own times.

        Notes in passing whether the folder is gone, or is another one under the same name, whose
        watch has to be set anew.
        """
        try:
            status = self.path.stat()
        except OSError:
            self.gone = True
            return True
        seen = (status.st_dev, status.st_ino, status.st_mtime_ns)
        if self._seen is not None and self._seen[:2] != seen[:2]:
            self.watched = False
        unchanged = seen == self._seen and not self.gone
        self.gone = False
        self._seen = seen
        if now_ns - status.st_mtime_ns < RECENT_NS:
            self._seen = (*seen[:2], -1)
        return not unchanged

    def names(self) -> list[str] | None:
        """Names in the folder, none where it is gone; None where it cannot be read."""
        try:
            names = os.listdir(self.path)  # noqa: PTH208 (Path.iterdir makes a Path of each name)
        except (FileNotFoundError, NotADirectoryError):
            self.gone = True
            return []
        except OSError as e:
            _log.warning("cannot read a folder", extra={"path": self.path, "error": e})
            return None
        self.gone = False
        return names


def _mtime_ns(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


class Container(Folder):
    """A folder with log files: a container's."""

    def __init__(self, path: Path, naming: Naming) -> None:
        super().__init__(path)
        self.naming = naming
        self.behind: dict[str, Folder] = {}  # folders that links in this one lead to

    def changed(self, now_ns: int) -> bool:
        """See Folder; also where names may have changed in a folder behind a link."""
        behind = [folder.changed(now_ns) for folder in self.behind.values()]
        return super().changed(now_ns) or any(behind)

    def times(self) -> tuple[int, ...]:
        """When names last changed in the folder and in those behind links, ns; 0 where gone."""
        return tuple(_mtime_ns(path) for path in (self.path, *map(Path, self.behind)))

    def logs(self) -> dict[str, list[LogName]] | None:
        """The files in the folder and behind its links, by log; None where it cannot be read."""
        listed = [] if self.gone else self.names()
        if listed is None:
            return None
        found: dict[str, list[LogName]] = defaultdict(list)
        behind: dict[str, Folder] = {}
        for text in listed:
            name = self.naming.parse(text)
            if name is None:
                continue
            found[name.restart].append(name)
            target = link_target(self.path / text) if name.live else None
            if target is not None:
                found[name.restart] += rotated_behind(target, name.restart)
                folder = str(target.parent)
                behind[folder] = self.behind.get(folder) or Folder(target.parent)
        self.behind = behind
        return found


class Pod(Folder):
    """A folder with such folders: a pod's."""

    def __init__(self, path: Path, identity: PodFolder | None = None) -> None:
        super().__init__(path)
        self.identity = identity
        self.containers: dict[str, Container] = {}


class Tree(Protocol):
    """Where log files may lie: a root, folders, and the folders with files in these."""

    root: Folder
    pods: dict[str, Pod]

    def away(self) -> bool:
        """Whether the root itself is gone, which says nothing of what was in it."""

    def read_root(self) -> list[Pod]:
        """Folders that are new or gone; a gone one is forgotten here."""

    def read_pod(self, pod: Pod) -> list[Container]:
        """Folders with files that are new, gone, or to be looked at."""

    def place(self, key: str) -> tuple[Path, Naming] | None:
        """The folder behind a Naming's key, wherever it is gone to; None for no such key."""


class PodTree:
    """The folders under the pods folder."""

    def __init__(self, root: Path, metrics: CollectMetrics, node: str, cluster: str) -> None:
        self.root = Folder(root)
        self.pods: dict[str, Pod] = {}
        self._node, self._cluster = node, cluster
        self._metrics = metrics
        self._ignored: set[str] = set()

    def away(self) -> bool:
        """See Tree."""
        self.root.gone = not self.root.path.is_dir()
        return self.root.gone

    def read_root(self) -> list[Pod]:
        """See Tree."""
        listed = self.root.names()
        if listed is None or self.root.gone:
            return []
        names = set(listed)
        gone = [p for n, p in self.pods.items() if n not in names]
        for pod in gone:
            pod.gone = True
            del self.pods[pod.path.name]
        new = [self._new_pod(n) for n in sorted(names) if n not in self.pods]
        self._ignored &= names
        return gone + [p for p in new if p is not None]

    def _new_pod(self, name: str) -> Pod | None:
        path = self.root.path / name
        if name in self._ignored:
            return None
        identity = parse_pod_folder(name)
        if identity is None or not path.is_dir():
            self._ignored.add(name)
            self._ignore(path)
            return None
        pod = self.pods[name] = Pod(path, identity)
        return pod

    def _ignore(self, path: Path) -> None:
        self._metrics.ignored.labels("pod_folder").inc()
        _log.warning(
            "ignored: expected a folder NAMESPACE_POD_UID",
            extra={"path": str(path).encode("ascii", "backslashreplace").decode()},
        )

    def read_pod(self, pod: Pod) -> list[Container]:
        """See Tree."""
        listed = [] if pod.gone else pod.names()
        if listed is None:
            return []
        names = set(listed)
        gone = [c for n, c in pod.containers.items() if n not in names]
        for container in gone:
            container.gone = True
            del pod.containers[container.path.name]
        new = []
        for name in sorted(names - pod.containers.keys()):
            if name.isascii() and (pod.path / name).is_dir():
                assert pod.identity is not None
                naming = PodNaming(pod.identity, name, self._node, self._cluster)
                container = pod.containers[name] = Container(pod.path / name, naming)
                new.append(container)
        return gone + new

    def place(self, key: str) -> tuple[Path, Naming] | None:
        """See Tree."""
        parts = key.split("/")
        if len(parts) != 4:
            return None
        *pod, container = parts
        folder = self.root.path / "_".join(pod) / container
        return folder, PodNaming(PodFolder(*pod[:3]), container, self._node, self._cluster)
