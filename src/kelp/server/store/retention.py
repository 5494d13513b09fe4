"""What goes when: days by dataset and namespace, and the size of the embedded store.

Records lie in partitions of a day (UTC). One that is older than the longest rule goes as a whole,
which costs nothing. Where a shorter rule fits some streams, their records are marked as deleted in
the partitions that only this rule has reached (a lightweight DELETE: gone at once for readers, from
the disk with a later merge); the records of a stream lie together, so that touches little. Neither
stops reading or inserting. A record is kept for its days, and then until its UTC day is over.

Age hangs on the clock, and clocks jump. A clock that is more than two days ahead of the newest
records is believed only after a day of standing by it; until then, two days after the newest
records is as late as it gets. A clock that is behind deletes too late, which does no harm.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from kelp.base.settings import Store as StoreSettings
from kelp.server.store.database import Database
from kelp.server.store.quoting import literal
from kelp.server.store.schema import Layout

log = logging.getLogger(__name__)

_DAY_NS = 86_400_000_000_000
_EPOCH = date(1970, 1, 1)
_BELIEVABLE_LEAD = timedelta(days=2)
_BELIEVED_AFTER_S = 86_400.0
_IDS_AT_ONCE = 10_000
# Where the store was too large, so much of the limit is free afterwards.
_ROOM = 0.1


@dataclass(frozen=True)
class Dropped:
    """What one pass did."""

    partitions: int = 0
    rows: int = 0  # marked as deleted in partitions that stay
    streams: int = 0  # of which nothing is left


@dataclass(frozen=True)
class Partition:
    """A day of records."""

    id: str
    day: date
    bytes: int


class RetentionPass:
    """Applies the settings to the tables; for one thread at a time."""

    def __init__(
        self,
        database: Database,
        layout: Layout,
        settings: StoreSettings,
        monotonic: Callable[[], float],
    ) -> None:
        self._database = database
        self._layout = layout
        self._settings = settings
        self._rules = list(_rules(settings))
        self._longest = max(days for days, _ in self._rules)
        self._believing = _Doubt(monotonic)

    def run(self, now_ns: int) -> Dropped:
        """Delete what is due. Raises EngineError; what was deleted by then stays deleted."""
        kept = self._partitions()
        if not kept:
            return Dropped()
        today = self._believing.today(now_ns, max(p.day for p in kept))
        old = [p for p in kept if (today - p.day).days > self._longest]
        kept = [p for p in kept if p not in old]
        over = self._too_much(kept)
        for partition in [*old, *over]:
            self._drop(partition)
        kept = [p for p in kept if p not in over]
        rows = self._delete_by_rules(kept, today) + self._shorten(kept)
        gone = self._forget(today)
        return Dropped(len(old) + len(over), rows, gone)

    def _partitions(self) -> list[Partition]:
        """Of all replicas, the oldest first."""
        parts = "system.parts"
        if self._layout.cluster:
            parts = f"clusterAllReplicas({literal(self._layout.cluster)}, system.parts)"
        rows = self._database.query(
            "SELECT partition_id AS id, any(partition) AS day, sum(bytes_on_disk) AS bytes "
            f"FROM {parts} WHERE database = currentDatabase() AND active "
            f"AND table = {literal(self._layout.local('records'))} GROUP BY id ORDER BY day"
        ).to_pylist()
        return [
            Partition(r["id"].decode(), date.fromisoformat(r["day"].decode()), r["bytes"])
            for r in rows
        ]

    def _drop(self, partition: Partition) -> None:
        log.info("retention: dropping the day %s (%d bytes)", partition.day, partition.bytes)
        self._alter(f"DROP PARTITION ID {literal(partition.id)}")

    def _alter(self, change: str) -> None:
        table = f"{self._layout.local('records')} {self._layout.on_cluster}"
        self._database.command(f"ALTER TABLE {table} {change}")

    def _delete_by_rules(self, kept: Sequence[Partition], today: date) -> int:
        rows = 0
        for days, condition in self._rules:
            due = [p for p in kept if (today - p.day).days > days]
            if due:
                ids = self._ids(f"SELECT DISTINCT stream_id FROM streams WHERE {condition}")
                rows += sum(self._delete(p, ids) for p in due)
        return rows

    def _delete(self, partition: Partition, ids: Sequence[int]) -> int:
        """Delete records of those streams; looks first, for mostly there are none."""
        rows = 0
        here = f"_partition_id = {literal(partition.id)}"
        for some in _chunks(ids):
            found = self._count(f"{here} AND stream_id IN ({some})")
            if found:
                self._delete_rows("records", f"stream_id IN ({some})", partition)
                rows += found
        return rows

    def _delete_rows(self, table: str, condition: str, partition: Partition | None = None) -> None:
        where = f"IN PARTITION ID {literal(partition.id)} " if partition else ""
        self._database.command(
            f"DELETE FROM {self._layout.local(table)} {self._layout.on_cluster} "
            f"{where}WHERE {condition}",
            settings={"lightweight_deletes_sync": 2},
        )

    def _too_much(self, kept: Sequence[Partition]) -> list[Partition]:
        """The oldest partitions that must go for the store to fit; never the newest."""
        excess = self._excess(kept)
        over: list[Partition] = []
        for partition in kept[:-1]:
            if excess <= 0:
                break
            over.append(partition)
            excess -= partition.bytes
        return over

    def _excess(self, kept: Sequence[Partition]) -> int:
        """Bytes that must go; with some room beyond the limit, so that this is not for ever."""
        total, limit = sum(p.bytes for p in kept), self._settings.max_bytes
        return int(total - limit * (1 - _ROOM)) if limit and total > limit else 0

    def _shorten(self, kept: Sequence[Partition]) -> int:
        """Where the newest day alone is too large, its oldest records go, from the disk as well."""
        excess = self._excess(kept)
        if not excess:
            return 0
        newest = kept[-1]
        here = f"_partition_id = {literal(newest.id)}"
        share = min(excess / max(newest.bytes, 1), 1.0)
        cut = self._database.query(
            f"SELECT toUnixTimestamp64Nano(quantile({share})(timestamp)) AS ns "
            f"FROM records WHERE {here}"
        ).column("ns")[0].as_py()  # fmt: skip
        condition = f"timestamp < fromUnixTimestamp64Nano({cut}, 'UTC')"
        rows = self._count(f"{here} AND {condition}")
        self._delete_rows("records", condition, newest)
        self._alter(f"APPLY DELETED MASK IN PARTITION ID {literal(newest.id)}")
        log.warning("retention: store.max_bytes reached within a day; deleted %d records", rows)
        return rows

    def _forget(self, today: date) -> int:
        """Delete what only leads to records that are gone."""
        before = today - timedelta(days=int(self._longest) + 2)
        if before <= _EPOCH:
            return 0
        long_ago = f"toDateTime64({literal(before.isoformat())}, 9, 'UTC')"
        for table, column in (("losses", "end_timestamp"), ("files", "updated")):
            if self._count(f"{column} < {long_ago}", table):
                self._delete_rows(table, f"{column} < {long_ago}")
        silent = self._ids(
            "SELECT stream_id FROM streams GROUP BY stream_id "
            f"HAVING max(last_timestamp) < {long_ago}"
        )
        return sum(self._forget_streams(some) for some in _chunks(silent))

    def _forget_streams(self, some: str) -> int:
        """Of these, the ones without any record; times alone can mislead (see the partitions)."""
        alive = set(
            self._ids(f"SELECT DISTINCT stream_id FROM records WHERE stream_id IN ({some})")
        )
        gone = [i for i in map(int, some.split(",")) if i not in alive]
        for ids in _chunks(gone):
            self._delete_rows("streams", f"stream_id IN ({ids})")
        return len(gone)

    def _ids(self, sql: str) -> list[int]:
        ids: list[int] = self._database.query(sql).column("stream_id").to_pylist()
        return ids

    def _count(self, condition: str, table: str = "records") -> int:
        rows = self._database.query(f"SELECT count() AS rows FROM {table} WHERE {condition}")
        return int(rows.column("rows")[0].as_py())


class _Doubt:
    """Decides what day it is; see the module."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._since: float | None = None

    def today(self, now_ns: int, newest: date) -> date:
        clock = _EPOCH + timedelta(days=now_ns // _DAY_NS)
        if clock <= newest + _BELIEVABLE_LEAD:
            self._since = None
            return clock
        if self._since is None:
            self._since = self._monotonic()
            log.warning("retention: the clock says %s, the newest records are of %s", clock, newest)
        long_enough = self._monotonic() - self._since >= _BELIEVED_AFTER_S
        return clock if long_enough else newest + _BELIEVABLE_LEAD


def _rules(settings: StoreSettings) -> Iterator[tuple[float, str]]:
    """Days and a condition over `streams` for each rule, exclusive: the first that fits counts."""
    earlier: list[str] = []
    for rule in settings.retention:
        fits = f"({_fits('dataset', rule.dataset)} AND {_fits('namespace', rule.namespace)})"
        yield rule.days, " AND ".join([fits, *(f"NOT {e}" for e in earlier)])
        earlier.append(fits)
    yield settings.retention_days, " AND ".join(["1", *(f"NOT {e}" for e in earlier)])


def _fits(label: str, wanted: str) -> str:
    """`*` stands for anything, alone or within a name."""
    if wanted == "*":
        return "1"
    if "*" not in wanted:
        return f"labels[{literal(label)}] = {literal(wanted)}"
    escaped = wanted.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"labels[{literal(label)}] LIKE {literal(escaped.replace('*', '%'))}"


def _chunks(ids: Sequence[int]) -> Iterator[str]:
    """The ids as lists of SQL, none too long for a query."""
    for start in range(0, len(ids), _IDS_AT_ONCE):
        yield ",".join(map(str, ids[start : start + _IDS_AT_ONCE]))
