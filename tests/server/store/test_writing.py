from __future__ import annotations

import pytest

from kelp.base.settings import Settings
from kelp.model.loss import Loss, SourceFile
from kelp.model.stream import Stream
from kelp.server.ports import EngineError, RefusedError
from kelp.server.store.database import Database
from kelp.server.store.errors import insert_failed
from kelp.server.store.known import KnownStreams
from kelp.server.store.opening import open_store
from kelp.server.store.store import Store
from kelp.server.store.writing import Writer
from tests.server.samples import DAY_NS, NOW_NS, WEB, group, part
from tests.server.store.reading import column, scalar

LOSS = Loss(
    labels={"namespace": "shop", "pod": "web-0"},
    position=5,
    size_bytes=7,
    start_ns=NOW_NS,
    end_ns=NOW_NS + 1,
    reason="rotated_away",
)
FILE = SourceFile(
    path="/var/log/pods/x/0.log",
    device=1,
    inode=2,
    fingerprint="ab",
    fingerprint_bytes=64,
    base=0,
    size=10,
    labels={"pod": "web-0"},
)


def counts(store: Store) -> dict[str, int]:
    tables = {"records": "records", "losses": "losses FINAL", "files": "files FINAL"}
    return {k: scalar(store.engine, f"SELECT count() FROM {t}") for k, t in tables.items()}


def test_a_record_comes_back_as_it_was(store: Store) -> None:
    store.insert(group("g", part([b"hello \xff\x00"])))
    (row,) = store.engine.query("SELECT * FROM records").to_pylist()
    row["timestamp"], row["observed_timestamp"] = (
        row[c].value for c in ("timestamp", "observed_timestamp")
    )
    assert {
        "stream_id": Stream(WEB).id,
        "timestamp": NOW_NS,
        "observed_timestamp": NOW_NS,
        "position": 0,
        "severity_number": 9,
        "severity_text": b"INFO",
        "trace_id": b"",
        "span_id": b"",
        "body": b"hello \xff\x00",
        "attributes": [(b"k", b"v")],
    } == row


def test_a_group_offered_again_is_stored_once(store: Store) -> None:
    one = group("g", part([b"a", b"b"], losses=[LOSS], files=[FILE]))
    store.insert(one)
    store.insert(one)
    assert counts(store) == {"records": 2, "losses": 1, "files": 1}


def test_a_group_offered_again_after_a_restart_is_stored_once(settings: Settings) -> None:
    one = group("g", part([b"a", b"b"], losses=[LOSS], files=[FILE]))
    for _ in range(2):
        store = open_store(settings)
        try:
            store.insert(one)
            assert counts(store) == {"records": 2, "losses": 1, "files": 1}
        finally:
            store.close()


def test_the_same_records_under_another_name_are_other_records(store: Store) -> None:
    store.insert(group("g", part([b"a"])))
    store.insert(group("h", part([b"a"])))
    assert counts(store)["records"] == 2


def test_a_repeat_over_many_days_and_blocks_is_stored_once(store: Store) -> None:
    days = [
        part([b"x" * 50] * 30_000, start_ns=NOW_NS - i * DAY_NS, observed_ns=NOW_NS - i * DAY_NS)
        for i in range(5)
    ]
    store.insert(group("g", *days))
    store.insert(group("g", *days))
    assert counts(store)["records"] == 150_000
    assert scalar(store.engine, "SELECT uniqExact(_partition_id) FROM records") == 5


def test_what_an_earlier_attempt_left_out_is_added(store: Store) -> None:
    """As when the process died between the first day's part and the second's.

    Dropping a partition makes the engine forget that it has seen it.
    """
    second = part([b"b"], start_ns=NOW_NS - DAY_NS, observed_ns=NOW_NS - DAY_NS)
    both = group("g", part([b"a"]), second)
    store.insert(both)
    store.engine.command("ALTER TABLE records DROP PARTITION ID '20251119'")  # type: ignore[attr-defined]
    assert column(store.engine, "SELECT body FROM records") == [b"a"]
    store.insert(both)
    assert column(store.engine, "SELECT body FROM records ORDER BY body") == [b"a", b"b"]


def test_wild_times_make_few_partitions(store: Store) -> None:
    years = range(-60, 200)
    wild = [part([b"x"], start_ns=NOW_NS + y * 365 * DAY_NS) for y in years]
    extreme = [part([b"x"], start_ns=ns) for ns in (-(2**63) + 1, 2**63 - 1, 0, -1)]
    store.insert(group("g", *wild, *extreme))
    assert len(years) + 4 == counts(store)["records"]
    assert scalar(store.engine, "SELECT uniqExact(_partition_id) FROM records") == 1


