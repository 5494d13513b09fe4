"""Fields without a parser: where `| fields` is implied, for which names, and where it is not."""

from __future__ import annotations

import pytest

from kelp.base.formats import FORMATS
from kelp.server.ports import Scope
from kelp.server.query.logql import expressions as ast
from kelp.server.query.logql.parser import parse
from kelp.server.query.logql.printer import stage_text
from kelp.server.query.plan.implicit import settled, with_uses
from kelp.server.query.service import QueryService, TailCursor
from kelp.server.result import Answer, Matrix, Streams, Vector
from kelp.server.store.store import Store
from tests.server.query.store import EPOCH, SECOND, Line, insert

INGRESS = {"format": "ingress-nginx", "dataset": "ingress", "pod": "nginx-0", "app": "nginx"}
JSON = {"format": "json", "dataset": "app", "pod": "web-0", "level": "x"}
PLAIN = {"dataset": "app", "pod": "old-0"}
PUSHED = {"pod": "pushed-0"}

START, END = EPOCH, EPOCH + 600 * SECOND
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def _settled(query: str, *streams: dict[str, str]) -> str:
    """The stages of the only pipeline of a query, once its streams are known."""
    node = parse(query)
    if not isinstance(node, ast.LogQuery):
        node = with_uses(node)
    while not isinstance(node, ast.LogQuery | ast.RangeAggregation):
        assert isinstance(node, ast.VectorAggregation | ast.LabelReplace)
        node = node.expression
    stages = node.stages if isinstance(node, ast.LogQuery) else node.range.query.stages
    return " ".join(stage_text(s) for s in settled(stages, dict(enumerate(streams))))


@pytest.mark.parametrize(
    ("query", "stages"),
    [
        # a filter, a template, and the pod that each stream has
        ('{a="b"} | status="500"', '| fields status | status="500"'),
        ('{a="b"} | pod="y" | status="500"', '| pod="y" | fields status | status="500"'),
        ('{a="b"} |= "x" | status="500"', '|= "x" | fields status | status="500"'),
        ('{a="b"} | line_format "{{.path}}"', '| fields path | line_format "{{.path}}"'),
        ('{a="b"} | label_format x=path', "| fields path | label_format x=path"),
        ('{a="b"} | status="1" and path="/"', '| fields path, status | (status="1" and path="/")'),
        ('{a="b"} | event_time!=""', '| fields event_time | event_time!=""'),
        ('{a="b"} | trace_id="1"', '| fields trace_id | trace_id="1"'),
        # the line that the format speaks of is the one before line_format
        ('{a="b"} | line_format "x" | path="1"', '| fields path | line_format "x" | path="1"'),
        # a parser that was written is meant; what a stage has set is no field any more
        ('{a="b"} | json | status="1"', '| json | status="1"'),
        ('{a="b"} | path="1" | json | status="2"', '| fields path | path="1" | json | status="2"'),
        ('{a="b"} | fields | status="1"', '| fields | status="1"'),
        ('{a="b"} | label_format path=pod | path="1"', '| label_format path=pod | path="1"'),
        ('{a="b"} | drop status | status="1"', '| drop status | status="1"'),
        # no field of the format, and names that mean streams
        ('{a="b"} | nothing="1"', '| nothing="1"'),
        ('{a="b"} | node="1" | __error__=""', '| node="1" | __error__=""'),
        ('{a="b"} | detected_level="error"', '| detected_level="error"'),
        ('{a="b"}', ""),
        # aggregations
        ('count_over_time({a="b"}[1m])', ""),
        ('sum by (status) (rate({a="b"}[1m]))', "| fields status"),
        ('avg by (status) (rate({a="b"}[1m]))', "| fields status"),
        ('topk(3, sum by (status, pod) (rate({a="b"}[1m])))', "| fields status"),
        ('max by (path) (sum by (status) (rate({a="b"}[1m])))', "| fields status"),
        ('sum(topk by (status) (3, rate({a="b"}[1m])))', "| fields status"),
        ('sum without (status) (rate({a="b"}[1m]))', ""),
        ('sum by (status) (sum without (status) (rate({a="b"}[1m])))', ""),
        ('sum(rate({a="b"} | status="1" [1m]))', '| fields status | status="1"'),
        ('sum by (path) (rate({a="b"} | status="1" [1m]))', '| fields path, status | status="1"'),
        ('sum by (path) (rate({a="b"} | json [1m]))', "| json"),
        ('max_over_time({a="b"} | unwrap request_time [1m])', "| fields request_time"),
        ('max_over_time({a="b"} | unwrap duration [1m]) by (path)', "| fields path"),
        ('label_replace(rate({a="b"}[1m]), "x", "$1", "status", "(.)..")', "| fields status"),
        ('sum by (x) (label_replace(rate({a="b"}[1m]), "x", "$1", "path", ""))', "| fields path"),
    ],
)  # fmt: skip
def test_where_fields_are_implied(query: str, stages: str) -> None:
    assert _settled(query, INGRESS) == stages


