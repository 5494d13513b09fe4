"""Plain log files by pattern: which folders they lie in, and which names are of one log.

`/var/log/kubelet.log` is a log with all its rotated files: `kubelet.log.1`, `kubelet.log.2.gz`,
`kubelet.log-20261120`, `kubelet-20261120.log` (logrotate), `audit-2026-11-20T10-11-12.123.log`
(kube-apiserver). A name counts as rotated where what is left without its suffix fits a pattern, so
`/var/log/*` takes `syslog.1` for a part of `syslog`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from kelp.agent.collect.paths import NUMBER, STAMP, LogName, Naming, rotated, without_packing
from kelp.agent.collect.tree import Container, Folder, Pod
from kelp.base.glob import is_pattern, matcher
from kelp.base.settings import File
from kelp.model.raw import Instance

_BEFORE_EXTENSION = re.compile(
    rf"(?P<stem>.+)-(?P<suffix>{STAMP.pattern})(?P<extension>\.[A-Za-z]+)"
    r"(?P<packed>\.gz|\.bz2|\.xz|\.zst)?"
)
_OTHERS = (".tmp", ".swp", ".lz4", ".lzma", ".Z", ".zip")
"""Ends of names that are no log's: half written, an editor's, or packed as Kelp cannot read."""

_MAX_FOLDERS = 1000  # that patterns may fit

_Fits = Callable[[str], bool]


@dataclass(frozen=True)
class FileNaming:
    """One folder; `files` are the patterns of names in it, with what the settings say of each."""

    folder: Path
    files: Sequence[tuple[_Fits, File]]
    node: str
    cluster: str

    @property
    def key(self) -> str:
        """See Naming."""
        return str(self.folder)

    @property
    def comes_again(self) -> bool:
        """A path may be written to again at any time."""
        return True

    def parse(self, name: str) -> LogName | None:
        """See Naming."""
        if name.endswith(_OTHERS):
            return None
        middle = _BEFORE_EXTENSION.fullmatch(name)
        if middle and self.knows(middle["stem"] + middle["extension"]):
            suffix = middle["suffix"] + (middle["packed"] or "")
            return rotated(name, middle["stem"] + middle["extension"], suffix)
        endings = list(self._endings(name))
        for log, suffix in endings:
            stem = without_packing(suffix)
            if STAMP.fullmatch(stem) or NUMBER.fullmatch(stem):
                return rotated(name, log, suffix)
        if self.knows(name) and without_packing(name) == name:
            return LogName(name, name)
        return next((rotated(name, log, suffix) for log, suffix in endings), None)

    def _endings(self, name: str) -> Iterator[tuple[str, str]]:
        """(log, suffix) of every way to cut the name in two, longest log first."""
        for at in range(len(name) - 1, 0, -1):
            if name[at] in ".-" and self.knows(name[:at]):
                yield name[:at], name[at + 1 :]

    def knows(self, log: str) -> bool:
        """See Naming."""
        return any(fits(log) for fits, _ in self.files)

    def rank(self, _log: str) -> int:
        """Logs of one folder have nothing to do with each other."""
        return 0

    def instance(self, folder: Path, log: str) -> Instance:
        """See Naming."""
        filename = str(folder / log)
        file = next((f for fits, f in self.files if fits(log)), File(path=filename))
        labels = {
            **file.labels,
            "dataset": file.dataset,
            "cluster": self.cluster,
            "node": self.node,
            "filename": filename,
        }
        return Instance(filename, {k: v for k, v in labels.items() if v})


class _Everywhere(Folder):
    """The root of patterns: it is always there, and read at each scan."""

    def __init__(self) -> None:
        super().__init__(Path("/"))
        self.watched = True

    def changed(self, _now_ns: int) -> bool:
        """See Folder."""
        return True


class FileTree:
    """The folders that the patterns' folders fit; see kelp.agent.collect.tree.Tree."""

    def __init__(self, files: Sequence[File], node: str, cluster: str) -> None:
        self.root: Folder = _Everywhere()
        self.pods: dict[str, Pod] = {}
        self._files = files
        self._node, self._cluster = node, cluster

    def away(self) -> bool:
        """Never: a folder that is not there yet is found when it comes."""
        return False

    def read_root(self) -> list[Pod]:
        """Folders that are new or gone; each has itself for its only folder with files."""
        found = self._folders()
        gone = [pod for path, pod in self.pods.items() if path not in found]
        for pod in gone:
            pod.gone = True
            del self.pods[str(pod.path)]
        new = []
        for path, files in found.items():
            if path not in self.pods:
                pod = self.pods[path] = Pod(Path(path))
                pod.containers[""] = Container(pod.path, self._naming(pod.path, files))
                new.append(pod)
        return gone + new

    def read_pod(self, pod: Pod) -> list[Container]:
        """The folder itself, to be looked at."""
        for container in pod.containers.values():
            container.gone = pod.gone
        return list(pod.containers.values())

    def place(self, key: str) -> tuple[Path, Naming] | None:
        """See Tree."""
        folder = Path(key)
        files = [f for f in self._files if _may_lie_in(f, folder)]
        return (folder, self._naming(folder, files)) if files else None

    def _naming(self, folder: Path, files: Sequence[File]) -> FileNaming:
        fitting = [(matcher(Path(f.path).name), f) for f in files]
        return FileNaming(folder, fitting, self._node, self._cluster)

    def _folders(self) -> dict[str, list[File]]:
        found: dict[str, list[File]] = {}
        for file in self._files:
            for folder in _expanded(Path(file.path).parent):
                if folder in found or len(found) < _MAX_FOLDERS:
                    found.setdefault(folder, []).append(file)
        return found


def _may_lie_in(file: File, folder: Path) -> bool:
    pattern = Path(file.path).parent
    if len(pattern.parts) != len(folder.parts):
        return False
    return all(matcher(p)(n) for p, n in zip(pattern.parts[1:], folder.parts[1:], strict=True))


def _expanded(pattern: Path) -> list[str]:
    """The folders that a pattern fits, sorted."""
    folders = ["/"]
    for part in pattern.parts[1:]:
        if not is_pattern(part):
            folders = [os.path.join(f, part) for f in folders]  # noqa: PTH118 - many, as text
            continue
        fits = matcher(part)
        folders = [e.path for f in folders for e in _entries(f) if fits(e.name)]
    return sorted(f for f in folders if os.path.isdir(f))  # noqa: PTH112 - as above


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return [e for e in entries if e.is_dir()]
    except OSError:
        return []