def test_a_wild_clock_of_an_agent_makes_few_partitions(store: Store) -> None:
    wild = [
        part([b"x"], start_ns=NOW_NS + y * 200 * DAY_NS, observed_ns=NOW_NS + y * 200 * DAY_NS)
        for y in range(-90, 90)
    ]
    store.insert(group("g", *wild))
    assert scalar(store.engine, "SELECT uniqExact(_partition_id) FROM records") == 1
    assert scalar(store.engine, "SELECT uniqExact(timestamp) FROM records") == 180


def test_an_empty_group_stores_nothing(store: Store) -> None:
    store.insert(group("g"))
    assert counts(store) == {"records": 0, "losses": 0, "files": 0}


def test_a_loss_without_records_is_stored(store: Store) -> None:
    store.insert(group("g", part([], losses=[LOSS])))
    assert counts(store) == {"records": 0, "losses": 1, "files": 0}
    row = store.engine.query("SELECT * FROM losses").to_pylist()[0]
    assert (row["size_bytes"], row["reason"], row["seq"]) == (7, b"rotated_away", 1)


def test_the_newest_size_of_a_file_counts(store: Store) -> None:
    grown = SourceFile(**{**{f: getattr(FILE, f) for f in FILE.__struct_fields__}, "size": 99})
    store.insert(group("g", part([b"a"], files=[FILE])))
    store.insert(group("h", part([b"b"], files=[grown]), created_ns=NOW_NS + 1))
    assert column(store.engine, "SELECT size FROM files FINAL") == [99]


def test_a_stream_has_one_row_once_merged_and_times_around_its_records(store: Store) -> None:
    store.insert(group("g", part([b"a"])))
    store.insert(group("h", part([b"b"], start_ns=NOW_NS + DAY_NS)))
    row = store.engine.query(
        "SELECT stream_id, labels, toUnixTimestamp64Nano(min(first_timestamp)) AS first, "
        "toUnixTimestamp64Nano(max(last_timestamp)) AS last "
        "FROM streams WHERE tenant = '' GROUP BY stream_id, labels"
    ).to_pylist()
    assert len(row) == 1
    assert {k.encode(): v.encode() for k, v in WEB.items()} == dict(row[0]["labels"])
    assert row[0]["first"] <= NOW_NS
    assert NOW_NS + DAY_NS <= row[0]["last"] < NOW_NS + DAY_NS + 600_000_000_000


def test_a_stream_that_goes_on_is_not_written_again(store: Store) -> None:
    store.insert(group("g", part([b"a"])))
    before = scalar(store.engine, "SELECT count() FROM streams")
    store.insert(group("h", part([b"b"], start_ns=NOW_NS + 1_000_000)))
    assert before == scalar(store.engine, "SELECT count() FROM streams")


def test_tenants_with_the_same_labels_have_streams_of_their_own(store: Store) -> None:
    store.insert(group("g", part([b"a"]), part([b"b"], tenant="other")))
    assert scalar(store.engine, "SELECT uniqExact(stream_id) FROM streams") == 2
    theirs = "SELECT stream_id FROM streams WHERE tenant = 'other'"
    sql = f"SELECT body FROM records WHERE stream_id IN ({theirs})"
    assert column(store.engine, sql) == [b"b"]


def test_a_stream_is_known_only_when_it_is_stored(store: Store) -> None:
    """A failed insert must not make the next one believe that the stream's row is there."""

    class Failing:
        def __init__(self, database: Database) -> None:
            self.database, self.fail = database, True

        def insert(self, table: str, rows: object, *, settings: object) -> None:
            if self.fail:
                raise EngineError("no", 241)
            self.database.insert(table, rows, settings=settings)  # type: ignore[arg-type]

    failing = Failing(store.engine)  # type: ignore[arg-type]
    writer = Writer(failing, KnownStreams())  # type: ignore[arg-type]
    with pytest.raises(EngineError):
        writer.insert(group("g", part([b"a"])))
    failing.fail = False
    writer.insert(group("g", part([b"a"])))
    assert scalar(store.engine, "SELECT count() FROM streams") == 1


@pytest.mark.parametrize(("code", "refused"), [(53, True), (70, True), (252, False), (0, False)])
def test_only_errors_about_the_data_are_final(code: int, refused: bool) -> None:
    assert refused == isinstance(insert_failed(EngineError("x", code)), RefusedError)
