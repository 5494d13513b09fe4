"""`kelp node route`: the routing tables, IPv4 and IPv6, of the node or of pods.

IPv4's file is the table `main`; IPv6's holds all tables, without saying which. Rules, other tables,
further hops of a multipath route and metrics beyond these are known to netlink (`ip route`) alone.

Formats: net/ipv4/fib_trie.c (fib_route_seq_show), net/ipv6/route.c (rt6_info_route); flags from
include/uapi/linux/route.h and ipv6_route.h.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator

from kelp.base.clock import Clock
from kelp.base.podnames import PodNames
from kelp.node.host.namespaces import Namespace, look, table_paths
from kelp.node.host.owner import Owner, Owners, owned
from kelp.node.host.reading import Notes, Roots
from kelp.node.host.report import Report, timestamp
from kelp.node.host.selection import EVERYTHING, Selection
from kelp.node.host.sockets import lines_of_first
from kelp.node.host.sockettable import address_of_words

_LETTERS = (
    (0x0001, "U"),
    (0x0002, "G"),
    (0x0004, "H"),
    (0x0008, "R"),
    (0x0010, "D"),
    (0x0020, "M"),
    (0x0200, "!"),
    (0x0004_0000, "A"),
    (0x0100_0000, "C"),
)
_CACHE = 0x0100_0000
_LOCAL = 0x8000_0000
_REJECT = 0x0200
_GATEWAY = 0x0002


class Route(Owner, kw_only=True):
    """One route. `destination` is in CIDR form (0.0.0.0/0 and ::/0 are the default routes).

    `flags` are netstat's letters. `mtu`, `window` (bytes) and `irtt` (8ths of a ms) are None where
    they are not set. `network` is the inode of the network namespace.
    """

    family: int
    destination: str
    gateway: str | None
    interface: str
    metric: int
    flags: str
    local: bool = False
    source: str | None = None
    mtu: int | None = None
    window: int | None = None
    irtt: int | None = None
    references: int = 0
    uses: int = 0
    network: int | None = None
    node_network: bool = False


class RouteReport(Report, kw_only=True):
    """Routes of IPv4 first, each table in the kernel's order."""

    routes: list[Route]


class RouteSampler:
    """The node's own routes; with a selection those of the selected pods' networks."""

    def __init__(
        self,
        roots: Roots,
        clock: Clock,
        selection: Selection = EVERYTHING,
        families: frozenset[int] = frozenset({4, 6}),
        *,
        everything: bool = False,
    ) -> None:
        """`everything` takes the routes to the node's own addresses and to multicast in too."""
        self._roots = roots
        self._clock = clock
        self._selection = selection
        self._families = families
        self._everything = everything

    def sample(self) -> RouteReport:
        """Look now."""
        notes = Notes()
        routes = [r for n in self._namespaces(notes) for r in self._routes(n)]
        return RouteReport(time=timestamp(self._clock.now_ns()), routes=routes, notes=notes.texts())

    def _namespaces(self, notes: Notes) -> list[Namespace]:
        if self._selection.all:
            return [Namespace(key="", inode=None, node=True)]
        owners = Owners(PodNames(self._roots.pods))
        sight = look(self._roots, owners, notes, sockets=False)
        chosen = [n for n in sight.namespaces if n.owner.known and self._selection.takes(n.owner)]
        if not chosen:
            notes.say("no such pod has a network of its own here; a pod with hostNetwork uses "
                      "the node's routes")  # fmt: skip
        return chosen

    def _routes(self, namespace: Namespace) -> Iterator[Route]:
        for family, name, parse in ((4, "route", parse_v4), (6, "ipv6_route", parse_v6)):
            if family not in self._families:
                continue
            paths = table_paths(self._roots.proc, namespace, name)
            node = [self._roots.node_net / name]
            for route in parse(lines_of_first(node if namespace.node else paths)):
                if self._everything or not _is_housekeeping(route):
                    route.network, route.node_network = namespace.inode, namespace.node
                    yield owned(route, namespace.owner)


def parse_v4(lines: Iterable[str]) -> Iterator[Route]:
    """`Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT`."""
    for line in lines:
        words = line.split()
        try:
            if len(words) >= 8:
                yield _v4(words)
        except ValueError:
            continue  # the header


def _v4(words: list[str]) -> Route:
    destination, gateway, mask = (address_of_words(words[i]) for i in (1, 2, 7))
    flags = int(words[3], 16)
    mtu, window, irtt = ([int(w) or None for w in words[8:11]] + [None] * 3)[:3]
    return Route(
        family=4,
        destination=f"{destination}/{int(mask).bit_count()}",
        gateway=str(gateway) if flags & _GATEWAY else None,
        interface=words[0],
        metric=int(words[6]),
        flags=_letters(flags),
        mtu=mtu,
        window=window,
        irtt=irtt,
        references=int(words[4]),
        uses=int(words[5]),
    )


def parse_v6(lines: Iterable[str]) -> Iterator[Route]:
    """Destination, its prefix, source, its prefix, next hop, metric, references, uses, flags,
    interface: numbers in hexadecimal, addresses in the order of the network.
    """
    for line in lines:
        words = line.split()
        try:
            if len(words) == 10:
                yield _v6(words)
        except ValueError:
            continue


def _v6(words: list[str]) -> Route:
    flags = int(words[8], 16)
    hop = _address(words[4])
    source = f"{_address(words[2])}/{int(words[3], 16)}"
    return Route(
        family=6,
        destination=f"{_address(words[0])}/{int(words[1], 16)}",
        gateway=str(hop) if int(hop) else None,
        interface=words[9],
        metric=int(words[5], 16),
        flags=_letters(flags),
        local=bool(flags & _LOCAL),
        source=None if source == "::/0" else source,
        references=int(words[6], 16),
        uses=int(words[7], 16),
    )


def _address(digits: str) -> ipaddress.IPv6Address:
    return ipaddress.IPv6Address(bytes.fromhex(digits))


def _letters(flags: int) -> str:
    return "".join(letter for bit, letter in _LETTERS if flags & bit)


def _is_housekeeping(route: Route) -> bool:
    """What `ip -6 route` leaves out: own addresses, multicast, and the loopback's last resort."""
    if route.family == 4:
        return False
    unreachable = route.interface == "lo" and "!" in route.flags
    return route.local or "C" in route.flags or route.destination == "ff00::/8" or unreachable
