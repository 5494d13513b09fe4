"""Containers that are found by their links in /var/log/containers alone.

The kubelet makes a flat link for each container, POD_NAMESPACE_CONTAINER-ID.log. Where it leads
into the pods folder, the container is collected from there, and the link is left alone. Two others
are followed:

    → /var/lib/docker/containers/ID/ID-json.log      docker, without the kubelet's pods folder
    → …/NAMESPACE_POD_UID/CONTAINER/0.log            in a pods folder that is not `agent.pods_dir`

In the second form names say all; in the first the pod's uid and the restart are in docker's own
`config.v2.json`, beside the log. A link that is gone does not end its container's log: that is read
as long as its folder is there.

Names: https://github.com/kubernetes/kubernetes/blob/master/pkg/kubelet/kuberuntime/legacy.go
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

import msgspec

from kelp.agent.collect.metrics import CollectMetrics
from kelp.agent.collect.paths import (
    LogName,
    Naming,
    PodNaming,
    parse_log_name,
    parse_pod_folder,
    rotated,
)
from kelp.agent.collect.tree import Container, Folder, Pod
from kelp.model.raw import Instance
from kelp.model.stream import DATASET_APP

_LINK = re.compile(
    r"(?P<pod>[a-z0-9.-]{1,253})_(?P<namespace>[a-z0-9-]{1,63})_"
    r"(?P<container>[a-z0-9.-]{1,253})-(?P<id>[0-9a-f]{12,64})\.log"
)
_MAX_HOPS = 8
_MAX_CONFIG_BYTES = 4 << 20
_MAX_FOLDERS = 10_000

_UID = "io.kubernetes.pod.uid"
_RESTARTS = "annotation.io.kubernetes.container.restartCount"


@dataclass(frozen=True, slots=True)
class LinkNaming:
    """The folder of one container of docker's; `link` is the path by which it was found."""

    link: Path
    folder: Path
    live: str
    uid: str
    restart: str
    node: str
    cluster: str

    @property
    def key(self) -> str:
        """See Naming; holds all that has to be known of a container that is gone."""
        return "@".join((self.link.name, self.uid, self.restart, str(self.folder)))

    @property
    def comes_again(self) -> bool:
        """An id is never used again."""
        return False

    def parse(self, name: str) -> LogName | None:
        """See Naming."""
        if name == self.live:
            return LogName(name, self.live)
        if not name.startswith(f"{self.live}.") or name.endswith(".tmp"):
            return None
        return rotated(name, self.live, name[len(self.live) + 1 :])

    def knows(self, log: str) -> bool:
        """See Naming."""
        return log == self.live

    def rank(self, _log: str) -> int:
        """There is one log."""
        return 0

    def instance(self, _folder: Path, log: str) -> Instance:
        """See Naming."""
        names = _LINK.fullmatch(self.link.name)
        assert names is not None
        labels = {
            "dataset": DATASET_APP,
            "cluster": self.cluster,
            "namespace": names["namespace"],
            "pod": names["pod"],
            "pod_uid": self.uid,
            "container": names["container"],
            "restart": self.restart,
            "node": self.node,
            "filename": str(self.link),
        }
        return Instance(f"{self.key}/{log}", {k: v for k, v in labels.items() if v})


@dataclass(frozen=True, slots=True)
class ElsewhereNaming(PodNaming):
    """A container's folder in another pods folder than the agent's."""

    folder: Path

    @property
    def key(self) -> str:
        """See Naming; the path, whose last two parts name pod and container."""
        return str(self.folder)

    def instance(self, folder: Path, log: str) -> Instance:
        """See Naming."""
        labels = PodNaming.instance(self, folder, log).labels
        return Instance(f"{self.key}/{log}", labels)


