"""`ip("…")`: finds an address of a pattern anywhere in a text.

A pattern is an address, a range `a-b` or a CIDR, v4 or v6. Candidates are found by what an address
starts with, as Loki's pkg/logql/log/ip.go does.
"""

from __future__ import annotations

import ipaddress
import re
from typing import TypeAlias

from kelp.server.query.logql.literals import quote

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

_HINT = re.compile(
    rb"(?P<four>[0-9](?=\.|.\.|..\.))(?=...)|"
    rb"::(?=[0-9a-fA-F])|[0-9a-fA-F]{1,4}:",
    re.DOTALL,
)
_FOUR = re.compile(rb"[0-9.]+")
_SIX = re.compile(rb"[0-9a-fA-F:.]+")


class AddressFilter:
    """Whether a text holds an address of the pattern; ValueError for a pattern that is none."""

    def __init__(self, pattern: str) -> None:
        self._first, self._last = _bounds(pattern)

    def __call__(self, text: bytes) -> bool:
        """Look through a text."""
        at = 0
        while hint := _HINT.search(text, at):
            charset = _FOUR if hint["four"] else _SIX
            found = charset.match(text, hint.start())
            if found is None:
                return False
            if self._holds(found[0]):
                return True
            at = found.end() + 1
        return False

    def _holds(self, candidate: bytes) -> bool:
        try:
            address = ipaddress.ip_address(candidate.decode("ascii"))
        except ValueError:
            return False
        return address.version == self._first.version and (
            int(self._first) <= int(address) <= int(self._last)
        )


def _bounds(pattern: str) -> tuple[Address, Address]:
    try:
        if "/" in pattern:
            if not pattern.rpartition("/")[2].isdecimal():
                raise ValueError("expected a prefix length")
            network = ipaddress.ip_network(pattern, strict=False)
            return network.network_address, network.broadcast_address
        first, dash, last = pattern.partition("-")
        low = ipaddress.ip_address(first)
        high = ipaddress.ip_address(last) if dash else low
        if low.version != high.version or int(low) > int(high):
            raise ValueError("expected a range of one family, from low to high")
    except ValueError:
        raise ValueError(
            f"ip: invalid pattern: {quote(pattern)}; expected an address, a range FIRST-LAST or a "
            "CIDR, of IPv4 or IPv6"
        ) from None
    return low, high
