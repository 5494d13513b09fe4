"""07 Segments of agents: durable, once, refused with a reason."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.api.running import Api
from tests.api.segments import segment
from tests.waiting import wait_until

PATH = "/kelp/v1/segments"


def count(api: Api) -> int:
    query = 'sum(count_over_time({namespace="shop"}[1h]))'
    result = api.data("/loki/api/v1/query", query=query)["result"]
    return int(result[0]["value"][1]) if result else 0


def test_a_segment_is_stored_once_however_often_it_is_sent(api: Api) -> None:
    data = segment([b"one", b"two"])
    answers = [api.http.post(PATH, content=data) for _ in range(3)]
    assert [a.status_code for a in answers] == [200] * 3
    assert [a.json()["duplicate"] for a in answers] == [False, True, True]
    wait_until(lambda: count(api) == 2)


def test_many_agents_at_once(api: Api) -> None:
    agents = [uuid.uuid4().hex for _ in range(20)]

    def send(agent: str) -> list[int]:
        return [
            api.http.post(PATH, content=segment([b"x"] * 10, seq=n, agent_id=agent)).status_code
            for n in (1, 2, 3)
        ]

    with ThreadPoolExecutor(10) as pool:
        assert list(pool.map(send, agents)) == [[200] * 3] * 20
    wait_until(lambda: count(api) == 600)


@pytest.mark.parametrize(
    "content",
    [b"", b"x", b"\x00" * 1000, segment([b"x"])[:-100], segment([b"x"])[:50], b"{}"],
)
def test_what_is_no_segment_is_refused_with_a_reason(api: Api, content: bytes) -> None:
    response = api.http.post(PATH, content=content)
    assert response.status_code == 400
    error = response.json()["error"]
    assert "expected" in error["message"]
    assert "of no use" in error["hint"]


def test_a_segment_without_a_number_or_an_agent_is_refused(api: Api) -> None:
    assert api.http.post(PATH, content=segment([b"x"], seq=0)).status_code == 400


def test_too_large_a_segment_is_refused_before_it_is_read(api: Api) -> None:
    response = api.http.post(PATH, content=b"x" * ((1 << 20) + 1))
    assert (response.status_code, "max_request_bytes" in response.text) == (413, True)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_only_post_is_answered(api: Api, method: str) -> None:
    response = api.http.request(method, PATH)
    assert response.status_code == 405
    assert response.headers["Allow"] == "POST"
    assert method == response.json()["error"]["got"]


def test_unknown_parameters_are_refused(api: Api) -> None:
    assert api.http.post(f"{PATH}?sync=1", content=segment([b"x"])).status_code == 400