class _Links(Folder):
    """The folder of links; as long as some lead to nothing, they are looked at again."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.dangling: set[str] = set()

    def changed(self, now_ns: int) -> bool:
        """See Folder."""
        return super().changed(now_ns) or bool(self.dangling)


class LinkTree:
    """The folders that the links lead to; see kelp.agent.collect.tree.Tree."""

    def __init__(
        self, root: Path, pods_dir: Path, metrics: CollectMetrics, node: str, cluster: str
    ) -> None:
        self._links = _Links(root)
        self.root: Folder = self._links
        self.pods: dict[str, Pod] = {}
        self._pods_dir = pods_dir
        self._metrics = metrics
        self._node, self._cluster = node, cluster
        self._seen: set[str] = set()  # links that were followed, or need not be

    def away(self) -> bool:
        """See Tree."""
        self.root.gone = not self.root.path.is_dir()
        return self.root.gone

    def read_root(self) -> list[Pod]:
        """See Tree; what a link led to that is gone stays as long as its folder does."""
        listed = self.root.names()
        if listed is None or self.root.gone:
            return []
        self._seen &= set(listed)
        self._links.dangling &= set(listed)
        changed = [pod for pod in self.pods.values() if not pod.path.is_dir()]
        for name in sorted(set(listed) - self._seen):
            pod = self._follow(name)
            if pod is not None:
                changed.append(pod)
        return changed

    def _follow(self, name: str) -> Pod | None:
        """The folder that a link leads to, where it is a new one."""
        if _LINK.fullmatch(name) is None:
            self._seen.add(name)
            self._metrics.ignored.labels("container_link").inc()
            return None
        naming = self._naming(self.root.path / name)
        if naming is None:
            return None
        self._seen.add(name)
        self._links.dangling.discard(name)
        folder = naming[0]
        if str(folder) in self.pods or len(self.pods) >= _MAX_FOLDERS:
            return None
        pod = self.pods[str(folder)] = Pod(folder)
        pod.containers[""] = Container(folder, naming[1])
        return pod

    def _naming(self, link: Path) -> tuple[Path, Naming] | None:
        """Folder and naming; None where the link is none of ours, or leads to nothing yet."""
        for hop in _hops(link):
            if _lies_in(hop, self._pods_dir):
                self._seen.add(link.name)
                self._links.dangling.discard(link.name)
                return None
            naming = self._elsewhere(hop.parent)
            if hop != link and naming and parse_log_name(hop.name) and hop.parent.is_dir():
                return hop.parent, naming
        target = Path(os.path.realpath(link))
        if target == link or not target.is_file():
            self._links.dangling.add(link.name)
            return None
        uid, restart = _told_by_docker(target.parent)
        return target.parent, LinkNaming(
            link, target.parent, target.name, uid, restart, self._node, self._cluster
        )

    def read_pod(self, pod: Pod) -> list[Container]:
        """See Tree."""
        pod.gone = not pod.path.is_dir()
        if pod.gone:
            self.pods.pop(str(pod.path), None)
        for container in pod.containers.values():
            container.gone = pod.gone
        return list(pod.containers.values())

    def place(self, key: str) -> tuple[Path, Naming] | None:
        """See Tree."""
        parts = key.split("@", 3)
        if len(parts) == 4 and _LINK.fullmatch(parts[0]):
            link, uid, restart, folder = parts
            live = f"{Path(folder).name}-json.log"
            naming = LinkNaming(
                self.root.path / link, Path(folder), live, uid, restart, self._node, self._cluster
            )
            return naming.folder, naming
        elsewhere = self._elsewhere(Path(key)) if key.startswith("/") else None
        return None if elsewhere is None else (elsewhere.folder, elsewhere)

    def _elsewhere(self, folder: Path) -> ElsewhereNaming | None:
        identity = parse_pod_folder(folder.parent.name)
        if identity is None:
            return None
        return ElsewhereNaming(identity, folder.name, self._node, self._cluster, folder)


def _hops(link: Path) -> list[Path]:
    """The link, and what each link on the way leads to; the first is absolute, so all are."""
    hops = [link]
    while len(hops) < _MAX_HOPS:
        try:
            target = os.readlink(hops[-1])  # noqa: PTH115 - joined with its folder as text
        except OSError:
            break
        hops.append(Path(os.path.normpath(hops[-1].parent / target)))
    return hops


def _lies_in(path: Path, folder: Path) -> bool:
    """By its name, or by where its folder really is."""
    if path.is_relative_to(folder):
        return True
    return Path(os.path.realpath(path.parent)).is_relative_to(os.path.realpath(folder))


class _DockerConfig(msgspec.Struct):
    labels: dict[str, str] | None = msgspec.field(name="Labels", default=None)


class _Docker(msgspec.Struct):
    config: _DockerConfig = msgspec.field(name="Config", default_factory=_DockerConfig)


def _told_by_docker(folder: Path) -> tuple[str, str]:
    """(the pod's uid, the container's restart); empty where docker's own notes cannot be read."""
    try:
        with (folder / "config.v2.json").open("rb") as file:
            found = msgspec.json.decode(file.read(_MAX_CONFIG_BYTES), type=_Docker)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return "", ""
    labels = found.config.labels or {}
    uid, restart = labels.get(_UID, ""), labels.get(_RESTARTS, "")
    return ("" if "@" in uid or "/" in uid else uid), restart if restart.isdigit() else ""
