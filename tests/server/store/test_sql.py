# ruff: noqa: E501  # SQL reads better on one line
from __future__ import annotations

from pathlib import Path

import pytest

from kelp.model.loss import Loss
from kelp.server.ports import BudgetError, QueryError, Scope, read_for
from kelp.server.store.sql import SqlLimits, run_readonly
from kelp.server.store.sql_check import VIEWS
from kelp.server.store.store import Store
from tests.server.samples import NOW_NS, WEB, group, part

OTHER = {**WEB, "namespace": "other"}
LOSS = Loss(labels=WEB, position=0, size_bytes=9, start_ns=NOW_NS, end_ns=NOW_NS, reason="deleted")


@pytest.fixture
def filled(store: Store) -> Store:
    store.insert(
        group(
            "g",
            part([b"mine", b"also mine"], losses=[LOSS]),
            part([b"elsewhere"], OTHER),
            part([b"theirs"], tenant="them", losses=[LOSS]),
        )
    )
    return store


def run(store: Store, sql: str, scope: Scope | None = None, **limits: object) -> list[list[object]]:
    scope = scope or Scope()
    table = run_readonly(store.engine, scope, sql, SqlLimits(**limits))  # type: ignore[arg-type]
    return [list(row.values()) for row in table.to_pylist()]


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("select body from logs where namespace = 'shop' order by body", [[b"also mine"], [b"mine"]]),
        ("SELECT count() FROM logs; ", [[3]]),
        ("select namespace, count() c from logs group by 1 order by c desc", [[b"shop", 2], [b"other", 1]]),
        ("with x as (select body b from logs) select count() from x", [[3]]),
        ("with 2 as n select n + count() from log_streams", [[4]]),
        ("select * from (select count() from logs union all select count() from log_streams) order by 1", [[2], [3]]),
        ("select sum(size_bytes), any(reason) from log_losses", [[9, b"deleted"]]),
        ("select countIf(position(body, 'mine') > 0), uniqIf(pod, 1) from logs", [[2, 1]]),
        ("select arrayMap(x -> x + 1, [1, 2])", [[[2, 3]]]),
        ("select case when 1 then 'a' else 'b' end, cast(1 as String), 1 between 0 and 2", [[b"a", b"1", 1]]),
        ("select count() from logs l join log_streams s on l.stream_id = s.stream_id", [[3]]),
        ("select body from logs where pod in (select pod from log_streams) and body like '%else%'", [[b"elsewhere"]]),
        ("select severity, severity_text, labels['pod'], attributes['k'] from logs limit 1",
         [[b"info", b"INFO", b"web-0", b"v"]]),
        ("select count() from numbers(10)", [[10]]),
        ("/* a; b */ select 1 -- ; drop table records", [[1]]),
        ("select 'a\nTableIdentifier records', `pod (alias x)` from (select pod as `pod (alias x)` from logs limit 1)",
         [[b"a\nTableIdentifier records", b"web-0"]]),
    ],
)  # fmt: skip
def test_what_may_run(filled: Store, sql: str, expected: list[list[object]]) -> None:
    assert run(filled, sql) == expected


@pytest.mark.parametrize(
    "sql",
    [
        "",
        "selec 1",
        "select 1; select 2",
        "drop table records",
        "insert into records select * from records",
        "explain select 1",
        "show tables",
        "describe logs",
        "set max_threads = 1",
        "system flush logs",
        "select * from records",
        "select * from RECORDS_local, records",
        "select * from `records` as logs",
        "select * from records as `a (children 1)`",
        "select * from system.tables",
        "select * from default.records",
        "select * from default.`records`",
        "select 1 from logs where 1 in records",
        "select 1 from logs where stream_id global not in records",
        "select 1 in `records` as `x\nLiteral`",
        "select (select count() from records)",
        "with records as (select 1) select * from records",
        "select * from (with streams as (select 1) select * from streams) a, streams",
        "select * from file('/etc/passwd')",
        "select * from url('http://127.0.0.1')",
        "select * from merge('.*')",
        "select * from view(select * from records)",
        "select * from executable('id', 'TSV', 'x String')",
        "select * from numbers(1) n, remote('127.0.0.1', system.one)",
        "select * from (select * from viewIfPermitted(select 1 else null('x Int8')))",
        "select file('/etc/passwd')",
        "select FILE('/etc/passwd')",
        "select arrayMap(file, ['/etc/passwd'])",
        "select arrayMap(`file`, ['/etc/passwd'])",
        "select * apply(file) from (select '/etc/passwd')",
        "select columns('.*') apply file from (select '/etc/passwd')",
        "select arrayMap(x -> file(x), ['/etc/passwd'])",
        "select dictGet('d', 'a', 1)",
        "select joinGet('records', 'body', 1)",
        "select sleep(3)",
        "select sleepEachRow(0.1) from logs",
        "select hostName()",
        "select getSetting('max_threads')",
        "select getServerSetting('max_server_memory_usage')",
        "select currentUser()",
        "select aiGenerate('x')",
        "select addressToLine(1)",
        "select naiveBayesClassifier('m', 'x')",
        "select 1 settings max_memory_usage = 0",
        "select * from (select 1 settings max_memory_usage = 0)",
        "select 1 format JSON",
        "select 1 into outfile '/tmp/kelp-must-not-be'",
        "select {p:String}",
        "select 1 as x, x from logs where `a\nb` = 1",
    ],
)
def test_what_may_not_run(filled: Store, sql: str) -> None:
    with pytest.raises(QueryError, match=r"expected|Code: "):
        run(filled, sql)
    assert not Path("/tmp/kelp-must-not-be").exists()


