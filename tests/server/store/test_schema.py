from __future__ import annotations

import re

import pytest

from kelp.base.errors import KelpError
from kelp.server.store.needle import ID_TOKENS
from kelp.server.store.schema import Layout, Migration, migrate, migrations
from kelp.server.store.store import Store
from tests.server.store.reading import column, scalar

CLUSTER = Layout(cluster="main")
TABLES = {b"records", b"streams", b"losses", b"files", b"deletions", b"kelp_migrations"}


def test_the_tables_are_there(store: Store) -> None:
    sql = "SELECT name FROM system.tables WHERE database = currentDatabase()"
    assert set(column(store.engine, sql)) == TABLES


def test_each_migration_runs_once(store: Store) -> None:
    assert migrate(store.engine, Layout()) == []  # type: ignore[arg-type]


def test_versions_are_numbered_without_gaps() -> None:
    assert list(range(1, len(migrations()) + 1)) == [m.version for m in migrations()]


def test_each_statement_may_run_twice(store: Store) -> None:
    """Two servers may start at the same moment."""
    for migration in migrations():
        for statement in migration.statements(Layout()):
            store.engine.command(statement)  # type: ignore[attr-defined]


def test_a_new_migration_is_applied_to_an_old_store(store: Store) -> None:
    more = Migration(
        99, "more", "CREATE TABLE IF NOT EXISTS {{local:more}} (a Int8) ENGINE = Memory"
    )
    assert migrate(store.engine, Layout(), [*migrations(), more]) == [99]  # type: ignore[arg-type]
    assert scalar(store.engine, "SELECT count() FROM more") == 0


def test_a_store_of_a_newer_release_is_refused(store: Store) -> None:
    store.engine.command("INSERT INTO kelp_migrations (version, name) VALUES (999, 'future')")  # type: ignore[attr-defined]
    with pytest.raises(KelpError, match="got version 999: it was made by a newer release"):
        migrate(store.engine, Layout())  # type: ignore[arg-type]


def test_the_index_is_on_the_expression_that_is_asked_for() -> None:
    assert f"INDEX ids {ID_TOKENS} TYPE" in migrations()[0].sql


def test_an_unknown_placeholder_is_an_error() -> None:
    with pytest.raises(ValueError, match="expected a known placeholder"):
        Layout().expand("{{nonsense}}")


def test_on_a_cluster_each_table_is_replicated_and_distributed() -> None:
    statements = [s for m in migrations() for s in m.statements(CLUSTER)]
    for name in ("records", "streams", "losses", "files"):
        local = next(s for s in statements if f"{name}_local ON CLUSTER 'main'\n(" in s)
        assert re.search(r"ENGINE = Replicated\w*MergeTree", local)
        assert "replicated_deduplication_window_seconds" in local
        everywhere = next(s for s in statements if f"EXISTS {name} ON CLUSTER 'main' AS" in s)
        assert f"Distributed('main', currentDatabase(), '{name}_local'" in everywhere


def test_without_a_cluster_nothing_speaks_of_one() -> None:
    text = "\n".join(s for m in migrations() for s in m.statements(Layout()))
    assert not re.search(r"CLUSTER|Replicated|Distributed|_local|\{\{", text)
