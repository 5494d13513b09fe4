"""Requests to delete, with the queries' own idea of what they mean."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from kelp.base.settings import Query, Settings
from kelp.base.settings import Store as StoreSettings
from kelp.server.ports import Deletion, Doomed, EngineError, QueryError, Scope
from kelp.server.query.service import QueryService
from kelp.server.store.deletions import DeletionRequests
from kelp.server.store.opening import open_store
from kelp.server.store.schema import Layout
from kelp.server.store.store import Store
from tests.server.samples import DAY_NS, NOW_NS, WEB, group, part
from tests.server.store.reading import column, scalar
from tests.waiting import wait_until

MS = 1_000_000
MINUTE = 60_000_000_000
OTHER = {**WEB, "pod": "web-1"}
REQUEST = Deletion("d1", "", '{pod="web-0"}', "1", 0, NOW_NS + DAY_NS, NOW_NS)


@pytest.fixture
def filled(store: Store) -> Store:
    insert(store)
    return store


def insert(store: Store) -> None:
    store.insert(
        group(
            "g",
            part([b"a secret", b"b", b"c secret d"]),
            part([b"a secret"], OTHER),
            part([b"a secret"], tenant="them"),
        )
    )
    store.insert(group("h", part([b"old secret"], start_ns=NOW_NS - DAY_NS)))


def run(store: Store, at_ns: int = NOW_NS + MINUTE) -> int:
    return store.run_deletions(QueryService(store.engine, Query()).doomed, at_ns)


def bodies(store: Store) -> list[bytes]:
    return column(store.engine, "SELECT body FROM records ORDER BY body")


def test_only_streams_of_the_selector_and_the_tenant_are_deleted(filled: Store) -> None:
    filled.deletions.add(REQUEST)
    assert run(filled) == 4
    assert bodies(filled) == [b"a secret", b"a secret"]
    assert scalar(filled.engine, "SELECT uniqExact(stream_id) FROM streams") == 3


@pytest.mark.parametrize(
    ("stages", "gone"),
    [
        ('|= "secret"', 3),
        ('!= "secret"', 1),
        ('|~ "^[ab]"', 2),
        ('|> "<_>secret<_>"', 1),
        ('|= "secret" != "old" or "d"', 1),
    ],
)
def test_line_filters_narrow(filled: Store, stages: str, gone: int) -> None:
    filled.deletions.add(replace(REQUEST, query=REQUEST.query + stages))
    assert run(filled) == gone
    assert len(bodies(filled)) == 6 - gone


def test_both_ends_of_the_range_are_in_it(filled: Store) -> None:
    filled.deletions.add(replace(REQUEST, start_ns=NOW_NS + MS, end_ns=NOW_NS + 2 * MS))
    assert run(filled) == 2
    assert b"b" not in bodies(filled)


def test_a_request_waits_for_its_time(filled: Store) -> None:
    filled.deletions.add(REQUEST)
    assert run(filled, NOW_NS + MINUTE - 1) == 0
    assert [d.processed for d in filled.deletions.listed(Scope())] == [False]
    assert run(filled) == 4
    assert [d.processed for d in filled.deletions.listed(Scope())] == [True]


def test_what_was_asked_survives_a_restart(store: Store, settings: Settings) -> None:
    insert(store)
    asked = replace(REQUEST, query='{pod="web-0"} |= "ü\'\\\\"', start_ns=-5)
    store.deletions.add(asked)
    store.close()
    again = open_store(settings)
    try:
        assert again.deletions.listed(Scope()) == [asked]
    finally:
        again.close()


def test_a_repeated_insert_brings_nothing_back(filled: Store) -> None:
    filled.deletions.add(REQUEST)
    run(filled)
    insert(filled)
    assert bodies(filled) == [b"a secret", b"a secret"]


def test_the_parts_are_written_without_what_was_deleted(filled: Store) -> None:
    filled.deletions.add(REQUEST)
    run(filled)
    undone = "SELECT count() FROM system.mutations WHERE NOT is_done"
    wait_until(lambda: not scalar(filled.engine, undone), 10)
    assert (
        scalar(filled.engine, "SELECT sum(rows) FROM system.parts WHERE active AND table='records'")
        == 2
    )


def test_a_crash_before_the_note_does_it_again(
    filled: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled.deletions.add(REQUEST)

    def crash(self: object, deletion: Deletion, rank: int) -> None:
        raise EngineError("away")

    with monkeypatch.context() as patched:
        patched.setattr(DeletionRequests, "_put", crash)
        with pytest.raises(EngineError, match="away"):
            run(filled)
    assert [d.processed for d in filled.deletions.listed(Scope())] == [False]
    assert run(filled) == 0
    assert [d.processed for d in filled.deletions.listed(Scope())] == [True]


def test_one_that_cannot_be_done_does_not_hold_up_the_others(filled: Store) -> None:
    filled.deletions.add(replace(REQUEST, id="bad", query="{", created_ns=NOW_NS - 1))
    filled.deletions.add(replace(REQUEST, id="failing", created_ns=NOW_NS - 1))
    filled.deletions.add(REQUEST)
    service = QueryService(filled.engine, Query())

    def doom(deletion: Deletion) -> Doomed:
        if deletion.id == "failing":
            raise EngineError("no memory")
        return service.doomed(deletion)

    with pytest.raises(EngineError, match="no memory"):
        filled.run_deletions(doom, NOW_NS + MINUTE)
    states = {d.id: d.processed for d in filled.deletions.listed(Scope())}
    assert states == {"bad": False, "failing": False, "d1": True}


def test_a_cancelled_request_is_neither_listed_nor_done(filled: Store) -> None:
    filled.deletions.add(REQUEST)
    assert filled.deletions.cancel(REQUEST)
    assert not filled.deletions.cancel(REQUEST)
    assert filled.deletions.listed(Scope()) == []
    assert run(filled) == 0
    assert len(bodies(filled)) == 6


def test_what_is_under_way_or_done_cannot_be_cancelled(filled: Store) -> None:
    filled.deletions.add(REQUEST)
    meanwhile: list[bool] = []
    service = QueryService(filled.engine, Query())

    def doom(deletion: Deletion) -> Doomed:
        meanwhile.append(filled.deletions.cancel(deletion))
        return service.doomed(deletion)

    assert filled.run_deletions(doom, NOW_NS + MINUTE) == 4
    assert [*meanwhile, filled.deletions.cancel(REQUEST)] == [False, False]


def test_the_rights_of_the_asker_bound_it(filled: Store) -> None:
    narrow = Scope(condition="labels['pod'] = 'web-1'")
    asked = replace(REQUEST, query='{pod=~".+"}', scope=narrow.condition)
    filled.deletions.add(asked)
    assert filled.deletions.listed(narrow) == [asked]
    assert filled.deletions.listed(Scope(condition="labels['pod'] = 'x'")) == []
    assert filled.deletions.listed(Scope("them")) == []
    assert run(filled) == 1


def test_many_streams_are_deleted_in_turns(filled: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kelp.server.store.deletions._IDS_AT_ONCE", 1)
    filled.deletions.add(replace(REQUEST, query='{pod=~".+"}'))
    assert run(filled) == 5
    assert bodies(filled) == [b"a secret"]


def test_on_a_cluster_the_local_tables_are_changed_everywhere() -> None:
    requests = DeletionRequests(None, Layout(cluster="main"), 0)  # type: ignore[arg-type]
    assert requests._table == "records_local ON CLUSTER 'main'"


def test_a_delay_of_zero_is_due_at_once(tmp_path: Path) -> None:
    store = open_store(Settings(data_dir=str(tmp_path), store=StoreSettings(delete_delay_s=0)))
    try:
        insert(store)
        store.deletions.add(REQUEST)
        assert run(store, NOW_NS) == 4
    finally:
        store.close()


def test_a_failed_query_error_is_of_the_query() -> None:
    with pytest.raises(QueryError, match="line filters"):
        QueryService(None, Query()).doomed(replace(REQUEST, query='{a="b"} | json'))  # type: ignore[arg-type]
