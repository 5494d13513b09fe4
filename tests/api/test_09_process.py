"""09 The process: probes, metrics, settings, reload, unknown routes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx2
import msgspec
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from kelp.base.errors import KelpError
from kelp.base.settings import Query, Server, Settings, Store
from tests.api.running import Api, Running, now_ns, running


class Reloading:
    """Settings that a test changes."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def __call__(self) -> Settings:
        if self.settings.data_dir == "wrong":
            raise KelpError("kelp.yaml:1:1: wrong")
        return self.settings


@pytest.fixture(scope="module")
def reloading(settings: Settings) -> Reloading:
    return Reloading(settings)


@pytest.fixture(scope="module")
def server(settings: Settings, reloading: Reloading) -> Iterator[Running]:
    with running(settings, reloading) as server:
        yield server


def test_probes(api: Api) -> None:
    for path, text in (("/ready", "ready\n"), ("/readyz", "ready\n"), ("/healthz", "ok\n")):
        assert (200, text) == (api.get(path).status_code, api.get(path).text)


def test_metrics_are_prometheuss_and_count_requests(api: Api) -> None:
    api.push({"app": "a"}, [now_ns(), "x"])
    families = {f.name: f for f in text_string_to_metric_families(api.get("/metrics").text)}
    found = {
        (s.labels["endpoint"], s.labels["status"]): s.value
        for s in families["kelp_server_requests"].samples
        if s.name.endswith("_total")
    }
    assert found["push", "204"] >= 1
    assert "kelp_server_inbox_records" in families
    assert families["kelp_server_store_up"].samples[0].value == 1


def test_settings_are_shown_as_yaml(api: Api, settings: Settings) -> None:
    response = api.get("/config")
    assert msgspec.to_builtins(settings) == yaml.safe_load(response.text)


def test_secrets_in_settings_are_masked() -> None:
    from kelp.server.serve.process import settings_yaml

    shown = settings_yaml(Settings(store=Store(url="https://kelp:hunter2@db:8443")))
    assert (
        yaml.safe_load(shown)["store"]["url"],
        "hunter2" in shown,
    ) == ("https://***@db:8443", False)


def test_reload_says_what_changed_and_what_needs_a_restart(
    api: Api, reloading: Reloading, settings: Settings
) -> None:
    assert api.http.post("/-/reload").text == "nothing changed\n"
    server = msgspec.structs.replace(settings.server, insert_interval_s=1.0)
    reloading.settings = msgspec.structs.replace(
        settings, server=server, query=Query(max_entries=7, max_concurrent=99)
    )
    text = api.http.post("/-/reload").text
    assert "changed: query.max_entries" in text
    assert "needs a restart: server.insert_interval_s, query.max_concurrent" in text
    refused = api.get("/loki/api/v1/query_range", query='{a="b"}', limit="8")
    assert (refused.status_code, "8 > 7" in refused.text) == (400, True)
    shown = yaml.safe_load(api.get("/config").text)
    assert (shown["query"]["max_entries"], shown["query"]["max_concurrent"]) == (7, 8)
    reloading.settings = settings
    api.http.post("/-/reload")


def test_what_cannot_be_used_is_refused_and_the_old_stays(
    api: Api, reloading: Reloading, settings: Settings
) -> None:
    reloading.settings = msgspec.structs.replace(settings, data_dir="wrong")
    response = api.http.post("/-/reload")
    assert (response.status_code, "the old settings stay" in response.text) == (400, True)
    reloading.settings = settings


def test_a_new_token_counts_after_a_reload(
    api: Api, reloading: Reloading, settings: Settings, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.write_text("a-new-token\n")
    new = msgspec.structs.replace(settings.server, token_file=str(file))
    reloading.settings = msgspec.structs.replace(settings, server=new)
    assert api.http.post("/-/reload").status_code == 200
    assert api.get("/config").status_code == 401
    fresh = {"Authorization": "Bearer a-new-token"}
    assert httpx2.get(api.server.url + "/config", headers=fresh).status_code == 200
    reloading.settings = settings
    assert httpx2.post(api.server.url + "/-/reload", headers=fresh).status_code == 200


@pytest.mark.parametrize(
    ("path", "kind"),
    [("/kelp/v1/nothing", "application/json"), ("/nothing", "text/plain; charset=utf-8")],
)
def test_unknown_routes_say_where_the_known_ones_are(api: Api, path: str, kind: str) -> None:
    response = api.get(path)
    assert (404, kind) == (response.status_code, response.headers["Content-Type"])
    assert "/openapi.json" in response.text


def test_reload_is_no_get(api: Api) -> None:
    response = api.get("/-/reload")
    assert (response.status_code, "expected POST" in response.text) == (405, True)


def test_a_second_server_on_the_port_says_so_in_one_line(
    api: Api, settings: Settings, tmp_path: Path
) -> None:
    taken = api.server.url.removeprefix("http://")
    other = Settings(data_dir=str(tmp_path), server=Server(listen=taken))
    with (
        pytest.raises(KelpError, match=f"cannot listen on {taken}: Address already in use"),
        running(other),
    ):
        pass
