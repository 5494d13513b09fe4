"""14 What Logs Drilldown asks: volumes, detected labels and fields, limits; rules in shape."""

from __future__ import annotations

import pytest
import yaml

from tests.api.running import SECOND, Api, now_ns

BASE = "/loki/api/v1"


@pytest.fixture
def filled(api: Api) -> Api:
    at = now_ns()
    api.push(
        {"app": "web", "pod": "0", "build": "17"},
        [at, '{"status": 200, "took": "15ms", "user": {"name": "ann"}}', {"trace": "t1"}],
        [at + 1, '{"status": 404, "took": "1.5s", "ok": false}', {"trace": "t2"}],
    )
    api.push({"app": "db", "pod": "1", "build": "18"}, [at, "size=3MB rate=0.5 msg=hi"])
    return api


def test_volumes_by_the_selectors_labels_or_by_others(filled: Api) -> None:
    data = filled.data(f"{BASE}/index/volume", query='{app=~".+"}')
    assert [s["metric"] for s in data["result"]] == [{"app": "web"}, {"app": "db"}]
    assert data["resultType"] == "vector"
    assert data["result"][1]["value"][1] == "24"
    other = filled.data(f"{BASE}/index/volume", query='{app=~".+"}', targetLabels="pod", limit=1)
    assert [s["metric"] for s in other["result"]] == [{"pod": "0"}]
    names = filled.data(f"{BASE}/index/volume", query='{app="db"}', aggregateBy="labels")
    assert {"app", "pod", "build"} <= {n for s in names["result"] for n in s["metric"]}


def test_volumes_behind_label_filters(filled: Api) -> None:
    volume = f"{BASE}/index/volume"
    query = '{app=~".+"} | json | status=404'
    found = filled.data(volume, query=query)["result"]
    assert [({"app": "web"}, "44")] == [(s["metric"], s["value"][1]) for s in found]
    by_field = filled.data(volume, query='{app="web"} | json', targetLabels="status")["result"]
    assert [{"status": "200"}, {"status": "404"}] == [s["metric"] for s in by_field]
    both = filled.data(volume, query='{app=~".+"} | json')["result"]  # db's line is no JSON
    assert [{"app": "web"}, {"app": "db"}] == [s["metric"] for s in both]
    by_name = filled.data(volume, query=query, aggregateBy="labels", targetLabels="pod,none")
    assert [{"pod": ""}] == [s["metric"] for s in by_name["result"]]
    assert [] == filled.data(volume, query='{app="web"} | status="404"')["result"]
    start = now_ns() // SECOND - 60
    steps = filled.data(f"{volume}_range", query=query, start=start, end=start + 130, step="60s")[
        "result"
    ]
    assert ["44"] == [v for s in steps for _, v in s["values"]]


def test_volumes_of_everything(filled: Api) -> None:
    found = filled.data(f"{BASE}/index/volume", query="{}", targetLabels="app")["result"]
    assert [{"app": "web"}, {"app": "db"}] == [s["metric"] for s in found]


@pytest.mark.parametrize(
    "path", ["patterns", "drilldown-limits", "detected_fields", "detected_field/x/values"]
)
def test_a_wrong_selector_is_the_askers_error(api: Api, path: str) -> None:
    response = api.get(f"{BASE}/{path}", query="{app")
    assert (400, True) == (response.status_code, "line 1, col 5" in response.text)


@pytest.mark.parametrize("path", ["patterns", "detected_fields", "detected_field/x/values"])
def test_what_is_no_log_query_is_told_so(api: Api, path: str) -> None:
    response = api.get(f"{BASE}/{path}", query="1 + 1")
    assert 400 == response.status_code
    assert "only log selector is supported; expected a log query" in response.text


def test_volumes_at_steps(filled: Api) -> None:
    start = now_ns() // SECOND - 60
    data = filled.data(
        f"{BASE}/index/volume_range", query='{app="db"}', start=start, end=start + 120, step="60s"
    )
    assert (data["resultType"], len(data["result"])) == ("matrix", 1)
    refused = filled.get(f"{BASE}/index/volume_range", query='{app="db"}', since="30d", step="1s")
    assert (refused.status_code, "11,000" in refused.text) == (400, True)


def test_labels_without_those_that_hold_ids(filled: Api) -> None:
    found = filled.get(f"{BASE}/detected_labels").json()["detectedLabels"]
    assert found == [
        {"label": "app", "cardinality": 2},
        {"label": "pod", "cardinality": 2},
        {"label": "service_name", "cardinality": 2},
    ]
    one = filled.get(f"{BASE}/detected_labels", query='{app="db"}').json()["detectedLabels"]
    assert {"label": "app", "cardinality": 1} in one


