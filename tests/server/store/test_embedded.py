from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from kelp.base.errors import ConfigError, KelpError
from kelp.base.settings import Settings
from kelp.base.settings import Store as StoreSettings
from kelp.server.ports import EngineError, read_for
from kelp.server.store.opening import directory_of, open_store
from kelp.server.store.store import Store
from tests.server.samples import group, part
from tests.server.store.reading import column, scalar
from tests.waiting import wait_until


def test_strings_come_as_bytes_also_within_maps(store: Store) -> None:
    table = store.engine.query("SELECT 'a' AS s, map('k', 'v') AS m, toLowCardinality('l') AS l")
    assert table.to_pylist() == [{"s": b"a", "m": [(b"k", b"v")], "l": b"l"}]


@pytest.mark.parametrize("value", ["it's", "a\tb\nc\\d", "ü", "", '`"$$;--'])
def test_a_text_parameter_arrives_as_it_is(store: Store, value: str) -> None:
    assert value.encode() == scalar(store.engine, "SELECT {v:String}", v=value)


def test_parameters_may_be_numbers_and_lists(store: Store) -> None:
    sql = "SELECT ({n:UInt64}, {l:Array(String)})"
    got = scalar(store.engine, sql, n=2**64 - 1, l=["a'b", "c\\"])
    assert got == {"1": 2**64 - 1, "2": [b"a'b", b"c\\"]}


def test_an_answer_tells_what_was_read_for_it(store: Store) -> None:
    store.insert(group("g", part([b"line"] * 1000)))
    rows, size = read_for(store.engine.query("SELECT count() FROM records WHERE body != 'x'"))
    assert (rows, size) == (1000, pytest.approx(1000 * (4 + 8), rel=0.5))


def test_no_rows_still_have_columns(store: Store) -> None:
    assert store.engine.query("SELECT 1 AS a WHERE 0").column_names == ["a"]


def test_an_answer_stays_as_it_is_while_others_come_and_go(store: Store) -> None:
    sql = "SELECT concat(toString(number), repeat('x', 50)) AS s FROM numbers(300000)"
    table = store.engine.query(sql)
    expected = table.column("s").to_pylist()
    for _ in range(20):
        store.engine.query(sql.replace("'x'", "'y'"))
    table.validate(full=True)
    assert expected == table.column("s").to_pylist()


def test_an_answer_outlives_its_store(tmp_path: Path) -> None:
    store = open_store(Settings(data_dir=str(tmp_path)))
    table = store.engine.query("SELECT repeat('x', 1000) AS s FROM numbers(1000)")
    store.close()
    assert {b"x" * 1000} == set(table.column("s").to_pylist())


def test_settings_apply_to_one_query_alone(store: Store) -> None:
    sql = "SELECT getSetting('max_block_size')"
    assert store.engine.query(sql, settings={"max_block_size": 7}).column(0)[0].as_py() == 7
    assert scalar(store.engine, sql) != 7


def test_an_error_has_the_engines_code(store: Store) -> None:
    with pytest.raises(EngineError) as caught:
        store.engine.query("SELECT nothing")
    assert caught.value.code == 47


def test_the_name_of_a_setting_cannot_smuggle_sql(store: Store) -> None:
    with pytest.raises(ValueError, match="expected the name of a setting"):
        store.engine.query("SELECT 1", settings={"a = 1; DROP TABLE records; --": 1})


def test_many_threads_ask_at_once(store: Store) -> None:
    store.insert(group("g", part([b"line"] * 1000)))
    results: list[int] = []
    barrier = threading.Barrier(8)

    def ask() -> None:
        barrier.wait()
        results.append(scalar(store.engine, "SELECT count() FROM records"))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [1000] * 8


