"""The way over the network, against an HTTP front of the embedded engine."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from kelp.base.errors import ConfigError
from kelp.base.settings import Query, Server, Settings
from kelp.base.settings import Store as StoreSettings
from kelp.server.ports import Deletion, EngineError, Scope
from kelp.server.query.service import QueryService
from kelp.server.receive.inbox import Inbox
from kelp.server.store.opening import open_store
from kelp.server.store.remote import RemoteDatabase
from kelp.server.store.sql import run_readonly
from kelp.server.store.store import Store
from tests.doubles.clickhouse_http import ClickHouseServer
from tests.server.samples import DAY_NS, NOW_NS, group, part, segment
from tests.server.store.reading import column, scalar
from tests.waiting import wait_until


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ClickHouseServer]:
    server = ClickHouseServer(tmp_path / "server")
    yield server
    server.close()


@pytest.fixture
def remote(server: ClickHouseServer) -> Iterator[Store]:
    store = open_store(Settings(store=StoreSettings(url=server.url)))
    yield store
    store.close()


def test_a_group_goes_there_and_comes_back(remote: Store) -> None:
    remote.insert(group("g", part([b"a\xff\x00", b"b"])))
    assert column(remote.engine, "SELECT body FROM records ORDER BY body") == [b"a\xff\x00", b"b"]


def test_a_repeat_is_dropped(remote: Store) -> None:
    for _ in range(2):
        remote.insert(group("g", part([b"a"]), part([b"b"], start_ns=NOW_NS - DAY_NS)))
    assert scalar(remote.engine, "SELECT count() FROM records") == 2


def test_a_deletion_is_kept_and_done_there(remote: Store) -> None:
    remote.insert(group("g", part([b"a secret", b"b"])))
    asked = Deletion("d", "", '{pod=~".+"} |= "secret"', "1", 0, NOW_NS + DAY_NS, NOW_NS)
    remote.deletions.add(asked)
    assert remote.deletions.listed(Scope()) == [asked]
    queries = QueryService(remote.engine, Query())
    assert remote.run_deletions(queries.doomed, NOW_NS + DAY_NS) == 1
    assert column(remote.engine, "SELECT body FROM records") == [b"b"]
    assert [d.processed for d in remote.deletions.listed(Scope())] == [True]


@pytest.mark.parametrize("value", ["it's", "a\tb\nc\\d", "ü", "x" * 10_000])
def test_parameters_arrive_as_they_are(remote: Store, value: str) -> None:
    remote.prepare()
    assert scalar(remote.engine, "SELECT {v:String}", v=value) == value.encode()


def test_answers_have_the_shape_of_the_embedded_engines(remote: Store) -> None:
    table = remote.engine.query("SELECT 'a' AS s, map('k', 'v') AS m, toLowCardinality('l') AS l")
    assert table.to_pylist() == [{"s": b"a", "m": [(b"k", b"v")], "l": b"l"}]


def test_settings_and_errors_with_codes(remote: Store) -> None:
    sql = "SELECT getSetting('max_block_size') AS n"
    assert remote.engine.query(sql, settings={"max_block_size": 7}).column("n")[0].as_py() == 7
    with pytest.raises(EngineError) as caught:
        remote.engine.query("SELECT nothing")
    assert caught.value.code == 47


def test_a_query_is_cancelled(remote: Store) -> None:
    forever = "SELECT count() FROM numbers(1000000000000) WHERE sipHash64(number) = 1"
    errors: list[int] = []

    def ask() -> None:
        try:
            remote.engine.query(forever, query_id="mine")
        except EngineError as e:
            errors.append(e.code)

    thread = threading.Thread(target=ask)
    thread.start()
    running = "SELECT count() FROM system.processes WHERE Settings['log_comment'] LIKE '%mine'"
    wait_until(lambda: scalar(remote.engine, running) == 1)
    remote.engine.cancel("mine")
    thread.join(10)
    assert errors == [394]


def test_sql_and_retention_work_there_too(remote: Store) -> None:
    old = NOW_NS - 50 * DAY_NS
    remote.insert(group("g", part([b"new"]), part([b"old"], start_ns=old, observed_ns=old)))
    assert remote.apply_retention(NOW_NS).partitions == 1
    assert run_readonly(remote.engine, Scope(), "select body from logs").column(0).to_pylist() == [
        b"new"
    ]


def test_a_server_that_is_away_at_the_start_is_no_error(tmp_path: Path) -> None:
    store = open_store(Settings(store=StoreSettings(url="http://127.0.0.1:9/default")))
    with pytest.raises(EngineError) as caught:
        store.insert(group("g", part([b"a"])))
    assert caught.value.code == 0
    store.close()


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_connection_that_breaks_in_an_insert_stores_once(
    server: ClickHouseServer, remote: Store, tmp_path: Path, when: str
) -> None:
    """Broken after the insert, nobody knows whether it was done: the same group comes again."""
    remote.prepare()
    broken: list[str] = []

    def break_off(sql: str) -> str:
        if "INSERT INTO `records`" not in sql or len(broken) >= 4:
            return ""
        broken.append(sql)
        return when

    server.break_off = break_off
    inbox = Inbox(
        tmp_path / "inbox",
        remote.insert,
        Server(insert_interval_s=0.0),
        registry=CollectorRegistry(),
    )
    inbox.accept("", segment(1, [b"a", b"b"]))
    assert inbox.flush()
    inbox.close()
    assert len(broken) == 4
    assert scalar(remote.engine, "SELECT count() FROM records") == 2


def test_on_a_cluster_a_kill_goes_everywhere() -> None:
    class Told(RemoteDatabase):
        said: str = ""

        def command(self, sql: str, **_: object) -> None:
            self.said = sql

    database = Told("http://127.0.0.1:9", "main")
    database.cancel("it's")
    assert database.said == "KILL QUERY ON CLUSTER 'main' WHERE query_id = 'it\\'s' ASYNC"


@pytest.mark.parametrize("setting", [{"encryption_key_file": "/x"}, {"max_bytes": 1}])
def test_settings_of_the_embedded_store_are_refused(setting: dict[str, object]) -> None:
    options = StoreSettings(url="http://127.0.0.1:9", **setting)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="expected none with a ClickHouse server"):
        open_store(Settings(store=options))
