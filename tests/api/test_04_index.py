"""04 labels, values, series, statistics, formatting, build information."""

from __future__ import annotations

import pytest

from tests.api.running import SECOND, Api, now_ns

BASE = "/loki/api/v1"


@pytest.fixture
def filled(api: Api) -> Api:
    at = now_ns()
    api.push({"app": "web", "env": "prod"}, [at, "a"], [at + 1, "bb"])
    api.push({"app": "db", "zone": "1"}, [at, "ccc"])
    api.push({"app": "old"}, [at - 86400 * SECOND, "d"])
    return api


def test_labels_of_a_time_range_and_of_a_selector(filled: Api) -> None:
    assert filled.data(f"{BASE}/labels") == ["app", "env", "service_name", "zone"]
    assert filled.data(f"{BASE}/labels", query='{app="db"}') == ["app", "service_name", "zone"]
    assert filled.data(f"{BASE}/labels", start="100", end="200") == []


def test_values_of_a_label(filled: Api) -> None:
    assert filled.data(f"{BASE}/label/app/values") == ["db", "web"]
    assert filled.data(f"{BASE}/label/app/values", since="48h") == ["db", "old", "web"]
    assert filled.data(f"{BASE}/label/app/values", query='{env="prod"}') == ["web"]
    assert filled.data(f"{BASE}/label/nothing/values") == []


def test_series_of_any_of_several_selectors(filled: Api) -> None:
    one = filled.data(f"{BASE}/series", **{"match[]": '{app="web"}'})
    assert one == [{"app": "web", "env": "prod", "service_name": "web"}]
    both = filled.data(f"{BASE}/series", **{"match[]": ['{app="web"}', '{app="db"}']})
    assert sorted(s["app"] for s in both) == ["db", "web"]
    assert sorted(s["app"] for s in filled.data(f"{BASE}/series")) == ["db", "web"]
    mixed = filled.data(f"{BASE}/series", match='{app="web"}', query='{app="db"}')
    assert sorted(s["app"] for s in mixed) == ["db", "web"]
    assert filled.data(f"{BASE}/series", query='{app="web"}') == one


def test_forms_do_as_urls_do(filled: Api) -> None:
    for path in ("labels", "label/app/values", "series"):
        answers = [filled.get(f"{BASE}/{path}"), filled.form(f"{BASE}/{path}")]
        assert answers[0].json() == answers[1].json()


def test_statistics_of_a_selector(filled: Api) -> None:
    found = filled.get(f"{BASE}/index/stats", query='{app="web"}').json()
    assert (found["streams"], found["entries"], found["bytes"]) == (1, 2, 3)


@pytest.mark.parametrize("path", ["labels", "label/app/values", "index/stats", "series"])
def test_a_wrong_selector_is_the_askers_error(api: Api, path: str) -> None:
    response = api.get(f"{BASE}/{path}", query="{app")
    assert (response.status_code, "parse error" in response.text) == (400, True)


def test_a_query_printed_in_one_style(api: Api) -> None:
    assert api.data(f"{BASE}/format_query", query='{ app = "a" }|="x"') == '{app="a"} |= "x"'
    assert api.get(f"{BASE}/format_query", query="{").status_code == 400


def test_build_information_names_kelp_and_a_loki(api: Api) -> None:
    found = api.get(f"{BASE}/status/buildinfo").json()
    assert "kelp" in found["revision"]
    assert found["version"].split(".")[0].isdigit()
