"""/proc/PID/net/tcp, tcp6, udp, udp6 and unix: one line a socket.

Formats: https://docs.kernel.org/networking/proc_net_tcp.html; states from include/net/tcp_states.h
in the words of `ss`. Addresses are words of 32 bits in the machine's own byte order.

What the tables do not tell and netlink does: the limit of a listening queue, whether an IPv6
socket takes IPv4 too, congestion control.
"""

from __future__ import annotations

import ipaddress
import sys
from collections.abc import Iterable, Iterator

from msgspec import Struct

STATES = {
    0x01: "ESTAB",
    0x02: "SYN-SENT",
    0x03: "SYN-RECV",
    0x04: "FIN-WAIT-1",
    0x05: "FIN-WAIT-2",
    0x06: "TIME-WAIT",
    0x07: "UNCONN",
    0x08: "CLOSE-WAIT",
    0x09: "LAST-ACK",
    0x0A: "LISTEN",
    0x0B: "CLOSING",
    0x0C: "SYN-RECV",  # a request that is not a socket yet
}
_TIMERS = {1: "on", 2: "keepalive", 3: "timewait", 4: "persist"}
_TIMER_TICKS_PER_S = 100  # USER_HZ, whatever the kernel's HZ
_UNIX_TYPES = {1: "u_str", 2: "u_dgr", 5: "u_seq"}
_UNIX_STATES = {1: "UNCONN", 2: "SYN-SENT", 3: "ESTAB", 4: "CLOSING"}
_ACCEPTS = 0x10000  # __SO_ACCEPTCON: listen() was called


class Timer(Struct, frozen=True):
    """`name` as ss has it: on (retransmission), keepalive, timewait, persist (zero window)."""

    name: str
    expires_s: float
    retransmits: int


class Row(Struct, frozen=True, kw_only=True):
    """A socket as its table has it. `protocol` is tcp, udp, u_str, u_dgr or u_seq; `family` 4, 6,
    or 0 for unix, where `local` is the path and there are no ports.
    """

    protocol: str
    family: int
    state: str
    local: str
    local_port: int | None = None
    peer: str | None = None
    peer_port: int | None = None
    receive_queue: int | None = None
    send_queue: int | None = None
    timer: Timer | None = None
    drops: int | None = None
    uid: int | None = None
    inode: int


def parse_inet(lines: Iterable[str], protocol: str) -> Iterator[Row]:
    """The sockets of a tcp or udp table; its header and damaged lines are passed over.

    A listening socket's `receive_queue` is connections that wait to be accepted.
    """
    for line in lines:
        words = line.split()
        try:
            if len(words) >= 10 and words[0].endswith(":"):
                yield _inet(words, protocol)
        except (ValueError, IndexError):
            continue


def _inet(words: list[str], protocol: str) -> Row:
    local, local_port = _address(words[1])
    peer, peer_port = _address(words[2])
    state = int(words[3], 16)
    send, receive = (int(n, 16) for n in words[4].split(":"))
    return Row(
        protocol=protocol,
        family=local.version,
        state=STATES.get(state, f"{state:#04x}"),
        local=str(local),
        local_port=local_port,
        peer=str(peer),
        peer_port=peer_port,
        receive_queue=receive,
        send_queue=send,
        timer=_timer(words) if protocol == "tcp" else None,
        drops=int(words[12]) if protocol == "udp" and len(words) > 12 else None,
        uid=int(words[7]),
        inode=int(words[9]),
    )


def _timer(words: list[str]) -> Timer | None:
    kind, ticks = (int(n, 16) for n in words[5].split(":"))
    if kind not in _TIMERS:
        return None
    return Timer(_TIMERS[kind], _signed(ticks) / _TIMER_TICKS_PER_S, int(words[6], 16))


def _signed(ticks: int) -> int:
    """A timer that should have fired already is a negative number, printed without its sign."""
    return 0 if ticks >= 1 << 31 else ticks


def _address(word: str) -> tuple[ipaddress.IPv4Address | ipaddress.IPv6Address, int]:
    """`0100007F:1F90` is 127.0.0.1:8080 on a little-endian machine."""
    digits, _, port = word.partition(":")
    return address_of_words(digits), int(port, 16)


def address_of_words(digits: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """An address of 8 or 32 hexadecimal digits; raises ValueError for another number of them."""
    data = bytes.fromhex(digits)
    if sys.byteorder == "little":
        data = b"".join(data[i : i + 4][::-1] for i in range(0, len(data), 4))
    if len(data) == 4:
        return ipaddress.IPv4Address(data)
    return ipaddress.IPv6Address(data)


def parse_unix(lines: Iterable[str]) -> Iterator[Row]:
    """`Num: RefCount Protocol Flags Type St Inode [Path]`; abstract paths begin with @."""
    for line in lines:
        words = line.split(maxsplit=7)
        try:
            if len(words) >= 7 and words[0].endswith(":"):
                yield _unix(words)
        except ValueError:
            continue


def _unix(words: list[str]) -> Row:
    state = int(words[5], 16)
    listens = int(words[3], 16) & _ACCEPTS
    return Row(
        protocol=_UNIX_TYPES.get(int(words[4], 16), "u_raw"),
        family=0,
        state="LISTEN" if listens else _UNIX_STATES.get(state, f"{state:#04x}"),
        local=words[7].rstrip("\n") if len(words) > 7 else "",
        inode=int(words[6]),
    )
