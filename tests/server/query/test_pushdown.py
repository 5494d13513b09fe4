"""Which range aggregations run in SQL, and that what does not is answered all the same."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from kelp.base.settings import Query
from kelp.server.ports import BudgetError, QueryError, Scope
from kelp.server.query.logql import expressions as ast
from kelp.server.query.logql.printer import to_text
from kelp.server.query.service import QueryService
from kelp.server.result import Vector
from kelp.server.store.store import Store
from tests.server.query import trees
from tests.server.query.store import EPOCH, SECOND, Line, insert

LINES = [
    Line({"app": "a", "pod": "1"}, 1 * SECOND, b'{"level":"info","n":"5","took":"1.5s"}'),
    Line({"app": "a", "pod": "2"}, 2 * SECOND, b'{"level":"error","n":7,"size":"2KB"}'),
    Line({"app": "a", "pod": "2"}, 3 * SECOND, b"GET /x 200 17", {"user": "bob"}, severity=17),
    Line({"app": "a", "pod": "2"}, 4 * SECOND, b"level=warn n=9 took=2m", {"user": "eve"}),
]
# Fields of the names that random pipelines ask for, one of them the stream's.
CLASHING = Line(
    {"app": "a", "level": "stream"},
    5 * SECOND,
    b'{"app":1,"env":"5","count":"7","x1":"1s","_y":"2KB","level":"x"}',
)

IN_SQL = [
    'avg_over_time({app="a"} | json | unwrap n [1m]) by (level)',
    'quantile_over_time(0.5, {app="a"} | json | unwrap n [1m]) by (pod)',
    'stddev_over_time({app="a"} | logfmt | unwrap n [1m]) by ()',
    'first_over_time({app="a"} | logfmt | unwrap n [1m]) by (level)',
    'sum by (level) (rate({app="a"} | logfmt | unwrap n [1m]))',
    'max_over_time({app="a"} | logfmt | unwrap duration(took) [1m]) by (level)',
    'min_over_time({app="a"} | json | unwrap bytes(size) [1m]) by (level)',
    'sum by (level) (count_over_time({app="a"} | json | logfmt [1m]))',
    'sum by (level) (count_over_time({app="a"} | json | took > 1s [1m]))',
    'sum by (level) (count_over_time({app="a"} | json | size > 1KB [1m]))',
    'sum by (level) (bytes_over_time({app="a"} | json [1m]))',
    'sum by (kind) (rate({app="a"} | json | label_format kind=level [1m]))',
    'sum by (kind) (rate({app="a"} | json | label_format kind="{{.level}}!" [1m]))',
    'sum by (w) (rate({app="a"} | json | line_format "{{.level}} x" | pattern "<w> x" [1m]))',
    'sum by (level) (rate({app="a"} | json | drop __error__, n [1m]))',
    'sum by (pod) (rate({app="a"} | json a="level" | a != "" [1m]))',
    'count_over_time({app="a"} | pattern "<verb> <path> <status> <size>" [1m])',
    'max_over_time({app="a"} | regexp "(?P<verb>[A-Z]+) .* (?P<size>[0-9]+)" | unwrap size [1m])',
    'sum without (pod) (count_over_time({app="a"} | pattern "<verb> <_>" [1m]))',
    'count_over_time({app="a"} | json | keep level, app [1m])',
    'count_over_time({app="a"} | user="bob" [1m])',
    'sum by (user) (count_over_time({app="a"} | user != "" [1m]))',
    'sum by (detected_level) (count_over_time({app="a"} | json [1m]))',
    'sum(count_over_time({app="a"} | detected_level="error" [1m]))',
    'absent_over_time({app="a"} | json | unwrap n [1m])',
]
ROW_BY_ROW = [
    'count_over_time({app="a"} | json [1m])',
    'sum by (level_extracted) (count_over_time({app="a"} | json [1m]))',
    'sum by (level) (count_over_time({app="a"} | json | n=ip("10.0.0.0/8") [1m]))',
    'sum by (k) (rate({app="a"} | json | label_format k="{{.level | upper}}" [1m]))',
    'sum by (level) (rate({app="a"} | logfmt --strict [1m]))',
    'sum by (level) (rate({app="a"} | unpack [1m]))',
]


@pytest.fixture
def derived(store: Store) -> QueryService:
    return QueryService(store.engine, Query(), store.dialect)


def _questions(service: QueryService, query: str, scope: Scope) -> list[str]:
    explained = service.explain(query, scope, start_ns=EPOCH, end_ns=EPOCH + 60 * SECOND)
    questions: list[str] = explained["sql"]
    return questions


def _answer(service: QueryService, query: str, scope: Scope) -> object:
    try:
        found = service.instant(query, scope, time_ns=EPOCH + 60 * SECOND).data
    except QueryError as e:
        return str(e)
    assert isinstance(found, Vector)
    return {
        tuple(sorted(s.labels.items())): pytest.approx(s.value, nan_ok=True) for s in found.samples
    }


@pytest.mark.parametrize("query", IN_SQL)
def test_in_sql_and_row_by_row_the_answer_is_one(
    store: Store, derived: QueryService, scope: Scope, query: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert(store, scope.tenant, LINES)
    (question,) = _questions(derived, query, scope)
    assert " GROUP BY flags" in question
    got = _answer(derived, query, scope)
    monkeypatch.setattr("kelp.server.query.plan.ranges.push_down", lambda *_, **__: None)
    assert _answer(derived, query, scope) == got


@settings(
    max_examples=60, deadline=None, suppress_health_check=list(HealthCheck),
    phases=(Phase.generate,),
)  # fmt: skip
@given(
    node=trees.ranges(),
    grouping=trees.groupings(),
    outer=st.sampled_from(["", "sum", "max"]),
)
def test_any_pipeline_answers_alike(
    store: Store, derived: QueryService, node: ast.RangeAggregation, grouping: ast.Grouping | None,
    outer: str,
) -> None:  # fmt: skip
    """Whatever stages stand there, errors included."""
    tenant = Scope(f"pipelines-{id(store)}")
    if not derived.series([], tenant, start_ns=EPOCH, end_ns=EPOCH + SECOND):
        insert(store, tenant.tenant, [*LINES, CLASHING])
    query = replace(node.range.query, matchers=(ast.Matcher("app", "=", "a"),))
    span = replace(node.range, query=query, range_ns=60 * SECOND, offset_ns=0)
    asked: ast.Metric = replace(node, range=span)
    if outer:
        asked = ast.VectorAggregation(outer, asked, grouping)
    text = to_text(asked)
    got = _answer(derived, text, tenant)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kelp.server.query.plan.ranges.push_down", lambda *_, **__: None)
        expected = _answer(derived, text, tenant)
    # Which of several errors is told depends on which line is met first.
    assert (isinstance(got, str) and isinstance(expected, str)) or expected == got, text


@pytest.mark.parametrize("query", ROW_BY_ROW)
def test_row_by_row(store: Store, derived: QueryService, scope: Scope, query: str) -> None:
    insert(store, scope.tenant, LINES)
    assert not any(" GROUP BY flags" in sql for sql in _questions(derived, query, scope))


def test_explain_tells_which_stages_sql_follows(
    store: Store, derived: QueryService, scope: Scope
) -> None:
    insert(store, scope.tenant, LINES)
    asked = {"start_ns": EPOCH, "end_ns": EPOCH + 60 * SECOND}
    query = 'sum by (level) (rate({app="a"} |= "x" | logfmt | n > 5 [1m]))'
    (plan,) = derived.explain(query, scope, **asked)["plan"]["of"]
    assert (["| logfmt", "| n>5"], []) == (plan["in_sql"][1:], plan["row_by_row"])
    query = 'sum by (level) (rate({app="a"} | unpack | n > 5 [1m]))'
    (plan,) = derived.explain(query, scope, **asked)["plan"]["of"]
    assert ["| unpack", "| n>5"] == plan["row_by_row"]


def test_texts_that_double_do_not_keep_the_engine_busy(
    store: Store, derived: QueryService, scope: Scope
) -> None:
    insert(store, scope.tenant, LINES)
    doubled = "| label_format k=`{{.k}}{{.k}}` " * 15
    query = f'sum by (k) (count_over_time({{app="a"}} | json k="level" {doubled} [1m]))'
    assert not any(" GROUP BY flags" in sql for sql in _questions(derived, query, scope))


def test_many_streams_are_read_whatever_the_length_of_their_names(
    store: Store, derived: QueryService, scope: Scope
) -> None:
    lines = [
        Line({"app": "a", "pod": f"a-pod-of-a-name-{i:030}"}, i, b"n=%d" % i) for i in range(2500)
    ]
    insert(store, scope.tenant, lines)
    at = EPOCH + 59 * SECOND
    query = 'max_over_time({app="a"} | logfmt | unwrap n [1m]) by (pod, half)'
    (question,) = _questions(derived, query, scope)
    assert " GROUP BY flags, id" in question
    found = derived.instant(query, scope, time_ns=at).data
    assert isinstance(found, Vector)
    assert [(f"a-pod-of-a-name-{i:030}", float(i)) for i in range(2500)] == [
        (sample.labels["pod"], sample.value) for sample in found.samples
    ]
    query = 'sum by (app) (count_over_time({app="a"} | logfmt | n > 9 [1m]))'
    assert {(("app", "a"),): 2490.0} == _answer(derived, query, scope)
    query = 'sum by (app) (count_over_time({app="a"} | logfmt | n > 9 | pod=~".*0" [1m]))'
    assert not any(" GROUP BY flags" in sql for sql in _questions(derived, query, scope))
    assert {(("app", "a"),): 249.0} == _answer(derived, query, scope)


def test_samples_count_towards_the_budget(store: Store, scope: Scope) -> None:
    insert(store, scope.tenant, [Line({"app": "a"}, i, b"n=%d" % i) for i in range(20_000)])
    service = QueryService(store.engine, Query(max_memory_bytes=300_000), store.dialect)
    query = 'quantile_over_time(0.5, {app="a"} | logfmt | unwrap n [1m]) by (app)'
    with pytest.raises(BudgetError, match="max_memory_bytes"):
        service.instant(query, scope, time_ns=EPOCH + 59 * SECOND)
