"""10 The routes' declarations, the OpenAPI document, and the page of the API agree."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from tests.api.running import SECOND, Api, now_ns

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reference" / "http-api.md"
METRICS_PAGE = ROOT / "docs" / "reference" / "metrics.md"
_HEADING = re.compile(r"^### ([A-Z, ]+) (/\S+)$", re.MULTILINE)


def document(api: Api) -> dict[str, Any]:
    found: dict[str, Any] = api.get("/openapi.json").json()
    return found


def sections() -> dict[tuple[str, str], str]:
    """Path and method → text on the page."""
    text = PAGE.read_text()
    found = list(_HEADING.finditer(text))
    ends = [m.start() for m in found[1:]] + [len(text)]
    return {
        (m[2], method): text[m.end() : end].split("\n## ")[0]
        for m, end in zip(found, ends, strict=True)
        for method in m[1].split(", ")
    }


def parameters(operation: dict[str, Any]) -> set[str]:
    """Names in the URL, the headers (but the tenant, which is common to all) and the form."""
    names = {p["name"] for p in operation["parameters"]} - {"X-Scope-OrgID"}
    content = operation.get("requestBody", {}).get("content", {})
    form = content.get("application/x-www-form-urlencoded", {}).get("schema", {})
    return names | set(form.get("properties", {}))


def test_the_page_has_each_route_with_its_methods(api: Api) -> None:
    routes = {
        (path, method.upper())
        for path, operations in document(api)["paths"].items()
        for method in operations
    }
    assert routes == set(sections())


def test_the_page_has_each_parameter_and_no_other(api: Api) -> None:
    for path, operations in document(api)["paths"].items():
        for method, operation in operations.items():
            text = sections()[path, method.upper()]
            rows = re.findall(r"^\| `([^`]+)`(?: \(header\))? \|", text, re.MULTILINE)
            described = set(rows) - _KEYS_OF_ANSWERS.get(path, set()) - {"X-Scope-OrgID"}
            assert parameters(operation) == described, (path, method)


# Rows of the page that tell of answers rather than of parameters.
_KEYS_OF_ANSWERS = {
    "/kelp/v1/logs": {
        "timestamp", "position", "labels", "line", "line_base64", "metadata", "parsed", "severity",
        "size_bytes", "start`, `end", "reason", "stream_id",
    },
}  # fmt: skip


# What each of Loki's routes needs; `{name}` in a path is a label that is there.
_NEEDED = {
    "index/stats": {"query": '{app="a"}'},
    "index/volume": {"query": '{app="a"}'},
    "index/volume_range": {"query": '{app="a"}'},
    "format_query": {"query": '{ app = "a" }'},
    "detected_fields": {"query": '{app="a"}'},
    "detected_field/{name}/values": {"query": '{app="a"} | logfmt'},
    "patterns": {"query": '{app="a"}'},
    "query": {"query": 'sum(count_over_time({app="a"}[1h]))'},
    "query_range": {"query": '{app="a"}'},
}


def test_a_form_does_as_a_url_does_on_every_route_of_lokis(api: Api) -> None:
    at = now_ns()
    api.push({"app": "a"}, [at, "app=b size=5"])
    tried = set()
    for path, operations in document(api)["paths"].items():
        alike = {"get", "post"} <= set(operations) and not path.endswith("/delete")
        if alike and path.startswith("/loki/"):
            name = path.removeprefix("/loki/api/v1/")
            asked = {
                "start": str(at - SECOND),
                "end": str(at + 60 * SECOND),
                "time": str(at + SECOND),
            }
            asked |= _NEEDED.get(name, {})
            url = path.replace("{name}", "app")
            answers = [api.get(url, **asked), api.form(url, **asked)]
            assert [200, 200] == [a.status_code for a in answers], (path, answers[0].text)
            shown = [_without_costs(a) for a in answers]
            assert shown[0] == shown[1], path
            tried.add(name)
    assert set(_NEEDED) <= tried
    assert {"labels", "label/{name}/values", "series", "detected_labels"} <= tried


def _without_costs(response: Any) -> Any:
    if not response.headers["content-type"].startswith("application/json"):
        return response.text
    body = response.json()
    if isinstance(body.get("data"), dict):
        body["data"].pop("stats", None)
    return body


def test_get_and_post_take_the_same_parameters_where_they_do_the_same(api: Api) -> None:
    for path, operations in document(api)["paths"].items():
        by_name = {o["operationId"].removesuffix("Post"): set() for o in operations.values()}
        for operation in operations.values():
            by_name[operation["operationId"].removesuffix("Post")].add(
                frozenset(parameters(operation))
            )
        assert {1} == {len(found) for found in by_name.values()}, path


def test_the_document_is_whole(api: Api) -> None:
    found = document(api)
    operations = [o for path in found["paths"].values() for o in path.values()]
    names = [o["operationId"] for o in operations]
    assert sorted(set(names)) == sorted(names)
    for operation in operations:
        assert operation["summary"].endswith(".")
        assert {"500"} <= set(operation["responses"])
        assert ("401" in operation["responses"]) == (operation.get("security") != [])
        assert all(p["description"] for p in operation["parameters"])


def test_the_metrics_page_has_each_metric_of_the_server_and_no_other(api: Api) -> None:
    exposed = set(re.findall(r"^# TYPE (kelp_server_\w+) ", api.get("/metrics").text, re.MULTILINE))
    exposed = {n for n in exposed if not n.endswith("_created")}
    described = set(re.findall(r"^\| `(kelp_server_\w+)`", METRICS_PAGE.read_text(), re.MULTILINE))
    assert exposed == described
