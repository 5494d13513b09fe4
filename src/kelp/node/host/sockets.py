"""`kelp node ss`: the sockets of the node and of every pod on it, with who holds them.

`ss` shows the network namespace that it runs in, so a pod's sockets take `nsenter` each. Here one
process of each namespace lends its tables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from msgspec import Struct, field, structs

from kelp.base.clock import Clock
from kelp.base.podnames import PodNames
from kelp.node.host.namespaces import Holder, Namespace, look, table_paths
from kelp.node.host.owner import Owner, Owners, owned
from kelp.node.host.processes import UserNames
from kelp.node.host.reading import Notes, Roots
from kelp.node.host.report import Report, timestamp
from kelp.node.host.selection import EVERYTHING, Selection
from kelp.node.host.sockettable import Row, Timer, parse_inet, parse_unix

# About 1 KiB each; a node with more connections than that is looked at with a filter.
MAX_SOCKETS = 131_072

# What is shown when no state is asked for: what somebody offers, and what somebody uses.
USUAL_STATES = frozenset({"LISTEN", "ESTAB", "UNCONN"})

_TABLES = (("tcp", 4, "tcp"), ("tcp", 6, "tcp6"), ("udp", 4, "udp"), ("udp", 6, "udp6"))


class Process(Struct, frozen=True):
    """A process that holds a socket."""

    pid: int
    name: str
    fd: int


class Socket(Owner, kw_only=True):
    """See sockettable.Row. `network` is the inode of the network namespace, `node_network` whether
    it is the node's own; `processes` are empty where the kernel holds it alone (TIME-WAIT), and
    where this user may not know (the notes say so).
    """

    protocol: str
    family: int
    state: str
    local: str
    local_port: int | None
    peer: str | None
    peer_port: int | None
    receive_queue: int | None
    send_queue: int | None
    timer: Timer | None
    drops: int | None
    uid: int | None
    inode: int
    user: str | None = None
    network: int | None = None
    node_network: bool = False
    processes: list[Process] = field(default_factory=list)


class SocketReport(Report, kw_only=True):
    """Sockets in the order asked for."""

    sockets: list[Socket]


class Wanted(Struct, frozen=True):
    """Which sockets: protocols of tcp, udp, unix; families 4, 6; None of `states` means all."""

    protocols: frozenset[str] = frozenset({"tcp", "udp"})
    families: frozenset[int] = frozenset({4, 6})
    states: frozenset[str] | None = USUAL_STATES
    listening: bool = False

    def takes(self, row: Row) -> bool:
        """Whether a socket of a wanted table is wanted."""
        if self.listening:
            # A UDP socket does not listen; one that is bound and not connected is as good.
            return row.state == ("UNCONN" if row.protocol == "udp" else "LISTEN")
        return self.states is None or row.state in self.states


USUAL = Wanted()

SORTS: dict[str, Callable[[Socket], Any]] = {
    "local": lambda s: (s.protocol, s.local_port or 0, s.local, s.network or 0),
    "state": lambda s: (s.state != "LISTEN", s.state, s.protocol, s.local_port or 0),
    "pod": lambda s: (not s.known, s.namespace or "", s.pod or s.pod_uid or "", s.local_port or 0),
    "process": lambda s: (s.processes[0].name, s.processes[0].pid) if s.processes else ("~", 0),
    "receive": lambda s: -(s.receive_queue or 0),
    "send": lambda s: -(s.send_queue or 0),
}


class SocketSampler:
    """Looks at all wanted tables of all network namespaces."""

    def __init__(
        self,
        roots: Roots,
        clock: Clock,
        selection: Selection = EVERYTHING,
        sort: str = "state",
        wanted: Wanted = USUAL,
    ) -> None:
        self._roots = roots
        self._clock = clock
        self._selection = selection
        self._key = SORTS[sort]
        self._wanted = wanted
        self._users = UserNames()

    def sample(self) -> SocketReport:
        """Look now."""
        notes = Notes()
        owners = Owners(PodNames(self._roots.pods))
        sight = look(self._roots, owners, notes, sockets=True)
        found = list(islice(self._sockets(sight.namespaces, sight.holders), MAX_SOCKETS + 1))
        if len(found) > MAX_SOCKETS:
            notes.say(f"only {MAX_SOCKETS} sockets are shown; choose by protocol, state or pod")
        owners.tell(notes)
        return SocketReport(
            time=timestamp(self._clock.now_ns()),
            sockets=sorted(found[:MAX_SOCKETS], key=self._key),
            notes=notes.texts(),
        )

    def _sockets(
        self, namespaces: list[Namespace], holders: dict[int, list[Holder]]
    ) -> Iterator[Socket]:
        for namespace in namespaces or [_OWN]:
            inside = namespace.owner
            for row in self._rows(namespace):
                held_by = holders.get(row.inode, [])
                socket = owned(self._socket(row, namespace, held_by), _owner(held_by, inside))
                if self._selection.takes(socket):
                    yield socket

    def _rows(self, namespace: Namespace) -> Iterator[Row]:
        for protocol, family, name in _TABLES:
            if protocol in self._wanted.protocols and family in self._wanted.families:
                yield from filter(
                    self._wanted.takes, parse_inet(self._lines(namespace, name), protocol)
                )
        if "unix" in self._wanted.protocols:
            yield from filter(self._wanted.takes, parse_unix(self._lines(namespace, "unix")))

    def _lines(self, namespace: Namespace, name: str) -> Iterator[str]:
        paths = table_paths(self._roots.proc, namespace, name)
        return lines_of_first(paths if namespace.pids else [self._roots.node_net / name])

    def _socket(self, row: Row, namespace: Namespace, holders: list[Holder]) -> Socket:
        return Socket(
            **structs.asdict(row),
            user=None if row.uid is None else self._users(row.uid),
            network=namespace.inode,
            node_network=namespace.node,
            processes=[Process(h.pid, h.name, h.descriptor) for h in _once(holders)],
        )


_OWN = Namespace(key="", inode=None, node=True)


def lines_of_first(paths: Iterable[Path]) -> Iterator[str]:
    """The lines of the first file that can be opened; none where none can."""
    for path in paths:
        try:
            with path.open(encoding="utf-8", errors="backslashreplace") as file:
                yield from file
                return
        except OSError:
            continue


def _once(holders: list[Holder]) -> list[Holder]:
    """A process once, by its lowest descriptor: a server's may hold a socket by many."""
    lowest: dict[int, Holder] = {}
    for holder in sorted(holders, key=lambda h: h.descriptor):
        lowest.setdefault(holder.pid, holder)
    return sorted(lowest.values(), key=lambda h: h.pid)


def _owner(holders: list[Holder], inside: Owner) -> Owner:
    """The holder's; where nobody holds it, that of the network in which it is.

    A descriptor that was passed on has holders of several owners: a container's goes before.
    """
    owners = [h.owner for h in holders]
    for owner in owners:
        if owner.known:
            return owner
    return inside if inside.known or not owners else owners[0]
