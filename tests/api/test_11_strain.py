"""11 Too much at once, and clients that go away: queries take turns, and stop when nobody waits."""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx2
import msgspec
import pytest

from kelp.base.settings import Query, Settings
from tests.api.running import Api, Running, now_ns, running
from tests.waiting import wait_until

# Ten thousand million rows out of nothing: longer than any test waits.
_ENDLESS = (
    "select count() from (select arrayJoin(range(100000)) as a) as x "
    "cross join (select arrayJoin(range(100000)) as b) as y where cityHash64(a, b) = 1"
)


@pytest.fixture(scope="module")
def server(settings: Settings) -> Iterator[Running]:
    # Two at once, so that sixteen may wait.
    with running(msgspec.structs.replace(settings, query=Query(max_concurrent=2))) as server:
        yield server


def metric(api: Api, name: str) -> float:
    found = re.search(rf"^{name} (\S+)$", api.get("/metrics").text, re.MULTILINE)
    assert found, name
    return float(found[1])


def leave_in_the_midst(api: Api) -> None:
    with pytest.raises(httpx2.ReadTimeout):
        api.http.post("/kelp/v1/sql", json={"query": _ENDLESS}, timeout=0.5)


def test_a_query_stops_when_its_client_goes(api: Api) -> None:
    before = metric(api, "kelp_server_queries_cancelled_total")
    leave_in_the_midst(api)
    wait_until(lambda: metric(api, "kelp_server_queries_running") == 0)
    assert metric(api, "kelp_server_queries_cancelled_total") == before + 1
    assert api.data("/loki/api/v1/query", query="vector(1)")["resultType"] == "vector"


def test_queries_beyond_the_queue_are_told_to_come_back(api: Api) -> None:
    def ask(_: int) -> httpx2.Response | None:
        try:
            return api.http.post("/kelp/v1/sql", json={"query": _ENDLESS}, timeout=2.0)
        except httpx2.TimeoutException:
            return None

    with ThreadPoolExecutor(30) as pool:
        answers = [a for a in pool.map(ask, range(30)) if a is not None]
    assert [a.status_code for a in answers] == [429] * 12
    assert all(int(a.headers["Retry-After"]) >= 1 for a in answers)
    assert "repeat the request" in answers[0].json()["error"]["hint"]
    wait_until(lambda: metric(api, "kelp_server_queries_running") == 0)
    assert metric(api, "kelp_server_queries_waiting") == 0


def test_other_routes_answer_while_queries_are_stuck(api: Api) -> None:
    with ThreadPoolExecutor(2) as pool:
        stuck = [pool.submit(leave_in_the_midst, api) for _ in range(2)]
        api.push({"app": "a"}, [now_ns(), "x"])
        assert api.get("/ready").status_code == 200
        for one in stuck:
            one.result()
    wait_until(lambda: metric(api, "kelp_server_queries_running") == 0)


@pytest.mark.parametrize("path", ["/loki/api/v1/query", "/loki/api/v1/push"])
def test_a_sender_of_far_too_much_sees_why_it_is_refused(api: Api, path: str) -> None:
    kind = "application/json" if path.endswith("push") else "application/x-www-form-urlencoded"
    request = urllib.request.Request(
        api.server.url + path,
        b"query=" + b"a" * (100 << 20),
        {**api.headers, "Content-Type": kind},
    )
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=30)
    assert 413 == refused.value.code
    assert "too large" in refused.value.read().decode()
    assert api.get("/ready").status_code == 200


def test_a_stop_does_not_wait_for_queries(settings: Settings, server: Running) -> None:
    # `running` asserts that the stop takes less than five seconds; the query would take minutes.
    api = Api(server)
    with ThreadPoolExecutor(1) as pool:
        pool.submit(api.http.post, "/kelp/v1/sql", json={"query": _ENDLESS})
        wait_until(lambda: metric(Api(server), "kelp_server_queries_running") == 1)
        server.server.stop()
        wait_until(server.server.ended.is_set, 5)
