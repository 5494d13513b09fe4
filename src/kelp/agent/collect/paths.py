"""What the kubelet's paths say: NAMESPACE_POD_UID/CONTAINER/RESTART.log and its rotated files.

Everything that identifies a container instance comes from here and from nothing else: no API
server is asked. The module reads names only; it never touches a disk.

Names: https://github.com/kubernetes/kubernetes/blob/master/pkg/kubelet/kuberuntime/helpers.go
(`BuildPodLogsDirectory`, `BuildContainerLogsDirectory`) and pkg/kubelet/logs (rotation).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TypeAlias

from kelp.model.raw import Instance
from kelp.model.stream import DATASET_APP

SortKey: TypeAlias = tuple[int, str, int]

_NAME = re.compile(r"(?P<restart>\d{1,9})\.log(?:[.-](?P<suffix>[^/]+))?")
_STAMP = re.compile(r"\d{8}(?:-\d{1,6})?")  # the kubelet's YYYYMMDD-HHMMSS, logrotate's dateext
_NUMBER = re.compile(r"\d{1,4}")  # logrotate's default: the higher, the older
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
    restart: str
    key: SortKey = field(default=(_LIVE, "", 0))
    gz: bool = False
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
    if suffix is None:
        return LogName(name, restart)
    gz = suffix.endswith(".gz")
    stem = suffix.removesuffix(".gz")
    if _STAMP.fullmatch(stem):
        return LogName(name, restart, (_STAMPED, stem, not gz), gz)
    if _NUMBER.fullmatch(stem):
        return LogName(name, restart, (_NUMBERED, f"{9999 - int(stem):04}", not gz), gz)
    return LogName(name, restart, (_NUMBERED, "", not gz), gz, ordered=False)


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
