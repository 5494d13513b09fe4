"""18 Deleting on request: create, list, cancel; and that what was deleted is gone everywhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest

from kelp.base.clock import SystemClock
from kelp.base.settings import Settings
from kelp.server import upkeep
from tests.api.running import SECOND, Api, Running, now_ns, running

PATH = "/loki/api/v1/delete"


@dataclass
class Ahead(SystemClock):
    """The machine's time, and some more."""

    ns: int = 0

    def now_ns(self) -> int:
        return time.time_ns() + self.ns


@pytest.fixture(scope="module")
def clock() -> Ahead:
    return Ahead()


@pytest.fixture(scope="module")
def server(settings: Settings, clock: Ahead) -> Iterator[Running]:
    """Its upkeep does its first round by itself, and from then on what a test tells it to."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(upkeep, "LOOK_EVERY_S", 3600.0)
        with running(settings, clock=clock) as server:
            yield server


@pytest.fixture
def filled(api: Api) -> Api:
    at = now_ns()
    api.push({"app": "a"}, [at, "a secret"], [at + 1, "plain"])
    api.push({"app": "b"}, [at, "a secret"])
    return api


def ask(api: Api, method: str = "POST", **params: Any) -> httpx2.Response:
    return api.http.request(method, PATH, params=params)


def create(api: Api, query: str, **more: Any) -> dict[str, Any]:
    """The request that was made; lists must have no other that is new."""
    before = {d["request_id"] for d in listed(api)}
    response = ask(api, query=query, start="1", **more)
    assert (response.status_code, response.text) == (204, "")
    (made,) = [d for d in listed(api) if d["request_id"] not in before]
    return made


def listed(api: Api) -> list[dict[str, Any]]:
    response = api.get(PATH)
    assert response.status_code == 200
    found: list[dict[str, Any]] = response.json()
    return found


def work(server: Running, clock: Ahead, seconds: float = 61) -> None:
    """Time passes, and the upkeep does what is due."""
    clock.ns += int(seconds * SECOND)
    assert server.server._opened is not None
    server.server._opened.upkeep.round()


def lines(api: Api, query: str) -> list[str]:
    data = api.data("/loki/api/v1/query_range", query=query, since="6h")
    return sorted(v[1] for s in data["result"] for v in s["values"])


def test_a_request_is_listed_in_lokis_shape(filled: Api, clock: Ahead) -> None:
    before = clock.now_ns() / SECOND
    made = create(filled, '{app="a"} |= "secret"', end=str(now_ns()))
    assert (made["query"], made["start_time"], made["status"]) == (
        '{app="a"} |= "secret"', 1, "received",
    )  # fmt: skip
    assert made["end_time"] <= before
    assert before - 0.001 <= made["created_at"] <= clock.now_ns() / SECOND
    assert set(made) == {
        "request_id", "start_time", "end_time", "query", "status", "created_at",
    }  # fmt: skip


@pytest.mark.parametrize("how", ["form", "PUT", "POST"])
def test_each_way_to_ask(filled: Api, how: str) -> None:
    asked = {"query": '{app="a"}', "start": "1", "max_interval": "1h"}
    response = filled.form(PATH, **asked) if how == "form" else ask(filled, how, **asked)
    assert response.status_code == 204
    assert [d["query"] for d in listed(filled)] == ['{app="a"}']


def test_it_is_done_after_a_while_and_then_no_route_finds_it(
    filled: Api, server: Running, clock: Ahead
) -> None:
    create(filled, '{app="a"} |= "secret"')
    work(server, clock, 30)
    assert lines(filled, '{app=~".+"}') == ["a secret", "a secret", "plain"]
    work(server, clock)
    assert [d["status"] for d in listed(filled)] == ["processed"]
    assert lines(filled, '{app=~".+"}') == ["a secret", "plain"]
    counted = filled.data("/loki/api/v1/query", query='sum(count_over_time({app="a"}[6h]))')
    assert counted["result"][0]["value"][1] == "1"
    sql = filled.http.post("/kelp/v1/sql", json={"query": "select count() from logs"})
    assert sql.json()["rows"] == [[2]]
    logs = filled.get("/kelp/v1/logs", query='{app="a"}', follow="false", start="1")
    assert (logs.text.count("plain"), logs.text.count("secret")) == (1, 0)
    stats = filled.get("/loki/api/v1/index/stats", query='{app="a"}').json()
    assert stats["entries"] == 1


def test_tenants_are_apart(filled: Api, server: Running, clock: Ahead) -> None:
    other = Api(server)
    other.push({"app": "a"}, [now_ns(), "theirs"])
    made = create(filled, '{app=~".+"}')
    assert listed(other) == []
    assert ask(other, "DELETE", request_id=made["request_id"]).status_code == 404
    work(server, clock)
    assert (lines(filled, '{app=~".+"}'), lines(other, '{app="a"}')) == ([], ["theirs"])
    other.close()


def test_a_request_can_be_cancelled(filled: Api, server: Running, clock: Ahead) -> None:
    made = create(filled, '{app="a"}')
    assert ask(filled, "DELETE", request_id=made["request_id"]).status_code == 204
    assert listed(filled) == []
    work(server, clock)
    assert lines(filled, '{app="a"}') == ["a secret", "plain"]


def test_behind_its_time_only_with_force(filled: Api, clock: Ahead) -> None:
    made = create(filled, '{app="a"}')
    clock.ns += 61 * SECOND
    late = ask(filled, "DELETE", request_id=made["request_id"])
    assert (late.status_code, "force=true" in late.text) == (400, True)
    assert ask(filled, "DELETE", request_id=made["request_id"], force="true").status_code == 204


def test_what_is_processed_cannot_be_cancelled(filled: Api, server: Running, clock: Ahead) -> None:
    made = create(filled, '{app="a"}')
    work(server, clock)
    for force in ("true", "false"):
        refused = ask(filled, "DELETE", request_id=made["request_id"], force=force)
        assert (refused.status_code, "too late" in refused.text) == (400, True)


def test_unknown_requests_are_not_there(api: Api) -> None:
    refused = ask(api, "DELETE", request_id="none'")
    assert (refused.status_code, "no such deletion" in refused.text) == (404, True)
    assert ask(api, "DELETE").status_code == 400


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("", "missing"),
        ("{", "line 1"),
        ("{}", "at least one"),
        ("sum(rate({a=\"b\"}[1m]))", "only log selector"),
        ('{a="b"} | json', "selector and line filters"),
        ('{a="b"} | c="d"', "selector and line filters"),
        ('{a="b"} |= ip("10.0.0.0/8")', "ip("),
        ('{a="b"} |= "' + "x" * 20_000 + '"', "at most 16384"),
    ],
)  # fmt: skip
def test_queries_that_cannot_be_deleted_by(api: Api, query: str, says: str) -> None:
    refused = api.form(PATH, query=query, start="1")
    assert (refused.status_code, says in refused.text) == (400, True), refused.text
    assert listed(api) == []


@pytest.mark.parametrize(
    ("times", "says"),
    [
        ({}, "start"),
        ({"start": "yesterday"}, "start"),
        ({"start": "20", "end": "10"}, "behind the end"),
        ({"start": "20", "end": "2100-01-01T00:00:00Z"}, "future"),
    ],
)
def test_times_that_are_none(api: Api, times: dict[str, str], says: str) -> None:
    refused = ask(api, query='{a="b"}', **times)
    assert (refused.status_code, says in refused.text) == (400, True), refused.text


def test_only_so_many_may_wait(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kelp.server.serve.deletes.MAX_WAITING", 1)
    create(api, '{a="b"}')
    refused = ask(api, query='{a="c"}', start="1")
    assert (refused.status_code, "at most 1" in refused.text) == (429, True)


def test_a_method_that_is_not_there_names_those_that_are(api: Api) -> None:
    refused = ask(api, "PATCH")
    assert refused.status_code == 405
    assert {"GET", "POST", "PUT", "DELETE"} <= set(refused.headers["Allow"].split(", "))


def test_what_was_deleted_can_be_pushed_again(server: Running, api: Api, clock: Ahead) -> None:
    at = now_ns()
    for _ in range(2):
        api.push({"app": "again"}, [at, "the same bytes"])
    assert ["the same bytes"] == lines(api, '{app="again"}')
    create(api, '{app="again"}')
    work(server, clock)
    assert [] == lines(api, '{app="again"}')
    api.push({"app": "again"}, [at, "the same bytes"])
    assert ["the same bytes"] == lines(api, '{app="again"}')