def test_names_of_joins_reach_both_sides() -> None:
    query = 'sum by (status) (rate({a="b"}[1m])) / on (path) group_left (method) rate({a="c"}[1m])'
    node = with_uses(parse(query))  # type: ignore[arg-type]  # it is a metric
    assert isinstance(node, ast.BinaryOperation)
    assert isinstance(node.right, ast.RangeAggregation)
    told = settled(node.right.range.query.stages, {1: INGRESS})
    assert told == (ast.Fields(("method", "path"), implied=True),)


@pytest.mark.parametrize(
    ("query", "streams", "stages"),
    [
        ('{a="b"} | anything="1"', [JSON], '| fields anything | anything="1"'),
        ('{a="b"} | anything="1"', [INGRESS, JSON], '| fields anything | anything="1"'),
        ('{a="b"} | anything="1"', [INGRESS, PLAIN], '| anything="1"'),
        ('{a="b"} | level="1"', [INGRESS, JSON], '| level="1"'),  # some streams have it
        ('{a="b"} | pod_extracted="1"', [JSON], '| fields pod_extracted | pod_extracted="1"'),
        ('{a="b"} | app="1"', [JSON], '| app="1"'),
        ('{a="b"} | kelp_truncated="1"', [JSON], '| kelp_truncated="1"'),
        ('{a="b"} | problem="1" | oom_pid="2"', [JSON], '| problem="1" | oom_pid="2"'),
        ('{a="b"} | trace_id="1"', [PLAIN], '| fields trace_id | trace_id="1"'),
        ('{a="b"} | trace_id="1"', [PLAIN, PUSHED], '| fields trace_id | trace_id="1"'),
        ('{a="b"} | status="1"', [PLAIN, PUSHED], '| status="1"'),
        ('{a="b"} | trace_id="1"', [PUSHED], '| trace_id="1"'),
        ('sum by (trace_id) (rate({a="b"}[1m]))', [PUSHED], ""),
    ],
)
def test_what_the_streams_know(query: str, streams: list[dict[str, str]], stages: str) -> None:
    assert _settled(query, *streams) == stages


# --- answers -----------------------------------------------------------------------------------


def _access(status: int, path: str, took: str = "0.1") -> bytes:
    return (
        f'10.0.3.7 - - [20/Nov/2026:10:11:12 +0000] "GET {path} HTTP/1.1" {status} 157 "-" "curl" '
        f"912 {took} [shop-web-8080] [] 10.244.1.19:8080 157 {took} {status} {TRACE}"
    ).encode()


def _fill(store: Store, scope: Scope) -> None:
    bodies = [
        (INGRESS, _access(200, "/a", "0.25")),
        (INGRESS, _access(500, "/a", "1.5")),
        (INGRESS, _access(500, "/b", "0.5")),
        (INGRESS, b"a line of another kind"),
        (JSON, b'{"status":500,"path":"/a","trace_id":"%s"}' % TRACE.encode()),
        (JSON, b'{"status":200,"user":{"name":"eve"}}'),
        (JSON, b'{"status":"\\u0035\\u0030\\u0030"}'),
        (PLAIN, b"status=500 trace_id=%s" % TRACE.encode()),
        (PUSHED, b'{"status":500,"trace_id":"%s"}' % TRACE.encode()),
    ]
    lines = [Line(labels, i * SECOND, body) for i, (labels, body) in enumerate(bodies)]
    lines.append(Line(PUSHED, 20 * SECOND, b"pushed", trace_id=TRACE))
    lines.append(Line(PLAIN, 21 * SECOND, b"told", {"trace_id": TRACE}))
    lines.append(Line(INGRESS, 22 * SECOND, _access(500, "/c"), {"status": "0"}))
    insert(store, scope.tenant, lines)


def _found(answer: Answer) -> list[tuple[bytes, dict[str, str]]]:
    assert isinstance(answer.data, Streams)
    entries = [e for s in answer.data.streams for e in s.entries]
    return [(e.line[:20], e.parsed) for e in sorted(entries, key=lambda e: e.timestamp)]


def _logs(service: QueryService, scope: Scope, query: str) -> list[tuple[bytes, dict[str, str]]]:
    return _found(service.range(query, scope, start_ns=START, end_ns=END, limit=100))


def _values(service: QueryService, scope: Scope, query: str) -> dict[tuple[str, ...], float]:
    answer = service.instant(query, scope, time_ns=END)
    assert isinstance(answer.data, Vector)
    return {tuple(s.labels.values()): s.value for s in answer.data.samples}


def test_a_filter_finds_the_field_in_each_format(
    store: Store, service: QueryService, scope: Scope
) -> None:
    _fill(store, scope)
    found = _logs(service, scope, '{pod=~".+"} | status="500"')
    assert [parsed for _, parsed in found] == [{"status": "500"}] * 4
    found = _logs(service, scope, '{pod=~".+"} | status=~"5.." | path="/a"')
    assert [parsed for _, parsed in found] == [{"path": "/a", "status": "500"}] * 2
    found = _logs(service, scope, '{format="ingress-nginx"} | request_time > 0.3')
    assert [parsed for _, parsed in found] == [{"request_time": "1.5"}, {"request_time": "0.5"}]


