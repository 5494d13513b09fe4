"""What the kubelet's paths say: NAMESPACE_POD_UID/CONTAINER/RESTART.log and its rotated files.

Everything that identifies a container instance comes from here and from nothing else: no API
server is asked. The module reads names only; it never touches a disk.

Names: https://github.com/kubernetes/kubernetes/blob/master/pkg/kubelet/kuberuntime/helpers.go
(`BuildPodLogsDirectory`, `BuildContainerLogsDirectory`) and pkg/kubelet/logs (rotation).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeAlias

from kelp.agent.collect.unpacking import SUFFIXES
from kelp.model.raw import Instance
from kelp.model.stream import DATASET_APP

SortKey: TypeAlias = tuple[int, str, int]

_NAME = re.compile(r"(?P<restart>\d{1,9})\.log(?:[.-](?P<suffix>[^/]+))?")
# The kubelet's YYYYMMDD-HHMMSS, logrotate's dateext (and with %s), lumberjack's (kube-apiserver).
STAMP = re.compile(r"\d{8}(?:-\d{1,6})?|\d{10}|\d{4}-\d\d-\d\d(?:T\d\d-\d\d-\d\d\.\d{3})?")
NUMBER = re.compile(r"\d{1,4}")  # logrotate's default: the higher, the older
_NO_DIGIT = re.compile(r"\D")
_STATIC_UID = re.compile(r"[0-9a-f]{32}")

_NUMBERED, _STAMPED, _LIVE = 0, 1, 2


@dataclass(frozen=True, slots=True)
class PodFolder:
    """The three parts of a pod folder's name; `uid` of a static pod is its configuration's hash."""

    namespace: str
    pod: str
    uid: str

    @property
    def static(self) -> bool:
        """Whether the same name may come again for a new pod: a hash is no unique id."""
        return _STATIC_UID.fullmatch(self.uid) is not None


@dataclass(frozen=True, slots=True)
class LogName:
    """A log file's name, taken apart. Sorting by `key` gives the order of writing.

    `ordered` is False for a suffix that says nothing about time (`0.log.bak`): such a file may
    hold the missing rest of a known one, but is never read on its own account.
    """

    name: str
    restart: str  # which of the folder's logs it is of: a restart, or a live file's name
    key: SortKey = field(default=(_LIVE, "", 0))
    gz: bool = False  # compressed, as one of unpacking.SUFFIXES says
    ordered: bool = True

    @property
    def live(self) -> bool:
        """Whether this is the name that the runtime writes to."""
        return self.key[0] == _LIVE

    @property
    def stamped(self) -> bool:
        """Whether the name tells when the file was rotated, for good."""
        return self.key[0] == _STAMPED


def parse_pod_folder(name: str) -> PodFolder | None:
    """The parts of `NAMESPACE_POD_UID`; None where the name has another form."""
    parts = name.split("_")
    if len(parts) != 3 or not all(parts) or not name.isascii():
        return None
    return PodFolder(*parts)


def parse_log_name(name: str) -> LogName | None:
    """The parts of a log file's name; None for what is none, or is still being written (`.tmp`).

    Two files with one time stamp: the compressed one was there first, since the kubelet gives a
    name to a file before the one that it will compress at the next rotation.
    """
    match = _NAME.fullmatch(name)
    if match is None or not name.isascii() or name.endswith(".tmp"):
        return None
    restart, suffix = match["restart"], match["suffix"]
    return LogName(name, restart) if suffix is None else rotated(name, restart, suffix)


def rotated(name: str, log: str, suffix: str) -> LogName:
    """The name of a rotated file of a log; `suffix` is what its rotation added to the live name."""
    stem = without_packing(suffix)
    gz = stem != suffix
    if STAMP.fullmatch(stem):
        return LogName(name, log, (_STAMPED, _NO_DIGIT.sub("", stem), not gz), gz)
    if NUMBER.fullmatch(stem):
        return LogName(name, log, (_NUMBERED, f"{9999 - int(stem):04}", not gz), gz)
    return LogName(name, log, (_NUMBERED, "", not gz), gz, ordered=False)


def without_packing(name: str) -> str:
    """The name without what compressing it has added."""
    ending = next((e for e in SUFFIXES if name.endswith(e)), "")
    return name.removesuffix(ending)


def make_instance(
    folder: PodFolder, container: str, restart: str, filename: str, *, node: str, cluster: str
) -> Instance:
    """The instance behind a log file; empty labels are left out.

    `filename` is the absolute path of the live file. The key holds no byte that a path part may
    hold, so different instances never share one.
    """
    labels = {
        "dataset": DATASET_APP,
        "cluster": cluster,
        "namespace": folder.namespace,
        "pod": folder.pod,
        "pod_uid": folder.uid,
        "container": container,
        "restart": restart,
        "node": node,
        "filename": filename,
    }
    key = "/".join((folder.namespace, folder.pod, folder.uid, container, restart))
    return Instance(key, {k: v for k, v in labels.items() if v})


class Naming(Protocol):
    """What names in one folder mean: which logs there are, and which files are theirs."""

    @property
    def key(self) -> str:
        """Names the folder for ever: the logs' checkpoints have it, `/` and the log's own name."""

    @property
    def comes_again(self) -> bool:
        """Whether a log that is gone may come again, so that its position has to be kept."""

    def parse(self, name: str) -> LogName | None:
        """Whose file it is; None for nobody's."""

    def knows(self, log: str) -> bool:
        """Whether the folder may have such a log."""

    def rank(self, log: str) -> int:
        """Of logs that follow each other the later one has the higher rank; else all have 0."""

    def instance(self, folder: Path, log: str) -> Instance:
        """Who writes it."""


@dataclass(frozen=True, slots=True)
class PodNaming:
    """A container's folder under the pods folder."""

    pod: PodFolder
    container: str
    node: str
    cluster: str

    @property
    def key(self) -> str:
        """See Naming."""
        return "/".join((self.pod.namespace, self.pod.pod, self.pod.uid, self.container))

    @property
    def comes_again(self) -> bool:
        """A static pod that is removed and added again has the same uid; restarts begin at 0."""
        return self.pod.static

    def parse(self, name: str) -> LogName | None:
        """See Naming."""
        return parse_log_name(name)

    def knows(self, log: str) -> bool:
        """See Naming."""
        return log.isdigit()

    def rank(self, log: str) -> int:
        """See Naming."""
        return int(log)

    def instance(self, folder: Path, log: str) -> Instance:
        """See Naming."""
        filename = str(folder / f"{log}.log")
        return make_instance(
            self.pod, self.container, log, filename, node=self.node, cluster=self.cluster
        )
