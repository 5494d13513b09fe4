"""The kills that are known without a saved log: this machine's kernel's, and a server's.

A server that nobody named is asked if it answers; one that somebody named must. What this machine's
kernel still knows and the server has stored is one kill.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from kelp.base.clock import Clock
from kelp.base.errors import KelpError
from kelp.base.oom import Kill
from kelp.cli.client import AwayError, find_connection
from kelp.cli.oom_stored import MAX_KILLS, Around, StoredKills, is_same
from kelp.cli.stored import Stored
from kelp.cli.times import moment_ns
from kelp.node.oom.stored import StoredKill
from kelp.server.http.times import parse_time

# Kills whose surroundings are asked for, the newest: each costs the server two questions.
_MAX_AROUND = 100


@dataclass(frozen=True)
class Asked:
    """The options that are about a server."""

    node: str = ""
    since: str = ""
    lines: int = 5
    events: bool = False
    url: str = ""
    token_file: str = ""
    ca_file: str = ""

    @property
    def needs_server(self) -> bool:
        """Whether somebody named one, or asked for what only a server has."""
        return bool(self.node or self.events or self.url or os.environ.get("KELP_URL"))


@dataclass
class Known:
    """Kills, oldest first, each with what stands around it where a server was asked."""

    kills: list[tuple[StoredKill, Around | None]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    where: str = "in /dev/kmsg"  # where nothing was found


def find_known(asked: Asked, clock: Clock, from_kernel: Callable[[], Iterable[Kill]]) -> Known:
    """All of them; raises KelpError where neither the kernel nor a server can be asked."""
    start_ns = moment_ns(asked.since, clock.now_ns()) if asked.since else 0
    known = Known()
    try:
        own = [] if asked.node else _own(from_kernel(), start_ns)
        unreadable = None
    except KelpError as e:
        own, unreadable = [], e
    try:
        connection = find_connection(asked.url, asked.token_file, asked.ca_file)
        _with_stored(known, StoredKills(Stored(connection)), own, asked, start_ns)
    except KelpError as e:
        if asked.needs_server:
            raise
        if unreadable is not None:
            raise KelpError(f"{unreadable}\n{e}") from e
        known.kills = [(kill, None) for kill in own]
        if not isinstance(e, AwayError):  # one is there, and says no
            known.warnings.append(f"stored kills are not shown: {e}")
    return known


def _own(found: Iterable[Kill], start_ns: int) -> list[StoredKill]:
    kills = [StoredKill(kill=k, time_ns=parse_time(k.time) if k.time else 0) for k in found]
    return [kill for kill in kills if kill.time_ns >= start_ns]


def _with_stored(
    known: Known, server: StoredKills, own: list[StoredKill], asked: Asked, start_ns: int
) -> None:
    stored = server.kills(asked.node, start_ns)
    if len(stored) >= MAX_KILLS:
        known.warnings.append(f"only the newest {MAX_KILLS:,} stored kills are shown")
    new = [kill for kill in own if not any(is_same(kill, other) for other in stored)]
    kills = sorted([*stored, *new], key=lambda kill: kill.time_ns)
    early = len(kills) - _MAX_AROUND
    if early > 0:
        known.warnings.append(
            f"lines and restarts are shown of the newest {_MAX_AROUND} kills; see --since"
        )
    known.where = "is stored" if asked.node else "in /dev/kmsg, and none is stored"
    with_logs = server.pods_with_logs(kills[-_MAX_AROUND:])
    for i, kill in enumerate(kills):
        worth_it = i >= early and (asked.events or kill.kill.pod_uid in with_logs)
        around = server.around(kill, asked.lines, events=asked.events) if worth_it else Around()
        known.kills.append((kill, around))
