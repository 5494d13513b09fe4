"""The table of `ss`."""

from __future__ import annotations

from collections.abc import Iterator

from kelp.node.host.show.table import aligned, container, whose
from kelp.node.host.sockets import Socket, SocketReport

_COLUMNS = (
    "NETID",
    "STATE",
    ">RECV-Q",
    ">SEND-Q",
    "LOCAL",
    "PEER",
    "POD",
    "CONTAINER",
    "PROCESS",
)


def lines(
    report: SocketReport,
    width: int | None = None,
    rows: int | None = None,
    *,
    processes: bool = False,
    timers: bool = False,
) -> Iterator[str]:
    """The first `rows` sockets (None: all); with all their processes, and with timers (TCP's)."""
    columns = [*_COLUMNS, "TIMER"] if timers else _COLUMNS
    shown = (
        (*_row(s, all_of_them=processes), timer(s)) if timers else _row(s, all_of_them=processes)
        for s in report.sockets[:rows]
    )
    yield from aligned(columns, shown, width)


def _row(socket: Socket, *, all_of_them: bool) -> tuple[object, ...]:
    return (
        socket.protocol,
        socket.state,
        socket.receive_queue,
        socket.send_queue,
        endpoint(socket.family, socket.local, socket.local_port),
        endpoint(socket.family, socket.peer, socket.peer_port),
        whose(socket),
        container(socket),
        _processes(socket, all_of_them=all_of_them),
    )


def endpoint(family: int, address: str | None, port: int | None) -> str | None:
    """address:port; a port that is not set is `*`, as for the peer of what listens."""
    if family == 0 or address is None:
        return address
    host = f"[{address}]" if family == 6 else address
    return f"{host}:{port or '*'}"


def _processes(socket: Socket, *, all_of_them: bool) -> str | None:
    found = socket.processes if all_of_them else socket.processes[:1]
    if all_of_them:
        return ",".join(f"{p.name}[{p.pid}] fd={p.fd}" for p in found) or None
    more = len(socket.processes) - len(found)
    first = "".join(f"{p.name}[{p.pid}]" for p in found)
    return (f"{first} +{more}" if more else first) or None


def timer(socket: Socket) -> str | None:
    """name, seconds left, retransmissions."""
    t = socket.timer
    return f"{t.name},{t.expires_s:.2f}s,{t.retransmits}" if t else None