def test_fields_of_json_and_logfmt_and_metadata_with_their_kinds(filled: Api) -> None:
    body = filled.get(f"{BASE}/detected_fields", query='{app=~".+"}').json()
    assert body["limit"] == 1000
    fields = {f["label"]: (f["type"], f["cardinality"], f["parsers"]) for f in body["fields"]}
    assert {
        "status": ("int", 2, ["json"]),
        "took": ("duration", 2, ["json"]),
        "user_name": ("string", 1, ["json"]),
        "ok": ("boolean", 1, ["json"]),
        "size": ("bytes", 1, ["logfmt"]),
        "rate": ("float", 1, ["logfmt"]),
        "msg": ("string", 1, ["logfmt"]),
        "trace": ("string", 2, None),
    }.items() <= fields.items()
    assert (
        len(filled.get(f"{BASE}/detected_fields", query='{app="web"}', limit=2).json()["fields"])
        == 2
    )
    assert filled.get(f"{BASE}/detected_fields", query='{app="no"}').json() == {"fields": []}


def test_fields_are_limited_under_the_former_name_too(filled: Api) -> None:
    body = filled.get(f"{BASE}/detected_fields", query='{app="web"}', field_limit=2).json()
    assert (2, 2) == (len(body["fields"]), body["limit"])
    path = f"{BASE}/detected_field/status/values"
    assert 1 == len(filled.get(path, query='{app="web"}', field_limit=1).json()["values"])
    both = filled.get(path, query='{app="web"}', limit=2, field_limit=1).json()
    assert (2, 2) == (len(both["values"]), both["limit"])
    assert filled.get(path, query='{app="web"}', field_limit=0).status_code == 400


def test_fields_of_recognised_formats_need_no_parser(api: Api) -> None:
    at = now_ns()
    line = (
        '10.0.3.7 - - [20/Nov/2026:10:11:12 +0000] "GET /a HTTP/1.1" {} 157 "-" "curl" 912 {} '
        "[shop-web-8080] [] 10.244.1.19:8080 157 5.004 200 6a5b1f0c2f6e4a0d9b8c7d6e5f403122"
    )
    api.push(
        {"app": "nginx", "dataset": "ingress", "format": "ingress-nginx"},
        [at, line.format(500, "0.25")],
        [at + 1, line.format(200, "1.5")],
    )
    api.push({"app": "old", "dataset": "app"}, [at, "size=3MB rate=0.5"])
    body = api.get(f"{BASE}/detected_fields", query='{app="nginx"}').json()
    found = {f["label"]: f for f in body["fields"]}
    assert found["status"] == {
        "label": "status", "type": "int", "cardinality": 2, "parsers": None,
    }  # fmt: skip
    assert found["request_time"]["type"] == "float"
    assert {f["parsers"] for f in body["fields"]} == {None}
    values = api.get(f"{BASE}/detected_field/status/values", query='{app="nginx"}').json()["values"]
    assert values == ["200", "500"]
    # What Drilldown asks then: no parser stands before the name, as for structured metadata.
    query = 'sum by (status) (count_over_time({app="nginx"} | status!="" [5m]))'
    told = {
        s["metric"]["status"]: s["value"][1]
        for s in api.data(f"{BASE}/query", query=query)["result"]
    }
    assert told == {"200": "1", "500": "1"}
    both = api.get(f"{BASE}/detected_fields", query='{app=~"nginx|old"}').json()["fields"]
    assert {f["label"]: f["parsers"] for f in both if f["label"] in ("size", "path")} == {
        "size": ["logfmt"], "path": None,
    }  # fmt: skip


def test_values_of_a_field(filled: Api) -> None:
    path = f"{BASE}/detected_field/status/values"
    assert filled.get(path, query='{app="web"}').json()["values"] == ["200", "404"]
    assert filled.get(path, query='{app="web"}', limit=1).json()["values"] == ["200"]
    assert filled.get(path, query='{app="db"}').json()["values"] == []


def test_a_query_that_ends_in_a_comment(filled: Api) -> None:
    body = filled.get(f"{BASE}/detected_fields", query='{app="db"} # mine').json()
    assert "size" in [f["label"] for f in body["fields"]]


@pytest.mark.parametrize("path", ["detected_fields", "detected_field/x/values", "index/volume"])
def test_wrong_queries_are_the_askers_error(api: Api, path: str) -> None:
    for query in ("{", "vector(1)", ""):
        assert api.get(f"{BASE}/{path}", query=query).status_code == 400


def test_limits_say_what_is_there(api: Api) -> None:
    body = api.get(f"{BASE}/drilldown-limits").json()
    assert body["limits"]["max_entries_limit_per_query"] == 5000
    assert (body["pattern_ingester_enabled"], body["limits"]["volume_enabled"]) == (False, True)
    assert api.data(f"{BASE}/patterns", query='{a="b"}') == []


def test_rules_in_shape(api: Api) -> None:
    assert yaml.safe_load(api.get(f"{BASE}/rules").text) == {}
    assert api.data("/prometheus/api/v1/rules") == {"groups": []}
    assert api.data("/prometheus/api/v1/alerts") == {"alerts": []}
