"""The files of a log as they lie on the disk now, and which of them an agent knows by what name.

A file is told by how its content begins, as the stage `collect` tells it: names change with each
rotation, inodes are used again at once.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from prometheus_client import CollectorRegistry

from kelp.agent.collect.fingerprint import digest
from kelp.agent.collect.found import Found, find
from kelp.agent.collect.links import LinkTree
from kelp.agent.collect.logfile import read_head
from kelp.agent.collect.metrics import CollectMetrics
from kelp.agent.collect.paths import LogName, Naming
from kelp.agent.collect.sources import packed_size_hint
from kelp.agent.collect.tree import Container
from kelp.base.settings import Agent


@dataclass(frozen=True)
class DiskFile:
    """A file of a log. `size` is that of the content; None where it cannot be told cheaply."""

    path: Path
    name: LogName
    device: int
    inode: int
    disk_bytes: int
    size: int | None
    head: bytes  # the content's first bytes; empty where it cannot be read
    error: str = ""  # why it cannot be read
    mtime_ns: int = 0


@dataclass(frozen=True)
class KnownFile:
    """A file as an agent knew it: its first byte has the position `base` in its log."""

    base: int
    size: int
    fingerprint: str
    fingerprint_bytes: int
    device: int = 0
    inode: int = 0
    path: str = ""
    source: str = ""  # who says so: store, spool or checkpoint

    def is_(self, file: DiskFile) -> bool:
        """Whether the content of `file` begins as that of this one did."""
        length = self.fingerprint_bytes
        if not 0 < length <= len(file.head):
            return False
        return digest(file.head[:length]) == self.fingerprint


def logs_in(folder: Path, naming: Naming) -> dict[str, list[LogName]]:
    """The logs of a folder with the names of their files, in the order of writing.

    What docker has rotated away behind a link is among them. Raises OSError.
    """
    os.scandir(folder).close()  # says why where it cannot be read
    logs = Container(folder, naming).logs() or {}
    return {
        log: sorted(logs[log], key=lambda n: (n.ordered, n.key))
        for log in sorted(logs, key=lambda log: (naming.rank(log), log))
    }


def linked_logs(agent: Agent) -> Iterator[tuple[Path, Naming]]:
    """Folders with containers' logs that links alone lead to; see kelp.agent.collect.links."""
    root, pods = (
        Path(os.path.abspath(folder))  # noqa: PTH100 - links unresolved, as the collector does
        for folder in (agent.containers_dir, agent.pods_dir)
    )
    if not agent.containers_dir or not root.is_dir():
        return
    tree = LinkTree(root, pods, CollectMetrics(CollectorRegistry()), agent.node, agent.cluster)
    for pod in tree.read_root():
        for container in tree.read_pod(pod):
            yield container.path, container.naming


def files_of(folder: Path, names: Iterable[LogName]) -> list[DiskFile]:
    """Look at each name; what is no regular file, or gone meanwhile, is left out."""
    files = []
    for name in names:
        path = folder / name.name
        try:
            found = find(path, name)
        except FileNotFoundError:
            continue
        except OSError as e:
            files.append(DiskFile(path, name, 0, 0, 0, None, b"", e.strerror or str(e)))
            continue
        if found is not None:
            files.append(_look_into(found))
    return files


def _look_into(found: Found) -> DiskFile:
    gz = found.name.gz
    file = DiskFile(
        found.path, found.name, found.device, found.inode, found.size,
        None if gz else found.size, b"", mtime_ns=found.mtime_ns,
    )  # fmt: skip
    try:
        fd = os.open(found.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as e:
        return replace(file, error=e.strerror or str(e))
    try:
        head = read_head(fd, gz=gz)
        size = (packed_size_hint(fd, found.size) or None) if gz else found.size
        return replace(file, head=head, size=size)
    except OSError as e:
        return replace(file, error=e.strerror or str(e))
    finally:
        os.close(fd)


def matched(files: Sequence[DiskFile], known: Sequence[KnownFile]) -> dict[DiskFile, KnownFile]:
    """Which known file each file on the disk is; of two copies the first name in order is it.

    Of several known files that begin alike the one with the same inode goes first, then the one
    of which more is known, then the later one.
    """
    found: dict[DiskFile, KnownFile] = {}
    taken: set[int] = set()
    for file in sorted(files, key=lambda f: (not f.name.ordered, f.name.gz)):
        fitting = [k for k in known if k.base not in taken and k.is_(file)]
        if fitting:
            same = (file.device, file.inode)
            best = max(
                fitting, key=lambda k: (k.fingerprint_bytes, (k.device, k.inode) == same, k.base)
            )
            found[file] = best
            taken.add(best.base)
    return found


def placed(
    files: Sequence[DiskFile], known: Sequence[KnownFile], found: Mapping[DiskFile, KnownFile]
) -> dict[DiskFile, KnownFile]:
    """Files that begin otherwise than when they were read, told by their place among the others.

    `files` in the order of writing. Between two neighbours that were found again there must be as
    many files that are not known as there are known files that were not found. The live file must
    have the known one's inode and size, too, for it may be a new one.
    """
    ordered = [f for f in files if f.name.ordered]
    left = [k for k in known if k not in found.values()]
    out: dict[DiskFile, KnownFile] = {}
    run: list[DiskFile] = []
    low = -1
    for file in [*ordered, None]:
        if file is not None and file not in found:
            run.append(file)
            continue
        high = found[file].base if file is not None else None
        between = [k for k in left if k.base > low and (high is None or k.base < high)]
        if len(run) == len(between):
            pairs = zip(run, between, strict=True)
            out |= {f: k for f, k in pairs if not f.name.live or _is_in_place(f, k)}
        run, low = [], low if high is None else high
    return out


def _is_in_place(file: DiskFile, known: KnownFile) -> bool:
    same = (file.device, file.inode) == (known.device, known.inode)
    return same and file.size is not None and file.size >= known.size
