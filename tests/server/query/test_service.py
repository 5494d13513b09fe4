"""QueryService beyond the language: rights, order, labels, losses, tail, budget, explain."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from kelp.base.settings import Query
from kelp.model.loss import Loss
from kelp.server.ports import BudgetError, QueryError, Scope
from kelp.server.query.plan import slices
from kelp.server.query.service import Budget, QueryService, TailCursor
from kelp.server.result import Answer, Entry, Matrix, StreamEntries, Streams, Vector
from kelp.server.store.store import Store
from tests.server.query.store import EPOCH, SECOND, Line, insert

WEB = {"namespace": "shop", "pod": "web-0", "app": "web", "stream": "stdout"}
DB = {"namespace": "shop", "pod": "db-0", "app": "db", "stream": "stderr"}
OPS = {"namespace": "ops", "pod": "cron-0", "stream": "stdout"}
START, END = EPOCH, EPOCH + 600 * SECOND


def _fill(store: Store, scope: Scope) -> None:
    lines = [Line(WEB, i * SECOND, b"web %d" % i, severity=9) for i in range(10)]
    lines += [Line(DB, i * SECOND, b"db %d" % i, severity=17) for i in range(5)]
    lines += [Line(OPS, 5 * SECOND, b"ops", trace_id="4bf92f35")]
    insert(store, scope.tenant, lines)


def _streams(answer: Answer) -> list[StreamEntries]:
    assert isinstance(answer.data, Streams)
    return answer.data.streams


def _bodies(found: Iterator[tuple[dict[str, str], Entry]]) -> list[bytes]:
    return [entry.line for _, entry in found]


def _vector(answer: Answer) -> dict[tuple[str, ...], float]:
    assert isinstance(answer.data, Vector)
    return {tuple(s.labels.values()): s.value for s in answer.data.samples}


# --- rights ------------------------------------------------------------------------------


def test_other_tenants_and_streams_are_out_of_reach(
    store: Store, service: QueryService, scope: Scope
) -> None:
    _fill(store, scope)
    stranger = Scope(scope.tenant + "-x")
    narrow = replace(scope, condition="labels['namespace'] = 'ops'")
    everything = '{namespace=~".+"}'

    def namespaces(who: Scope) -> set[str]:
        found = service.range(everything, who, start_ns=START, end_ns=END, limit=1000)
        return {s.labels["namespace"] for s in _streams(found)}

    assert {"shop", "ops"} == namespaces(scope)
    assert set() == namespaces(stranger)
    assert {"ops"} == namespaces(narrow)
    count = f"sum by (namespace) (count_over_time({everything}[11m]))"
    assert _vector(service.instant(count, narrow, time_ns=END)) == {("ops",): 1.0}
    assert service.label_values("namespace", narrow, start_ns=START, end_ns=END) == ["ops"]
    assert service.labels(narrow, start_ns=START, end_ns=END) == ["namespace", "pod", "stream"]
    assert service.series(['{pod=~".+"}'], narrow, start_ns=START, end_ns=END) == [OPS]
    assert _bodies(service.records(everything, narrow, start_ns=START, end_ns=END)) == [b"ops"]
    cursor = TailCursor(START)
    assert service.tail(everything, stranger, after=cursor)[0] == []
    assert service.stats(everything, narrow, start_ns=START, end_ns=END)["entries"] == 1


# --- order -------------------------------------------------------------------------------


def test_equal_times_are_ordered_by_position(
    store: Store, service: QueryService, scope: Scope
) -> None:
    lines = [
        Line({**WEB, "stream": name}, SECOND, b"%d" % position, position=position)
        for position, name in [(30, "stdout"), (10, "stderr"), (20, "stdout"), (40, "stderr")]
    ]
    insert(store, scope.tenant, lines)
    asked = {"start_ns": START, "end_ns": END}
    forward = _bodies(service.records('{pod="web-0"}', scope, direction="forward", **asked))
    backward = _bodies(service.records('{pod="web-0"}', scope, direction="backward", **asked))
    assert forward == [b"10", b"20", b"30", b"40"]
    assert backward == [b"40", b"30", b"20", b"10"]
    newest = service.range('{pod="web-0"}', scope, limit=1, direction="backward", **asked)
    assert [e.line for s in _streams(newest) for e in s.entries] == [b"40"]


@pytest.mark.parametrize("direction", ["forward", "backward"])
@pytest.mark.parametrize("query", ['{a="b"}', '{a="b"} | logfmt | n!=7'])
def test_all_records_come_once_and_in_order_through_small_chunks(
    store: Store, service: QueryService, scope: Scope, monkeypatch: pytest.MonkeyPatch,
    direction: str, query: str,
) -> None:  # fmt: skip
    times = [0] * 7 + [1] * 5 + list(range(2, 40)) + [500_000_000_000] * 6
    lines = [Line({"a": "b"}, t, b"n=%d" % i, position=i) for i, t in enumerate(times)]
    insert(store, scope.tenant, lines)
    monkeypatch.setattr(slices, "CHUNK_ROWS", 4)
    found = service.records(query, scope, start_ns=START, end_ns=END, direction=direction)
    expected = [b"n=%d" % i for i in range(len(times)) if "logfmt" not in query or i != 7]
    assert (expected if direction == "forward" else expected[::-1]) == _bodies(found)


def test_a_log_range_holds_its_start_and_not_its_end(
    store: Store, service: QueryService, scope: Scope
) -> None:
    insert(store, scope.tenant, [Line(WEB, i, b"%d" % i) for i in range(5)])
    found = service.records('{app="web"}', scope, start_ns=EPOCH + 1, end_ns=EPOCH + 4)
    assert _bodies(found) == [b"1", b"2", b"3"]


def test_limit(store: Store, service: QueryService, scope: Scope) -> None:
    _fill(store, scope)
    found = service.range('{namespace="shop"}', scope, start_ns=START, end_ns=END, limit=3)
    assert 3 == sum(len(s.entries) for s in _streams(found)) == found.stats.entries_returned
    with pytest.raises(QueryError, match="max entries limit per query exceeded"):
        service.range('{app="web"}', scope, start_ns=START, end_ns=END, limit=5001)


# --- what there is -----------------------------------------------------------------------


def test_labels_values_and_series(store: Store, service: QueryService, scope: Scope) -> None:
    _fill(store, scope)
    asked = {"start_ns": START, "end_ns": END}
    assert service.labels(scope, **asked) == ["app", "namespace", "pod", "stream"]
    assert service.labels(scope, query='{namespace="ops"}', **asked) == [
        "namespace",
        "pod",
        "stream",
    ]
    assert service.label_values("pod", scope, **asked) == ["cron-0", "db-0", "web-0"]
    assert service.label_values("pod", scope, query='{app=~"d."}', **asked) == ["db-0"]
    assert service.label_values("nope", scope, **asked) == []
    assert service.series(['{app="web"}', '{stream="stderr"}'], scope, **asked) == [DB, WEB]
    assert len(service.series([], scope, **asked)) == 3
    assert service.series(["{}"], scope, start_ns=END * 2, end_ns=END * 3) == []
    with pytest.raises(QueryError, match="at least one regexp or equality matcher"):
        service.series(['{app=~".*"}'], scope, **asked)
    with pytest.raises(QueryError, match="only label matchers are supported"):
        service.labels(scope, query='{app="x"} | json', **asked)


def test_derived_labels(store: Store, scope: Scope) -> None:
    _fill(store, scope)
    service = QueryService(store.engine, Query(), store.dialect)
    asked = {"start_ns": START, "end_ns": END}
    assert "service_name" in service.labels(scope, **asked)
    assert service.label_values("service_name", scope, **asked) == ["db", "unknown_service", "web"]
    assert service.series(['{service_name="web"}'], scope, **asked) == [
        {**WEB, "service_name": "web"}
    ]
    query = 'sum by (detected_level) (count_over_time({pod=~".+"}[11m]))'
    levels = _vector(service.instant(query, scope, time_ns=END))
    assert levels == {("info",): 10.0, ("error",): 5.0, ("unknown",): 1.0}
    query = 'count_over_time({service_name="db"} | detected_level="error" [11m])'
    assert list(_vector(service.instant(query, scope, time_ns=END)).values()) == [5.0]
    (only,) = _streams(service.range('{pod="cron-0"}', scope, **asked))
    assert only.entries[0].metadata == {"detected_level": "unknown", "trace_id": "4bf92f35"}
    query = 'sum by (trace_id) (count_over_time({pod="cron-0"} | trace_id!="" [11m]))'
    assert _vector(service.instant(query, scope, time_ns=END)) == {("4bf92f35",): 1.0}


def test_stats_and_volume(store: Store, service: QueryService, scope: Scope) -> None:
    _fill(store, scope)
    asked = {"start_ns": START, "end_ns": END}
    stats = service.stats('{namespace="shop"}', scope, **asked)
    assert (stats["streams"], stats["entries"], stats["bytes"]) == (2, 15, 70)
    volume = service.volume('{namespace=~".+"}', scope, **asked)
    assert _vector(volume) == {("shop",): 70.0, ("ops",): 3.0}
    volume = service.volume('{namespace=~".+"}', scope, target_labels=["pod"], limit=1, **asked)
    assert _vector(volume) == {("web-0",): 50.0}
    ranged = service.volume('{app="web"}', scope, step_ns=5 * SECOND, **asked)
    assert isinstance(ranged.data, Matrix)
    assert ranged.data.series[0].values == [25.0, 25.0]
    by_name = service.volume('{app="web"}', scope, aggregate_by="labels", **asked)
    assert isinstance(by_name.data, Vector)
    assert [s.labels for s in by_name.data.samples if "app" in s.labels] == [{"app": ""}]


def test_losses_by_the_matchers_of_a_query(
    store: Store, service: QueryService, scope: Scope
) -> None:
    def loss(labels: dict[str, str], at: int) -> Loss:
        return Loss(
            labels=labels, position=7, size_bytes=1000, start_ns=EPOCH + at * SECOND,
            end_ns=EPOCH + (at + 5) * SECOND, reason="rotated_away",
        )  # fmt: skip

    web, ops = ({k: v for k, v in x.items() if k != "stream"} for x in (WEB, OPS))
    known = [loss(web, 20), loss(web, 10), loss(ops, 10)]
    insert(store, scope.tenant, [Line(WEB, 0, b"x")], known)
    asked = {"start_ns": START, "end_ns": END}
    found = service.losses('{app="web", stream="stdout"} |= "x"', scope, **asked)
    assert [known[1], known[0]] == found
    assert [known[2]] == service.losses('{namespace="ops"}', scope, **asked)
    assert [known[1]] == service.losses(
        '{app="web"}', scope, start_ns=EPOCH + 12 * SECOND, end_ns=EPOCH + 19 * SECOND
    )
    assert service.losses('{app="web"}', Scope("nobody"), **asked) == []
    narrow = replace(scope, condition="labels['namespace'] = 'ops'")
    assert service.losses('{app="web"}', narrow, **asked) == []


# --- following ---------------------------------------------------------------------------


class _Clock:
    """Stands still where it is put."""

    def __init__(self, now_ns: int) -> None:
        self.now = now_ns

    def now_ns(self) -> int:
        return self.now

    def monotonic(self) -> float:
        return self.now / SECOND

    def sleep(self, seconds: float) -> None:
        self.now += round(seconds * SECOND)


def test_tail_gives_each_record_once_late_ones_too(
    store: Store, plain: Query, scope: Scope
) -> None:
    clock = _Clock(EPOCH + 10 * SECOND)
    service = QueryService(store.engine, plain, store.dialect, clock)
    cursor = TailCursor(EPOCH)

    def poll(limit: int = 100) -> list[bytes]:
        nonlocal cursor
        found, cursor = service.tail('{app="web"} |= "line"', scope, after=cursor, limit=limit)
        return [e.line for s in found for e in s.entries]

    def store_line(at: int, text: bytes, position: int) -> None:
        line = Line(WEB, at * SECOND, text, position=position)
        insert(store, scope.tenant, [line], observed_ns=clock.now)

    assert poll() == []
    store_line(5, b"line a", 1)
    store_line(6, b"other", 2)
    assert poll() == [b"line a"]
    assert poll() == []
    clock.sleep(20)
    store_line(8, b"line c", 4)
    store_line(7, b"line b", 3)  # became searchable after a later one
    assert poll(limit=1) == [b"line b"]
    assert poll(limit=1) == [b"line c"]
    clock.sleep(30)
    store_line(2, b"line late", 0)
    assert poll() == [b"line late"]
    clock.sleep(600)
    assert poll() == []
    assert cursor.seen == b""


# --- budget, cancelling, explaining ------------------------------------------------------


def test_a_query_that_costs_too_much_says_which_limit(
    store: Store, service: QueryService, scope: Scope
) -> None:
    _fill(store, scope)
    query = 'sum(count_over_time({namespace=~".+"} |= "e" [11m]))'
    with pytest.raises(BudgetError, match="max_scanned_rows; narrow the time range"):
        service.instant(query, scope, time_ns=END, budget=Budget(max_scanned_rows=3))


def test_time_is_up_between_questions(store: Store, plain: Query, scope: Scope) -> None:
    _fill(store, scope)

    class Slow(_Clock):
        def monotonic(self) -> float:
            self.now += SECOND
            return super().monotonic()

    service = QueryService(store.engine, plain, store.dialect, Slow(EPOCH))
    with pytest.raises(BudgetError, match="timeout_s"):
        service.instant("sum(rate({app=\"web\"}[11m]))", scope, time_ns=END,
                        budget=Budget(timeout_s=1.5))  # fmt: skip


def test_a_log_answer_that_is_cut_by_the_budget_says_so(
    store: Store, plain: Query, scope: Scope, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [Line(WEB, i * 10 * SECOND, b"n=%d" % i) for i in range(50)]
    insert(store, scope.tenant, lines)

    class Ticking(_Clock):
        def monotonic(self) -> float:
            self.now += SECOND // 10
            return super().monotonic()

    monkeypatch.setattr(slices, "CHUNK_ROWS", 5)
    service = QueryService(store.engine, plain, store.dialect, Ticking(EPOCH))
    answer = service.range(
        '{app="web"} | logfmt', scope, start_ns=START, end_ns=END, limit=100,
        budget=Budget(timeout_s=3),
    )  # fmt: skip
    assert 0 < answer.stats.entries_returned < 50
    assert "the answer is not complete: query stopped: it took longer" in answer.warnings[0]


def test_a_budget_can_only_be_narrowed() -> None:
    limits = Query(timeout_s=10, max_memory_bytes=100)
    bounded = Budget(timeout_s=60, max_memory_bytes=50).within(limits)
    assert (bounded.timeout_s, bounded.max_memory_bytes) == (10, 50)
    assert Budget(timeout_s=10).left(2.5, 0, 0).settings() == {"max_execution_time": 7.5}


def test_what_was_read_counts_for_all_questions_of_a_query() -> None:
    budget = Budget(max_scanned_rows=100, max_scanned_bytes=1000)
    left = budget.left(0.0, 30, 999)
    assert {"max_rows_to_read": 70, "max_bytes_to_read": 1} == left.settings()
    with pytest.raises(BudgetError, match="max_scanned_rows"):
        budget.left(0.0, 100, 0)
    with pytest.raises(BudgetError, match="max_scanned_bytes"):
        budget.left(0.0, 0, 1000)


@pytest.fixture(scope="module")
def many(store: Store) -> Scope:
    """More records than a few granules of the store hold, a second apart."""
    lines = [Line(WEB, i * SECOND, b"line %d of many" % i) for i in range(40_000)]
    insert(store, "many", lines)
    return Scope("many")


@pytest.mark.parametrize("direction", ["forward", "backward"])
@pytest.mark.parametrize(
    ("limit", "budget"),
    [
        ("max_scanned_rows", Budget(max_scanned_rows=20_000)),
        ("max_scanned_bytes", Budget(max_scanned_bytes=1_500_000)),
    ],
    ids=["rows", "bytes"],
)
@pytest.mark.parametrize("rest", ["", " | label_format x=`{{ .pod }}!`"], ids=["sql", "rows"])
def test_a_cut_log_answer_is_the_beginning_of_the_whole_one(
    store: Store, many: Scope, direction: str, limit: str, budget: Budget, rest: str
) -> None:
    roomy = Query(max_entries=50_000, derive_detected_level=False, derive_service_name=False)
    service = QueryService(store.engine, roomy, store.dialect)

    def ask(budget: Budget | None) -> tuple[list[bytes], list[str]]:
        answer = service.range(
            '{app="web"} |= "7"' + rest, many, start_ns=EPOCH, end_ns=EPOCH + 40_000 * SECOND,
            limit=50_000, direction=direction, budget=budget,
        )  # fmt: skip
        assert isinstance(answer.data, Streams)
        return [e.line for s in answer.data.streams for e in s.entries], answer.warnings

    whole, silent = ask(None)
    cut, warnings = ask(budget)
    assert [] == silent
    assert 0 < len(cut) < len(whole)
    assert whole[: len(cut)] == cut
    assert len(warnings) == 1
    assert f"{limit}; narrow the time range" in warnings[0]
    assert "; what was read ends at 2026-11-1" in warnings[0]


def test_a_log_answer_without_anything_to_read_within_its_budget_is_empty_and_says_so(
    service: QueryService, many: Scope
) -> None:
    answer = service.range(
        '{app="web"}', many, start_ns=EPOCH, end_ns=EPOCH + 40_000 * SECOND,
        budget=Budget(max_scanned_rows=2),
    )  # fmt: skip
    assert Streams([]) == answer.data
    assert answer.warnings[0].endswith("; nothing was read")


def test_a_metric_answer_is_never_cut(service: QueryService, many: Scope) -> None:
    with pytest.raises(BudgetError, match="max_scanned_rows"):
        service.instant(
            'count_over_time({app="web"} | regexp "(?P<x>7)" [12h])', many,
            time_ns=EPOCH + 40_000 * SECOND, budget=Budget(max_scanned_rows=20_000),
        )  # fmt: skip


def test_too_many_series(store: Store, scope: Scope) -> None:
    insert(store, scope.tenant, [Line({"pod": str(i)}, 0, b"x") for i in range(6)])
    few = Query(max_series=5, derive_detected_level=False)
    service = QueryService(store.engine, few, store.dialect)
    with pytest.raises(QueryError, match=r"maximum number of series \(5\) reached"):
        service.instant('count_over_time({pod=~".+"}[11m])', scope, time_ns=END)
    total = service.instant('sum(count_over_time({pod=~".+"}[11m]))', scope, time_ns=END)
    assert _vector(total) == {(): 6.0}


def test_explain_tells_the_plan_and_reads_nothing(
    store: Store, service: QueryService, scope: Scope
) -> None:
    _fill(store, scope)
    asked = {"start_ns": START, "end_ns": END}
    told = service.explain('{app="web"} |= "5" | logfmt | x > 3', scope, **asked)
    assert {"rows", "bytes"} == told["estimate"].keys()
    assert told["estimate"]["rows"] > 0
    assert told["plan"]["row_by_row"] == ["| logfmt", "| x>3"]
    assert "position(body, '5') > 0" in told["plan"]["in_sql"][0]
    assert all("FROM records" in sql for sql in told["sql"])
    metric = 'sum(rate({app="web"}[1m])) / 2'
    told = service.explain(metric, scope, step_ns=SECOND, **asked)
    assert told["plan"]["operation"] == "/"
    assert told["plan"]["of"][0]["of"][0]["operation"] == "rate"
    assert "GROUP BY last" in told["sql"][0]


def test_a_log_query_has_no_value_at_one_time(service: QueryService, scope: Scope) -> None:
    with pytest.raises(QueryError, match="not supported as an instant query type"):
        service.instant('{app="web"}', scope, time_ns=END)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"start_ns": 10, "end_ns": 0, "step_ns": 1}, "must not be before"),
        ({"start_ns": 0, "end_ns": 10, "step_ns": 0}, "step widths are not accepted"),
        ({"start_ns": 0, "end_ns": 11_001, "step_ns": 1}, "exceeded maximum resolution"),
    ],
)
def test_wrong_ranges(
    service: QueryService, scope: Scope, asked: dict[str, int], message: str
) -> None:
    with pytest.raises(QueryError, match=message):
        service.range("vector(1)", scope, **asked)


def test_a_wrong_direction(service: QueryService, scope: Scope) -> None:
    with pytest.raises(QueryError, match="expected direction forward or backward"):
        service.range('{a="b"}', scope, start_ns=0, end_ns=1, direction="up")


def test_many_streams_are_named_by_the_condition_that_found_them(
    store: Store, service: QueryService, scope: Scope
) -> None:
    lines = [Line({"pod": f"p{i}", "odd": str(i % 2)}, i, b"x") for i in range(2500)]
    insert(store, scope.tenant, lines)
    count = 'sum by (odd) (count_over_time({pod=~"p.*"}[11m]))'
    found = _vector(service.instant(count, scope, time_ns=END))
    assert found == {("0",): 1250.0, ("1",): 1250.0}
    entries = service.records('{pod=~"p.*"}', scope, start_ns=START, end_ns=END)
    assert len(_bodies(entries)) == 2500


def test_format(service: QueryService) -> None:
    assert service.format('sum(rate({b="c"}[5m]))by(a)') == 'sum by (a)(rate({b="c"} [5m]))'


@pytest.mark.parametrize(
    "query",
    [
        '{a="b"} | json',
        '{a="b"} | json x="n", y="o"',
        '{a="b"} | logfmt --strict',
        '{a="b"} | unpack',
        '{a="b"} | label_format z=`{{.a}}`',
    ],
)
def test_labels_are_plain_texts(
    store: Store, service: QueryService, scope: Scope, query: str
) -> None:
    body = b'{"n":1.5,"s":"t","o":{"p":[1]},"_entry":"e"} "'
    insert(store, scope.tenant, [Line({"a": "b"}, 0, body)])
    for stream in _streams(service.range(query, scope, start_ns=START, end_ns=END)):
        entry = stream.entries[0]
        for labels in (stream.labels, entry.metadata, entry.parsed):
            assert {str} >= {type(text) for pair in labels.items() for text in pair}


def test_the_time_is_over_within_one_line_too(store: Store, plain: Query, scope: Scope) -> None:
    insert(store, scope.tenant, [Line(WEB, 0, b"x")])

    class Ticking(_Clock):
        asked = 0

        def monotonic(self) -> float:
            self.asked += 1
            self.now += SECOND // 1000
            return super().monotonic()

    clock = Ticking(EPOCH)
    service = QueryService(store.engine, plain, store.dialect, clock)
    loops = "{{range 300}}{{range 300}}{{trunc 1 $.pod}}{{end}}{{end}}"
    answer = service.range(
        f'{{app="web"}} | line_format `{loops}`', scope, start_ns=START, end_ns=END, limit=10,
        budget=Budget(timeout_s=0.1),
    )  # fmt: skip
    assert "it took longer than timeout_s" in answer.warnings[0]
    with pytest.raises(BudgetError, match="timeout_s"):
        service.instant(
            f'sum(count_over_time({{app="web"}} | label_format x=`{loops}` [11m]))', scope,
            time_ns=END, budget=Budget(timeout_s=0.1),
        )  # fmt: skip
    assert 400 > clock.asked
