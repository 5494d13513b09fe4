"""The node's network namespaces, by their processes: one process's files show all its sockets.

Which namespace a process is in, its link `ns/net` says, which takes the right to trace it. Without
that right the inode of its `net/tcp` does: the kernel makes that file once for each namespace.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct, field

from kelp.node.host.owner import NOBODY, Owner, Owners, cgroup_of
from kelp.node.host.process import parse_stat
from kelp.node.host.processes import pids
from kelp.node.host.reading import Folder, Notes, Roots, is_absent, text

# Its name in the kernel's answer: socket:[123] and net:[4026531840].
_SOCKET = "socket:["

_HIDDEN = "processes do not show this user which sockets they hold; run as root"


class Holder(Struct, frozen=True):
    """A process that holds a socket, by one of its descriptors."""

    pid: int
    name: str
    descriptor: int
    owner: Owner


class Namespace(Struct, kw_only=True):
    """One network namespace. `inode` is None where this user may not know it.

    `pids` are its processes in order, `node` says that it is the node's own.
    """

    key: str
    inode: int | None
    pids: list[int] = field(default_factory=list)
    owners: list[Owner] = field(default_factory=list)
    node: bool = False

    @property
    def owner(self) -> Owner:
        """The pod of most of its processes, without a container; nobody's where most have none.

        Most and not all: a plugin of the network, or `nsenter`, may visit a pod's namespace.
        """
        if self.node or not self.owners:
            return NOBODY
        pods = Counter((o.namespace, o.pod, o.pod_uid) for o in self.owners)
        namespace, pod, uid = pods.most_common(1)[0][0]
        return Owner(namespace=namespace, pod=pod, pod_uid=uid)


class Sight(Struct):
    """What one pass over all processes found."""

    namespaces: list[Namespace]
    holders: dict[int, list[Holder]]


def look(roots: Roots, owners: Owners, notes: Notes, *, sockets: bool) -> Sight:
    """All network namespaces; with `sockets`, who holds which (by inode)."""
    found = _Finder(owners, notes, sockets=sockets)
    for pid in pids(roots.proc, notes):
        try:
            with Folder(roots.proc / str(pid)) as folder:
                found.add(pid, folder)
        except PermissionError:
            notes.count("processes are hidden from this user; run as root")
        except OSError as e:
            if not is_absent(e):
                raise
    return Sight(found.namespaces(), found.holders)


class _Finder:
    def __init__(self, owners: Owners, notes: Notes, *, sockets: bool) -> None:
        self._owners = owners
        self._notes = notes
        self._sockets = sockets
        self._members: list[tuple[int, int | None, int | None, Owner]] = []
        self.holders: dict[int, list[Holder]] = {}

    def add(self, pid: int, folder: Folder) -> None:
        owner = _owner(folder, self._owners)
        if self._sockets:
            self._add_sockets(pid, folder, owner)
        by_link, by_file = _link_inode(folder), _file_inode(folder)
        if by_link is not None or by_file is not None:
            self._members.append((pid, by_link, by_file, owner))

    def _add_sockets(self, pid: int, folder: Folder, owner: Owner) -> None:
        stat = parse_stat(folder.read("stat"))
        try:
            links = folder.links("fd")
        except PermissionError:
            self._notes.count(_HIDDEN)
            return
        name = stat.name if stat else "?"
        for descriptor, target in links:
            if target.startswith(_SOCKET) and target[8:-1].isdecimal():
                holder = Holder(pid, name, int(descriptor), owner)
                self.holders.setdefault(int(target[8:-1]), []).append(holder)

    def namespaces(self) -> list[Namespace]:
        """Grouped; a process whose link may not be read joins those with the same file."""
        link_of_file = {f: n for _, n, f, _ in self._members if n is not None and f is not None}
        found: dict[str, Namespace] = {}
        for pid, by_link, by_file, owner in self._members:
            inode = by_link if by_link is not None else link_of_file.get(by_file or -1)
            key = f"net:[{inode}]" if inode is not None else f"file:{by_file}"
            namespace = found.setdefault(key, Namespace(key=key, inode=inode))
            namespace.pids.append(pid)
            namespace.owners.append(owner)
            namespace.node = namespace.node or pid == 1
        return list(found.values())


def table_paths(proc: Path, namespace: Namespace, name: str) -> Iterator[Path]:
    """The same file under each process of a namespace: should one end, another has it."""
    return (proc / str(pid) / "net" / name for pid in namespace.pids)


def _owner(folder: Folder, owners: Owners) -> Owner:
    try:
        return owners.of_path(cgroup_of(text(folder.read("cgroup"))))
    except FileNotFoundError:
        return NOBODY


def _link_inode(folder: Folder) -> int | None:
    try:
        digits = folder.link("ns/net").partition("[")[2].rstrip("]")
    except OSError:
        return None  # no right, a zombie, or a kernel before 3.8
    return int(digits) if digits.isdecimal() else None


def _file_inode(folder: Folder) -> int | None:
    try:
        return folder.inode("net/tcp")
    except OSError:
        return None
