"""What a server knows of kills: those that are stored, and what stands around each.

Left out: kills that no agent saw. Questions are bounded: so many kills, and for each so many lines.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from kelp.cli.stored import Stored, literal, time_literal
from kelp.node.oom.stored import StoredKill, stored_kill

MAX_KILLS = 1_000
_MAX_RESTARTS = 50
_MAX_EVENTS = 20
_MAX_LINE_BYTES = 2_000
_ROUNDED_NS = 3600 * 10**9
_EVENTS_AROUND_NS = 600 * 10**9
# The clocks by which two sources give a time are not the same, and one gives whole seconds.
SAME_KILL_NS = 5 * 10**9


class Line(msgspec.Struct):
    """A record of the container before the kill, or an event about its pod."""

    time_ns: int
    text: str
    container: str = ""


class Restart(msgspec.Struct):
    """A run of the container that began after the kill."""

    restart: str
    container: str
    first_ns: int


class Around(msgspec.Struct, kw_only=True):
    """What stands around a kill; `events` is None where nobody asked."""

    lines: list[Line] = []
    restarts: list[Restart] = []
    events: list[Line] | None = None


class StoredKills:
    """Asks one server."""

    def __init__(self, stored: Stored) -> None:
        self._stored = stored

    def kills(self, node: str, start_ns: int | None) -> list[StoredKill]:
        """The newest MAX_KILLS, oldest first; those of all nodes where `node` is empty."""
        streams = "dataset = 'kernel'" + (f" AND node = {literal(node)}" if node else "")
        conditions = [_of_streams(streams), "attributes['problem'] = 'OOMKilling'"]
        if start_ns is not None:
            conditions.append(f"timestamp >= {time_literal(start_ns)}")
        rows = self._stored.rows(
            "SELECT toUnixTimestamp64Nano(timestamp) AS time_ns, body, attributes, labels "
            f"FROM logs WHERE {' AND '.join(conditions)} ORDER BY timestamp DESC LIMIT {MAX_KILLS}"
        )
        found = [_kill_of(row) for row in reversed(rows)]
        return [kill for i, kill in enumerate(found) if not _is_repeated(kill, found[:i])]

    def pods_with_logs(self, kills: Sequence[StoredKill]) -> set[str]:
        """Uids of the kills' pods of which anything is stored: those worth asking of."""
        uids = sorted({k.kill.pod_uid for k in kills if k.kill.pod_uid})
        if not uids:
            return set()
        rows = self._stored.rows(
            "SELECT DISTINCT labels['pod_uid'] AS uid FROM log_streams "
            f"WHERE labels['pod_uid'] IN ({', '.join(map(literal, uids))})"
        )
        return {row["uid"] for row in rows}

    def around(self, kill: StoredKill, lines: int, *, events: bool) -> Around:
        """What the store has of the victim's container."""
        if not kill.kill.pod_uid:
            return Around(events=[] if events else None)
        return Around(
            lines=self._lines(kill, lines) if lines else [],
            restarts=self._restarts(kill),
            events=self._events(kill) if events else None,
        )

    def _lines(self, kill: StoredKill, count: int) -> list[Line]:
        rows = self._stored.rows(
            f"SELECT toUnixTimestamp64Nano(timestamp) AS time_ns, container, "
            f"substring(body, 1, {_MAX_LINE_BYTES}) AS text FROM logs "
            f"WHERE {_of_streams(_of_container(kill))} "
            f"AND timestamp <= {time_literal(kill.time_ns)} "
            f"ORDER BY timestamp DESC, position DESC LIMIT {count}"
        )
        return [msgspec.convert(row, Line) for row in reversed(rows)]

    def _restarts(self, kill: StoredKill) -> list[Restart]:
        # A stream's own times are rounded; they tell which runs may have begun behind the kill.
        begin = time_literal(kill.time_ns - _ROUNDED_NS)
        rows = self._stored.rows(
            "SELECT labels['restart'] AS restart, container, "
            "toUnixTimestamp64Nano(min(timestamp)) AS first_ns FROM logs "
            f"WHERE {_of_streams(_of_container(kill))} AND timestamp >= {begin} "
            "AND labels['restart'] IN ("
            f"SELECT labels['restart'] FROM log_streams WHERE {_of_container(kill)} "
            f"GROUP BY labels['restart'] HAVING min(first_timestamp) >= {begin}) "
            f"GROUP BY restart, container HAVING first_ns > {kill.time_ns} "
            f"ORDER BY first_ns LIMIT {_MAX_RESTARTS}"
        )
        return [msgspec.convert(row, Restart) for row in rows]

    def _events(self, kill: StoredKill) -> list[Line]:
        if not kill.pod:
            return []
        start, end = kill.time_ns - _EVENTS_AROUND_NS, kill.time_ns + _EVENTS_AROUND_NS
        streams = f"dataset = 'event' AND namespace = {literal(kill.namespace)}"
        rows = self._stored.rows(
            "SELECT toUnixTimestamp64Nano(timestamp) AS time_ns, "
            f"substring(body, 1, {_MAX_LINE_BYTES}) AS text FROM logs "
            f"WHERE {_of_streams(streams)} AND position(body, {literal(kill.pod)}) > 0 "
            f"AND timestamp BETWEEN {time_literal(start)} AND {time_literal(end)} "
            f"ORDER BY timestamp LIMIT {_MAX_EVENTS}"
        )
        return [msgspec.convert(row, Line) for row in rows]


def _of_streams(condition: str) -> str:
    """SQL: records of the streams that a condition fits; of all others nothing is read."""
    return f"stream_id IN (SELECT stream_id FROM log_streams WHERE {condition})"


def _of_container(kill: StoredKill) -> str:
    """SQL: streams of the victim's container; of its pod where the container is not known."""
    of_pod = f"labels['pod_uid'] = {literal(kill.kill.pod_uid or '')}"
    return of_pod + (f" AND container = {literal(kill.container)}" if kill.container else "")


def _kill_of(row: dict[str, Any]) -> StoredKill:
    return stored_kill(row["body"], row["attributes"], row["time_ns"], row["labels"])


def _is_repeated(kill: StoredKill, earlier: Sequence[StoredKill]) -> bool:
    """Whether another source of the same node has told of it before."""
    return any(is_same(kill, other) for other in _near(kill, earlier))


def _near(kill: StoredKill, earlier: Sequence[StoredKill]) -> Iterator[StoredKill]:
    for other in reversed(earlier):
        if kill.time_ns - other.time_ns > SAME_KILL_NS:
            return
        yield other


def is_same(one: StoredKill, other: StoredKill) -> bool:
    """Whether two records tell of one kill: its process, at nearly the same time."""
    mine, its = one.kill, other.kill
    return (
        mine.pid is not None
        and (mine.pid, mine.process) == (its.pid, its.process)
        and (mine.node == its.node or None in (mine.node, its.node))
        and abs(one.time_ns - other.time_ns) <= SAME_KILL_NS
    )