def test_a_query_is_cancelled_by_its_id_and_no_other_is(store: Store) -> None:
    forever = "SELECT count() FROM numbers(1000000000000) WHERE sipHash64(number) = 1"
    codes: dict[str, int] = {}

    def ask(query_id: str) -> None:
        try:
            store.engine.query(forever, settings={"max_threads": 1}, query_id=query_id)
        except EngineError as e:
            codes[query_id] = e.code

    threads = [threading.Thread(target=ask, args=(i,)) for i in ("one", "it's two")]
    for thread in threads:
        thread.start()
    running = "SELECT count() FROM system.processes WHERE Settings['log_comment'] LIKE 'kelp:%'"
    wait_until(lambda: scalar(store.engine, running) == 2)
    store.engine.cancel("it's two")
    threads[1].join(10)
    assert codes == {"it's two": 394}
    store.engine.cancel("one")
    threads[0].join(10)
    assert codes == {"it's two": 394, "one": 394}


def test_cancelling_what_does_not_run_does_nothing(store: Store) -> None:
    store.engine.cancel("nobody")


def test_answers_are_sound_after_others_were_cancelled_in_their_midst(store: Store) -> None:
    engine = store.engine
    # Streams its answer while it runs, so that a part of it is written when it is cancelled.
    streaming = "SELECT number, sipHash64(number) AS h FROM numbers(1000000000000)"
    for number in range(10):
        asking = threading.Thread(target=_ask_until_cancelled, args=(store, streaming, str(number)))
        asking.start()
        running = (
            f"SELECT count() FROM system.processes WHERE Settings['log_comment'] = 'kelp:{number}'"
        )
        wait_until(lambda sql=running: scalar(engine, sql) == 1)
        engine.cancel(str(number))
        asking.join(10)
        assert [scalar(engine, f"SELECT {n}") for n in range(5)] == list(range(5))


def _ask_until_cancelled(store: Store, sql: str, query_id: str) -> None:
    with pytest.raises(EngineError):
        store.engine.query(sql, settings={"max_threads": 1}, query_id=query_id)


def test_an_error_does_not_end_the_engine(store: Store) -> None:
    for _ in range(3):
        with pytest.raises(EngineError):
            store.engine.query("SELECT nothing")
        assert scalar(store.engine, "SELECT count() FROM records") == 0


def test_a_second_server_is_refused(store: Store, settings: Settings) -> None:
    with pytest.raises(KelpError, match="for this server alone; it is open in process"):
        open_store(settings)


def test_a_second_process_is_refused(store: Store, settings: Settings) -> None:
    code = (
        "import sys; from kelp.base.settings import Settings\n"
        "from kelp.base.errors import KelpError\n"
        "from kelp.server.store.opening import open_store\n"
        "try: open_store(Settings(data_dir=sys.argv[1]))\n"
        "except KelpError as e: print(e)\n"
    )
    command = [sys.executable, "-c", code, settings.data_dir]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "for this server alone" in answer.stdout


def test_what_was_inserted_is_there_after_reopening(settings: Settings) -> None:
    store = open_store(settings)
    store.insert(group("g", part([b"\xff\x00 not text"])))
    store.close()
    store = open_store(settings)
    try:
        assert column(store.engine, "SELECT body FROM records") == [b"\xff\x00 not text"]
    finally:
        store.close()


def test_a_closed_store_says_so(settings: Settings) -> None:
    store = open_store(settings)
    store.close()
    with pytest.raises(EngineError, match="closed"):
        store.engine.query("SELECT 1")


@pytest.mark.parametrize("url", ["chdb://", "chdb://host/path", "chdb:///a?b", "chdb:relative"])
def test_a_url_without_an_absolute_path_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match=r"expected chdb:///path"):
        directory_of(url)


def test_an_unknown_url_is_refused(tmp_path: Path) -> None:
    wrong = Settings(data_dir=str(tmp_path), store=StoreSettings(url="postgres://x"))
    with pytest.raises(ConfigError, match=r"store\.url: expected chdb"):
        open_store(wrong)


def test_a_cluster_needs_a_server(tmp_path: Path) -> None:
    wrong = Settings(data_dir=str(tmp_path), store=StoreSettings(cluster="c"))
    with pytest.raises(ConfigError, match=r"store\.cluster"):
        open_store(wrong)
