"""20 Fields of recognised formats: by their names, by `| fields`, and never in pushed logs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.api.running import SECOND, Api, now_ns

QUERY, RANGE, LOGS = "/loki/api/v1/query", "/loki/api/v1/query_range", "/kelp/v1/logs"

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
ACCESS = (
    '10.0.3.7 - - [20/Nov/2026:10:11:12 +0000] "GET /cart HTTP/1.1" {} 157 "-" "curl" 912 {} '
    "[shop-web-8080] [] 10.244.1.19:8080 157 5.004 200 6a5b1f0c2f6e4a0d9b8c7d6e5f403122"
)


@pytest.fixture
def filled(api: Api) -> Api:
    at = now_ns()
    of = {"dataset": "app", "namespace": "shop"}
    api.push(
        {**of, "pod": "nginx-0", "dataset": "ingress", "format": "ingress-nginx"},
        [at, ACCESS.format(500, "0.25")],
        [at + 1, ACCESS.format(502, "2.5")],
        [at + 2, ACCESS.format(200, "0.1")],
    )
    api.push(
        {**of, "pod": "web-0", "format": "json"},
        [at + 3, '{"status":500,"path":"/cart","user":{"id":"ann"},"ts":"2026-11-20T10:11:12Z"}'],
        [at + 4, json.dumps({"status": 200, "trace_id": TRACE})],
    )
    api.push(
        {**of, "pod": "db-0", "format": "logfmt"},
        [at + 5, 'level=warn msg="slow query" took=1.5s status=500'],
    )
    api.push(
        {**of, "pod": "kubelet-0", "dataset": "node", "format": "klog"},
        [at + 6, 'I1120 10:11:12.123456       7 reconciler.go:181] "started it" volume="x"'],
    )
    api.push(
        {**of, "pod": "old-0"}, [at + 7, f"status=500 traceparent: 00-{TRACE}-00f067aa0ba902b7-01"]
    )
    api.push({"namespace": "shop", "pod": "pushed-0"}, [at + 8, f"status=500 trace_id={TRACE}"])
    return api


def _pods(api: Api, query: str) -> dict[str, dict[str, str]]:
    """The labels of each pod's entries that the query gives, without those of its stream."""
    data = api.data(RANGE, query=query, since="1h")
    of_stream = {"dataset", "namespace", "format", "service_name", "detected_level"}
    return {
        s["stream"]["pod"]: {
            k: v for k, v in s["stream"].items() if k not in of_stream and k != "pod"
        }
        for s in data["result"]
    }


def test_one_name_finds_the_field_in_every_format(filled: Api) -> None:
    assert _pods(filled, '{namespace="shop"} | status="500"') == {
        "nginx-0": {"status": "500"},
        "web-0": {"status": "500"},
        "db-0": {"status": "500"},
    }
    assert _pods(
        filled, '{namespace="shop"} | status=~"5.." | path="/cart" | request_time > 1'
    ) == {"nginx-0": {"status": "502", "path": "/cart", "request_time": "2.5"}}
    assert _pods(filled, '{namespace="shop"} | user_id="ann"') == {"web-0": {"user_id": "ann"}}
    assert _pods(filled, '{namespace="shop"} | took > 1s') == {"db-0": {"took": "1.5s"}}
    assert _pods(filled, '{namespace="shop"} | file="reconciler.go" | volume="x"') == {
        "kubelet-0": {"file": "reconciler.go", "volume": "x"}
    }
    event_time = '{namespace="shop"} | event_time="2026-11-20T10:11:12.000000000Z" | path="/cart"'
    assert set(_pods(filled, event_time)) == {"nginx-0", "web-0"}


def test_an_id_is_found_in_any_line_that_an_agent_collected(filled: Api) -> None:
    assert _pods(filled, f'{{namespace="shop"}} | trace_id="{TRACE}"') == {
        "web-0": {"trace_id": TRACE},
        "old-0": {"trace_id": TRACE},
    }
    assert _pods(filled, '{namespace="shop"} | span_id="00f067aa0ba902b7"') == {
        "old-0": {"span_id": "00f067aa0ba902b7"}
    }


def _values(api: Api, query: str) -> list[tuple[dict[str, str], str]]:
    found = api.data(QUERY, query=query)["result"]
    return sorted(((s["metric"], s["value"][1]) for s in found), key=str)


def test_aggregations_by_fields(filled: Api) -> None:
    assert _values(filled, 'sum by (status) (count_over_time({dataset=~".+"}[1h]))') == [
        ({"status": "200"}, "2"), ({"status": "500"}, "3"), ({"status": "502"}, "1"), ({}, "2"),
    ]  # fmt: skip
    slowest = 'max_over_time({dataset="ingress"} | unwrap request_time [1h]) by (path)'
    assert _values(filled, slowest) == [({"path": "/cart"}, "2.5")]
    share = (
        'sum(count_over_time({dataset="ingress"} | status=~"5.." [1h]))'
        ' / sum(count_over_time({dataset="ingress"}[1h]))'
    )
    assert _values(filled, share) == [({}, "0.6666666666666666")]


def test_a_plain_query_has_no_new_labels(filled: Api) -> None:
    for query in ('{pod="nginx-0"}', '{pod="nginx-0"} |= "cart"'):
        assert _pods(filled, query) == {"nginx-0": {}}
    found = _values(filled, 'count_over_time({pod="nginx-0"}[1h])')
    assert [] == [labels for labels, _ in found if "status" in labels]


def test_pushed_logs_are_lokis(filled: Api) -> None:
    assert _pods(filled, '{pod="pushed-0"} | status="500"') == {}
    assert _pods(filled, '{pod="pushed-0"} | fields | status="500"') == {}
    assert _pods(filled, '{pod="pushed-0"} | logfmt | status="500"') == {
        "pushed-0": {"status": "500", "trace_id": TRACE}
    }


def test_asked_for_all_fields_are_labels(filled: Api) -> None:
    assert _pods(filled, '{pod="db-0"} | fields') == {
        "db-0": {
            "level": "warn", "msg": "slow query", "took": "1.5s", "status": "500",
            "message": "slow query",
        }
    }  # fmt: skip
    assert _pods(filled, '{pod="db-0"} | fields took') == {"db-0": {"took": "1.5s"}}
    told = filled.data("/loki/api/v1/format_query", query='{pod="db-0"}|fields took,status')
    assert told == '{pod="db-0"} | fields took, status'


def test_records_with_their_fields(filled: Api) -> None:
    answer = filled.get(LOGS, query='{pod="kubelet-0"}\n| fields')
    lines = [json.loads(line) for line in answer.text.splitlines()]
    parsed: dict[str, Any] = lines[0]["record"]["parsed"]
    assert parsed["message"] == "started it"
    assert parsed["event_time"].endswith("-11-20T10:11:12.123456000Z")


def test_a_label_called_fields_is_one(filled: Api) -> None:
    filled.push({"pod": "f-0", "fields": "a"}, [now_ns() + SECOND, "x"])
    assert set(_pods(filled, '{pod="f-0"} | fields="a"')) == {"f-0"}
    assert _pods(filled, '{pod="f-0"} | fields!="a"') == {}