def test_metadata_goes_before_the_field(store: Store, service: QueryService, scope: Scope) -> None:
    _fill(store, scope)
    assert _logs(service, scope, '{format="ingress-nginx"} | status="0"')[0][1] == {}
    found = _logs(service, scope, '{format="ingress-nginx"} | status_extracted="500"')
    assert [parsed for _, parsed in found] == [{"status_extracted": "500"}]


def test_an_id_is_found_wherever_it_stands(
    store: Store, service: QueryService, scope: Scope
) -> None:
    _fill(store, scope)
    found = _logs(service, scope, f'{{pod=~".+"}} | trace_id="{TRACE}"')
    assert found == [
        (b'{"status":500,"path"', {"trace_id": TRACE}),
        (b"status=500 trace_id=", {"trace_id": TRACE}),
        (b"pushed", {}),
        (b"told", {}),
    ]
    found = _logs(service, scope, f'{{pod=~".+"}} | request_id="{TRACE}"')
    assert len(found) == 4
    count = f'count_over_time({{pod=~".+"}} | trace_id="{TRACE}" [11m])'
    assert sum(_values(service, scope, count).values()) == 4
    assert _values(service, scope, f"sum by (pod) ({count})") == {
        ("web-0",): 1,
        ("old-0",): 2,
        ("pushed-0",): 1,
    }


def test_a_template_has_the_fields_that_it_names(
    store: Store, service: QueryService, scope: Scope
) -> None:
    _fill(store, scope)
    found = _logs(service, scope, '{format="json"} | line_format "{{.status}} {{.user_name}}"')
    assert [line for line, _ in found] == [b"500 ", b"200 eve", b"500 "]


def test_aggregations_by_a_field(store: Store, service: QueryService, scope: Scope) -> None:
    _fill(store, scope)
    by_status = 'sum by (status) (count_over_time({dataset=~"ingress|app"}[11m]))'
    assert _values(service, scope, by_status) == {
        ("200",): 2, ("500",): 4, ("0",): 1, (): 3,
    }  # fmt: skip
    slowest = 'max_over_time({format="ingress-nginx"} | unwrap request_time [11m]) by (path)'
    assert _values(service, scope, slowest) == {("/a",): 1.5, ("/b",): 0.5, ("/c",): 0.1}
    of_errors = 'sum by (path) (count_over_time({pod="nginx-0"} | status="500" [11m]))'
    assert _values(service, scope, of_errors) == {("/a",): 1, ("/b",): 1}
    assert _values(service, scope, 'sum by (status) (count_over_time({pod="pushed-0"}[11m]))') == {
        (): 2
    }


def test_without_a_grouping_only_used_fields_tell_series_apart(
    store: Store, service: QueryService, scope: Scope
) -> None:
    _fill(store, scope)
    answer = service.instant(
        'count_over_time({pod="nginx-0"} | status=~"5.." [11m])', scope, time_ns=END
    )
    assert isinstance(answer.data, Vector)
    assert [(s.labels, s.value) for s in answer.data.samples] == [({**INGRESS, "status": "500"}, 2)]
    plain = service.range(
        'rate({pod="nginx-0"}[1m])', scope, start_ns=START, end_ns=END, step_ns=60 * SECOND
    )
    assert isinstance(plain.data, Matrix)
    assert all("path" not in s.labels for s in plain.data.series)


def test_a_tail_finds_them_too(store: Store, service: QueryService, scope: Scope) -> None:
    lines = [Line(INGRESS, i * SECOND, _access(s, "/t")) for i, s in enumerate((200, 500))]
    insert(store, scope.tenant, lines, observed_ns=1 << 62)
    query = '{pod="nginx-0"} | status="500"'
    found, _ = service.tail(query, scope, after=TailCursor(START))
    assert [e.parsed for s in found for e in s.entries] in ([{"status": "500"}], [])


def test_explain_shows_what_is_implied(store: Store, service: QueryService, scope: Scope) -> None:
    _fill(store, scope)
    query = '{format="ingress-nginx"} | status="500"'
    told = service.explain(query, scope, start_ns=START, end_ns=END)
    assert told["query"] == query
    assert told["plan"]["row_by_row"] == ["| fields status", '| status="500"']
    told = service.explain('{pod="pushed-0"} | status="500"', scope, start_ns=START, end_ns=END)
    assert told["plan"]["row_by_row"] == ['| status="500"']


def test_many_filters_over_many_formats_are_no_query_too_long(
    store: Store, service: QueryService, scope: Scope
) -> None:
    lines = [
        Line({"format": f.name, "dataset": "app", "pod": f.name}, i * SECOND, f.examples[0])
        for i, f in enumerate(FORMATS)
    ]
    insert(store, scope.tenant, lines)
    filters = " ".join(f'| {name}!="no" | {name}!~"no.*"' for name in ("status", "path", "level"))
    found = _logs(service, scope, '{pod=~".+"} ' + filters)
    assert len(found) == len(FORMATS)
    counted = f'sum(count_over_time({{pod=~".+"}} {filters} [11m]))'
    assert _values(service, scope, counted) == {(): len(FORMATS)}
