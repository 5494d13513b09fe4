"""The tables: numbered files of DDL in migrations/, each run once, in order, on either engine.

The files are written for all engines at once; what differs stands in double braces:

    {{local:NAME}}             the table that holds rows: NAME, or NAME_local on a cluster
    {{distributed:NAME:KEY}}   on a cluster: NAME over all its NAME_local, spread by KEY
    {{on_cluster}}             ON CLUSTER 'name', or nothing
    {{engine:FAMILY(ARGS)}}    FAMILY, or ReplicatedFAMILY on a cluster
    {{deduplication}}          settings by which a table remembers the inserts that it has seen
    {{durability}}             settings of the disk: what was inserted survives a loss of power

Two servers may start on one cluster at the same time, and ClickHouse has no lock to give. So each
statement must do no harm when it is run twice (IF NOT EXISTS and its like).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib import resources

from kelp.base.errors import KelpError
from kelp.server.store.database import Database
from kelp.server.store.engine_config import ENCRYPTED_POLICY
from kelp.server.store.quoting import literal

_PLACEHOLDER = re.compile(r"\{\{(\w+)(?::([^}]*))?\}\}")
_FILE = re.compile(r"(\d{4})_(\w+)\.sql")
_VERSIONS = """
CREATE TABLE IF NOT EXISTS kelp_migrations {{on_cluster}}
    (version UInt32, name String, applied DateTime('UTC') DEFAULT now('UTC'))
ENGINE = {{engine:ReplacingMergeTree}} ORDER BY version
"""


@dataclass(frozen=True)
class Layout:
    """Where the tables lie. `cluster` is empty for a single server and for the embedded engine."""

    cluster: str = ""
    encrypted: bool = False

    def local(self, table: str) -> str:
        """The table that holds the rows; what is changed or deleted is changed there."""
        return f"{table}_local" if self.cluster else table

    @property
    def on_cluster(self) -> str:
        """The clause that runs a statement everywhere."""
        return f"ON CLUSTER {literal(self.cluster)}" if self.cluster else ""

    def expand(self, sql: str) -> str:
        """Replace the placeholders; ValueError for one that does not exist."""
        return _PLACEHOLDER.sub(self._replacement, sql)

    def _replacement(self, match: re.Match[str]) -> str:
        kind, argument = match[1], match[2] or ""
        match kind:
            case "on_cluster":
                return self.on_cluster
            case "local":
                return self.local(argument)
            case "engine":
                return f"Replicated{argument}" if self.cluster else argument
            case "distributed":
                return self._distributed(*argument.split(":", 1))
            case "deduplication":
                return self._deduplication()
            case "durability":
                return self._durability()
        raise ValueError(f"expected a known placeholder; got {match[0]!r}")

    def _durability(self) -> str:
        # The engine forgets the parts that it merged at once, so what it made of them must last.
        fsync = "fsync_after_insert = 1, min_rows_to_fsync_after_merge = 1"
        if not self.encrypted:
            return f"{fsync}, fsync_part_directory = 1"
        # The engine cannot sync a folder of an encrypted disk (it looks for it in the wrong place).
        # The file system's journal does: a part gets its name before its segments are deleted.
        return f"{fsync}, storage_policy = {literal(ENCRYPTED_POLICY)}"

    def _distributed(self, table: str, key: str) -> str:
        if not self.cluster:
            return ""
        target = f"{literal(self.cluster)}, currentDatabase(), {literal(self.local(table))}"
        return (
            f"CREATE TABLE IF NOT EXISTS {table} {self.on_cluster} AS {self.local(table)}\n"
            f"ENGINE = Distributed({target}, {key})"
        )

    def _deduplication(self) -> str:
        # A cluster forgets by age, too: a group may be offered again after days without a store.
        if self.cluster:
            window = "replicated_deduplication_window"
            return f"{window} = 10000, {window}_seconds = 2592000"
        return "non_replicated_deduplication_window = 10000"


@dataclass(frozen=True)
class Migration:
    """One file of migrations/."""

    version: int
    name: str
    sql: str

    def statements(self, layout: Layout) -> list[str]:
        """Its statements, without comments, placeholders replaced."""
        lines = (line for line in self.sql.splitlines() if not line.lstrip().startswith("--"))
        parts = layout.expand("\n".join(lines)).split(";")
        return [s for s in map(str.strip, parts) if s]


def migrations() -> list[Migration]:
    """All there are, by version."""
    folder = resources.files("kelp.server.store") / "migrations"
    found = [(_FILE.fullmatch(entry.name), entry) for entry in folder.iterdir()]
    return sorted(
        (Migration(int(m[1]), m[2], entry.read_text()) for m, entry in found if m),
        key=lambda migration: migration.version,
    )


def migrate(database: Database, layout: Layout, known: list[Migration] | None = None) -> list[int]:
    """Bring the tables to this release's state; gives the versions that were run.

    Raises KelpError where the store was made by a newer release, EngineError where the engine
    refuses.
    """
    known = migrations() if known is None else known
    database.command(layout.expand(_VERSIONS))
    rows = database.query("SELECT DISTINCT version FROM kelp_migrations ORDER BY version")
    applied = set(rows.column("version").to_pylist())
    newest = known[-1].version if known else 0
    if applied and max(applied) > newest:
        raise KelpError(
            f"expected a store of schema version {newest} or older; got version {max(applied)}: "
            "it was made by a newer release of Kelp; install that, or point store.url elsewhere"
        )
    missing = [m for m in known if m.version not in applied]
    for migration in missing:
        _run(database, layout, migration)
    return [m.version for m in missing]


def _run(database: Database, layout: Layout, migration: Migration) -> None:
    for statement in migration.statements(layout):
        database.command(statement)
    values = f"({migration.version}, {literal(migration.name)})"
    database.command(f"INSERT INTO kelp_migrations (version, name) VALUES {values}")