def test_a_literal_that_is_no_text_is_the_users_error(filled: Store) -> None:
    with pytest.raises(QueryError, match=r"expected SQL .* UTF-8; got .* 0xff; .*unhex"):
        run(filled, r"select '\xff'")
    assert run(filled, "select unhex('ff')") == [[b"\xff"]]


def test_a_tenant_sees_its_own(filled: Store) -> None:
    theirs = Scope(tenant="them")
    assert run(filled, "select body from logs", theirs) == [[b"theirs"]]
    assert run(filled, "select count() from log_streams", theirs) == [[1]]
    assert run(filled, "select count() from log_losses", theirs) == [[1]]
    assert run(filled, "select count() from logs", Scope(tenant="nobody' OR 1 --")) == [[0]]


def test_a_condition_narrows_every_view(filled: Store) -> None:
    narrow = Scope(condition="labels['namespace'] = 'other'")
    assert run(filled, "select body from logs", narrow) == [[b"elsewhere"]]
    assert run(filled, "select count() from log_streams", narrow) == [[1]]
    assert run(filled, "select count() from log_losses", narrow) == [[0]]


def test_a_condition_with_or_cannot_widen(filled: Store) -> None:
    wide = Scope(condition="0 OR 1")
    assert run(filled, "select count() from logs", wide) == [[3]]


def test_too_many_rows_are_an_error_that_says_so(filled: Store) -> None:
    assert run(filled, "select body from logs limit 2", max_rows=2)
    with pytest.raises(BudgetError, match="more than 2 rows; add a LIMIT"):
        run(filled, "select body from logs", max_rows=2)


@pytest.mark.parametrize(
    ("limits", "setting"),
    [
        ({"timeout_s": 0.3}, "timeout_s"),
        ({"max_scanned_rows": 1000}, "max_scanned_rows"),
        ({"max_scanned_bytes": 1000}, "max_scanned_bytes"),
    ],
)
def test_a_budget_ends_a_query(filled: Store, limits: dict[str, object], setting: str) -> None:
    endless = "select count() from numbers(100000000000) where cityHash64(number) = 1"
    generous = {"max_scanned_rows": 10**15, "max_scanned_bytes": 10**15}
    with pytest.raises(BudgetError, match=setting):
        run(filled, endless, **{**generous, **limits})


def test_memory_is_bounded(filled: Store) -> None:
    hungry = "select length(groupArray(number)) from numbers(100000000)"
    with pytest.raises(BudgetError, match="max_memory_bytes"):
        run(filled, hungry, max_memory_bytes=20_000_000)


def test_the_engines_own_errors_are_the_users(filled: Store) -> None:
    with pytest.raises(QueryError, match="nothing"):
        run(filled, "select nothing from logs")


def test_many_streams_are_joined_with_the_same_answer(
    filled: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    sql = "select * from logs order by stream_id, position"
    few = run(filled, sql)
    monkeypatch.setattr("kelp.server.store.sql._FEW_STREAMS", 0)
    assert run(filled, sql) == few
    assert len(few) == 3


def test_the_newest_records_cost_no_more_than_their_bodies(store: Store) -> None:
    store.insert(group("long", part([b"x" * 1000] * 20_000), part([b"y" * 1000] * 20_000, OTHER)))
    sql = "select timestamp, pod, labels, body from logs order by timestamp desc limit 5"
    newest = run_readonly(store.engine, Scope(), sql)
    whole = run_readonly(store.engine, Scope(), "select max(cityHash64(body, labels)) from logs")
    assert read_for(newest)[1] < read_for(whole)[1] / 3


def test_without_streams_there_is_nothing(store: Store) -> None:
    assert run(store, "select * from logs", Scope("nobody")) == []


@pytest.mark.parametrize("view", VIEWS)
def test_each_view_shows_all_its_columns(filled: Store, view: str) -> None:
    assert run(filled, f"select * from {view}")
