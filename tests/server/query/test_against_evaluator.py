"""The planner's answers equal those of a small evaluator, on generated data and queries."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from kelp.server.ports import Scope
from kelp.server.query.logql import expressions as ast
from kelp.server.query.logql.printer import to_text
from kelp.server.query.service import QueryService
from kelp.server.result import Matrix, Scalar, Streams, Vector
from kelp.server.store.store import Store
from tests.server.query import evaluator
from tests.server.query.store import EPOCH, SECOND, Line, insert

LEVELS = st.sampled_from(["info", "warn", "error", "error \\u003cb\\u003e".replace("\\", "\\")])
WORDS = st.sampled_from(["", "disk", "disk full", "level=info", 'say "hi"', "a\\b", "é", "user"])
NUMBERS = st.one_of(st.integers(-50, 50), st.sampled_from([0.5, 2.25, 1e-3, 100.125]))
# Numbers that SQL leaves to the pipeline: their lines have to be put together with all others.
TEXTS = st.sampled_from(["1e3", "-2.5e-1", "12345678901234567890", "7", "-0.25"])
STREAMS = st.sampled_from([
    {"app": "a", "pod": "1"}, {"app": "a", "pod": "2", "level": "stream"}, {"app": "b", "pod": "3"},
])  # fmt: skip
METADATA = st.sampled_from([{}, {}, {}, {"trace": "t1"}, {"level": "meta"}, {"pod": "m"}])


@st.composite
def lines(draw: st.DrawFn, kind: str) -> list[Line]:
    found = []
    for number in range(draw(st.integers(0, 25))):
        body = draw(_BODIES[kind]())
        at = draw(st.integers(-5, 40)) * SECOND * 5 + draw(st.integers(0, 1))
        found.append(Line(draw(STREAMS), at, body.encode(), draw(METADATA), position=number * 10))
    return found


@st.composite
def _json_body(draw: st.DrawFn, *, always: tuple[str, ...] = ()) -> str:
    fields: dict[str, object] = {}
    names = ["level", "n", "n", "msg", "user", "user_id", "ok", "took", "size"]
    for name in (*draw(st.lists(st.sampled_from(names))), *always):
        fields[name] = draw(
            {
                "level": LEVELS, "n": NUMBERS | NUMBERS | TEXTS, "msg": WORDS,
                "ok": st.booleans() | st.none(),
                "user": st.just({"id": 5, "x": {"level": "deep"}}) | st.just("bob"),
                "user_id": st.integers(0, 3),
                "took": st.sampled_from(sorted(evaluator.DURATIONS)),
                "size": st.sampled_from(sorted(evaluator.SIZES)),
            }[name]
        )  # fmt: skip
    blank = draw(st.sampled_from([(", ", ": "), (",", ":"), (" , ", " : ")]))
    return json.dumps(fields, separators=blank, ensure_ascii=draw(st.booleans()))


@st.composite
def _logfmt_body(draw: st.DrawFn) -> str:
    names = draw(st.lists(st.sampled_from(["level", "n", "msg", "user_id", "took"]), unique=True))
    values = {
        "level": st.sampled_from(["info", "warn", "error"]), "n": (NUMBERS | TEXTS).map(str),
        "took": st.sampled_from(sorted(evaluator.DURATIONS)),
        "msg": st.sampled_from(['"disk full"', '"with level=fake"', "plain", '""']),
        "user_id": st.sampled_from(["1", "2"]),
    }  # fmt: skip
    return " ".join(f"{name}={draw(values[name])}" for name in names)


@st.composite
def _columns_body(draw: st.DrawFn) -> str:
    took = draw(st.sampled_from([text for text in evaluator.DURATIONS if " " not in text]))
    level, words = draw(st.sampled_from(["info", "warn", "error"])), draw(WORDS)
    whole = f"#{draw(NUMBERS | TEXTS)} {took} {level} {words}"
    return draw(st.sampled_from([whole, whole, whole, words]))


# What is read as a number is one in each line that has it; what an error does is told by scenes.
_BODIES = {
    "json": _json_body, "paths": lambda: _json_body(always=("n",)), "logfmt": _logfmt_body,
    "regexp": _logfmt_body, "pattern": _columns_body,
}  # fmt: skip


def filters(*, converted: bool = False) -> st.SearchStrategy[ast.Filter]:
    names = st.sampled_from(["level", "msg", "user_id", "trace", "pod"])
    leaves = st.builds(
        ast.Matcher, names, st.sampled_from(["=", "!="]), st.sampled_from(["", "error", "1", "t1"])
    ) | st.builds(
        ast.Matcher, names, st.sampled_from(["=~", "!~"]),
        st.sampled_from(["e.*", "info|warn", ".*"]),
    ) | st.builds(
        ast.NumberFilter, st.just("n"), st.sampled_from(["=", ">", "<=", "!="]),
        st.sampled_from([0.0, 2.25, -3.0]),
    )  # fmt: skip
    if converted:
        compare = st.sampled_from(["=", ">", "<=", "!="])
        leaves |= st.builds(
            ast.DurationFilter, st.just("took"), compare, st.sampled_from([0, 90 * SECOND, 2000])
        ) | st.builds(ast.BytesFilter, st.just("size"), compare, st.sampled_from([100, 5000, 1024]))
    return leaves | st.builds(ast.And, leaves, leaves) | st.builds(ast.Or, leaves, leaves)


def queries(parser: ast.Stage) -> st.SearchStrategy[ast.LogQuery]:
    selector = st.sampled_from([
        (ast.Matcher("app", "=", "a"),), (ast.Matcher("app", "=~", "a|b"),),
        (ast.Matcher("app", "=~", ".+"), ast.Matcher("level", "!=", "stream")),
    ])  # fmt: skip
    line = st.builds(
        ast.LineFilter, st.sampled_from(["|=", "!="]),
        st.lists(st.sampled_from(["disk", "e", "\\", '"n"']).map(ast.LineTerm), min_size=1,
                 max_size=2).map(tuple),
    ) | st.builds(
        ast.LineFilter, st.sampled_from(["|~", "!~"]), st.just((ast.LineTerm("dis. |inf"),))
    )  # fmt: skip
    before = st.lists(line, max_size=1)
    converted = parser in (KINDS["json"], KINDS["logfmt"])  # others find empty texts, too
    behind = st.lists(st.builds(ast.LabelFilter, filters(converted=converted)), max_size=2)
    parsers = st.sampled_from([[], [parser], [parser], [parser, AGAIN]])
    return st.builds(
        lambda m, a, p, b, c: ast.LogQuery(m, (*a, *p, *(b if p else ()), *(c if p else ()))),
        selector, before, parsers, behind, st.lists(changes(), max_size=2),
    )  # fmt: skip


# A second parser: what the first one found stays.
AGAIN = ast.Regexp(r"(?P<level>info|warn)\S* .*(?P<n>[0-9])(?P<word>[a-z]*)")


def changes() -> st.SearchStrategy[ast.Stage]:
    def renamed(name: str, source: str) -> ast.Stage:
        return ast.LabelFormat((ast.LabelAssignment(name, source, rename=True),))

    def made(name: str, template: str) -> ast.Stage:
        return ast.LabelFormat((ast.LabelAssignment(name, template, rename=False),))

    names = st.sampled_from(["level", "msg", "user_id", "app", "new"])
    templates = st.sampled_from(["", "x", "{{.level}}", "{{.app}}-{{.user_id}}"])
    items = st.lists(names | st.just(ast.Matcher("level", "=", "info")), min_size=1, max_size=2)
    kept = items.map(lambda found: ast.Keep((*found, "n", "took", "size")))
    return (
        st.builds(renamed, st.sampled_from(["new", "msg"]), st.sampled_from(["level", "app"]))
        | st.builds(made, st.sampled_from(["new", "level"]), templates)
        | st.builds(ast.LineFormat, templates)
        | items.map(lambda found: ast.Drop(tuple(found)))
        | kept
        | st.builds(ast.LineFilter, st.just("|="), st.just((ast.LineTerm("e"),)))
    )


def ranges(parser: ast.Stage) -> st.SearchStrategy[ast.RangeAggregation]:
    spans = st.sampled_from([5, 7, 20, 60]).map(lambda s: s * SECOND)
    offsets = st.sampled_from([0, 0, 10 * SECOND, -5 * SECOND])
    counts = st.sampled_from(
        ["count_over_time", "rate", "bytes_over_time", "bytes_rate", "absent_over_time"]
    )
    plain = st.builds(ast.LogRange, queries(parser), spans, offsets)
    unwrapped = st.builds(
        lambda q, span, offset, unwrapped, post: ast.LogRange(
            ast.LogQuery(q.matchers, (*(s for s in q.stages if s != parser), parser)[-1:]
                         if parser not in q.stages else q.stages),
            span, offset, ast.Unwrap(*unwrapped, post),
        ),
        queries(parser), spans, offsets,
        st.sampled_from([("n", ""), ("n", ""), ("took", "duration"), ("size", "bytes")]),
        st.lists(filters(), max_size=1).map(tuple),
    )  # fmt: skip
    grouping = st.none() | st.sampled_from(
        [ast.Grouping(()), ast.Grouping(("level",)), ast.Grouping(("app", "pod")),
         ast.Grouping(("new", "user_id")),
         ast.Grouping(("msg", "n"), without=True)]
    )  # fmt: skip
    values = st.sampled_from([
        "avg_over_time", "min_over_time", "max_over_time", "first_over_time", "last_over_time",
        "stdvar_over_time", "stddev_over_time",
    ])  # fmt: skip
    return (
        st.builds(ast.RangeAggregation, counts, plain)
        | st.builds(ast.RangeAggregation, st.sampled_from(["sum_over_time", "rate"]), unwrapped)
        | st.builds(ast.RangeAggregation, values, unwrapped, st.none(), grouping)
        | st.builds(
            ast.RangeAggregation, st.just("quantile_over_time"), unwrapped,
            st.sampled_from([0.0, 0.3, 1.0]), grouping,
        )
    )  # fmt: skip


def metrics(parser: ast.Stage) -> st.SearchStrategy[ast.Metric]:
    grouping = st.sampled_from([
        None, ast.Grouping(("level",)), ast.Grouping(("app",)), ast.Grouping(("pod", "user_id")),
        ast.Grouping(("level_extracted",)), ast.Grouping(("n", "msg"), without=True),
        ast.Grouping(("new", "msg")),
    ])  # fmt: skip
    plain = st.sampled_from(["sum", "avg", "min", "max", "count", "stddev", "stdvar"])
    summed = st.builds(ast.VectorAggregation, plain, ranges(parser), grouping)
    operation = st.builds(
        ast.BinaryOperation,
        st.sampled_from(["+", "-", "*", "/", "==", ">", "and", "or", "unless"]),
        summed,
        summed,
        st.booleans(),
    ).filter(lambda o: not (o.bool and o.op not in ast.COMPARISONS))
    scalar = st.builds(
        ast.BinaryOperation, st.sampled_from(["*", ">", "!="]), summed,
        st.sampled_from([1.0, 2.0]).map(ast.Literal),
    )  # fmt: skip
    return ranges(parser) | summed | summed | operation | scalar


KINDS = {
    "json": ast.Json(), "logfmt": ast.Logfmt(),
    "paths": ast.Json((
        ast.Extraction("level", "level"), ast.Extraction("n", "n"), ast.Extraction("id", "user.id"),
        ast.Extraction("took", "took"), ast.Extraction("size", "size"),
    )),
    "regexp": ast.Regexp(r"(level=(?P<level>[a-z]+) )?n=(?P<n>\S+)( took=(?P<took>\S*))?"),
    "pattern": ast.Pattern("#<n> <took> <level> <msg>"),
}  # fmt: skip


def _series(service: QueryService, query: str, scope: Scope, at: int) -> dict[object, float]:
    found = service.instant(query, scope, time_ns=EPOCH + at).data
    if isinstance(found, Scalar):
        return {(): found.value}
    assert isinstance(found, Vector)
    return {tuple(sorted(s.labels.items())): s.value for s in found.samples}


def _same(expected: dict[object, float], got: dict[object, float]) -> bool:
    return expected.keys() == got.keys() and all(
        (math.isnan(v) and math.isnan(got[k]))
        or math.isclose(v, got[k], rel_tol=1e-9, abs_tol=1e-9)
        for k, v in expected.items()
    )


# Each try asks an engine: to make a failing case smaller would take minutes, and its message holds
# the query, the answer and what was expected already.
_LIMITS = settings(
    max_examples=15, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True,
    phases=(Phase.explicit, Phase.generate),
)  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@_LIMITS
@given(data=st.data())
def test_metrics_equal_the_evaluators(
    kind: str, data: st.DataObject, store: Store, service: QueryService
) -> None:
    tenant = f"{kind}-{next(_tenants)}"
    found = data.draw(lines(kind))
    if found:
        insert(store, tenant, found)
    scope = Scope(tenant)
    for _ in range(8):
        query = data.draw(metrics(KINDS[kind]))
        at = data.draw(st.integers(0, 30)) * 5 * SECOND
        expected = evaluator.evaluate(query, found, at)
        assert isinstance(expected, dict)
        got = _series(service, to_text(query), scope, at)
        assert _same(dict(expected), got), f"{to_text(query)} at {at}: {expected} != {got}"


@pytest.mark.parametrize("kind", KINDS)
@_LIMITS
@given(data=st.data())
def test_steps_equal_instants(
    kind: str, data: st.DataObject, store: Store, service: QueryService
) -> None:
    tenant = f"steps-{kind}-{next(_tenants)}"
    found = data.draw(lines(kind))
    if found:
        insert(store, tenant, found)
    scope = Scope(tenant)
    query = data.draw(metrics(KINDS[kind]))
    step = data.draw(st.sampled_from([3, 5, 10, 20])) * SECOND
    start = data.draw(st.integers(0, 10)) * SECOND
    answer = service.range(
        to_text(query), scope, start_ns=EPOCH + start, end_ns=EPOCH + start + 7 * step, step_ns=step
    ).data
    assert isinstance(answer, Matrix)
    for at in range(start, start + 7 * step + 1, step):
        expected = evaluator.evaluate(query, found, at)
        assert isinstance(expected, dict)
        got = {
            tuple(sorted(s.labels.items())): v
            for s in answer.series
            for t, v in zip(s.timestamps, s.values, strict=True)
            if t == EPOCH + at
        }
        assert _same(dict(expected), got), f"{to_text(query)} at {at}: {expected} != {got}"


@pytest.mark.parametrize("kind", KINDS)
@_LIMITS
@given(data=st.data())
def test_entries_equal_the_evaluators(
    kind: str, data: st.DataObject, store: Store, service: QueryService
) -> None:
    tenant = f"logs-{kind}-{next(_tenants)}"
    found = data.draw(lines(kind))
    if found:
        insert(store, tenant, found)
    query = data.draw(queries(KINDS[kind]))
    low, high = sorted(data.draw(st.integers(-5, 40)) * 5 * SECOND for _ in "ab")
    backward, limit = data.draw(st.booleans()), data.draw(st.sampled_from([1, 3, 100]))
    kept = [one for one in evaluator.log_lines(query, found) if low <= one[2].at < high]
    kept.sort(key=lambda one: (one[2].at, one[2].position), reverse=backward)
    expected = [(v.at, text.encode(), sorted(k.items())) for k, text, v in kept[:limit]]
    answer = service.range(
        to_text(query), Scope(tenant), start_ns=EPOCH + low, end_ns=EPOCH + high, limit=limit,
        direction="backward" if backward else "forward",
    ).data  # fmt: skip
    assert isinstance(answer, Streams)
    got = [
        (e.timestamp - EPOCH, e.line, sorted({**s.labels, **e.metadata, **e.parsed}.items()))
        for s in answer.streams
        for e in s.entries
    ]
    assert sorted(expected) == sorted(got), to_text(query)


_tenants = iter(range(1_000_000))
