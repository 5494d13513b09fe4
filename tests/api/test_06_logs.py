"""06 /kelp/v1/logs: records as JSON lines, losses where they fall, following."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
import pytest

from kelp.model.loss import Loss
from tests.api.running import SECOND, Api, now_ns
from tests.api.segments import segment
from tests.waiting import wait_until

LOGS = "/kelp/v1/logs"
WEB = {"namespace": "shop", "pod": "web-0", "container": "app", "stream": "stdout"}


def answer(api: Api, query: str = '{namespace="shop"}', **params: Any) -> list[dict[str, Any]]:
    response = api.get(LOGS, query=query, **params)
    assert (
        response.status_code,
        response.headers["Content-Type"],
    ) == (200, "application/x-ndjson"), response.text
    assert response.text.endswith("\n")
    return [json.loads(line) for line in response.text.splitlines()]


def lines(items: list[dict[str, Any]]) -> list[str]:
    return [i["record"]["line"] for i in items if "record" in i]


def test_a_record_has_everything_that_is_known_of_it(api: Api) -> None:
    at = now_ns()
    api.push(WEB, [at, "x=1 ä", {"trace": "t", "level": "error"}])
    record, end = answer(api, '{namespace="shop"} | logfmt')
    found = record["record"]
    assert found.pop("position") > 0
    assert int(found.pop("stream_id")) > 0
    assert WEB.items() <= found.pop("labels").items()
    assert {
        "timestamp": str(at),
        "line": "x=1 ä",
        "metadata": {"trace": "t", "level": "error"},
        "parsed": {"x": "1", "ä": ""} if "ä" in found.get("parsed", {}) else {"x": "1"},
        "severity": "error",
    } == found
    assert end == {"end": {"records": 1, "warnings": []}}


def test_bytes_that_are_no_utf8_are_there_exactly(api: Api) -> None:
    assert api.http.post("/kelp/v1/segments", content=segment([b"a\xff\x00b"])).status_code == 200
    wait_until(lambda: len(answer(api)) == 2)
    record = answer(api)[0]["record"]
    assert (record["line"], record["line_base64"]) == ("a\ufffd\x00b", "Yf8AYg==")


def test_records_are_in_total_order_across_streams(api: Api) -> None:
    at = now_ns()
    api.push(WEB, *([at + 2 * n, f"{2 * n:03}"] for n in range(50)))
    api.push({**WEB, "stream": "stderr"}, *([at + 2 * n + 1, f"{2 * n + 1:03}"] for n in range(50)))
    expected = [f"{n:03}" for n in range(100)]
    assert expected == lines(answer(api))
    assert expected[::-1] == lines(answer(api, direction="backward"))
    assert expected[:7] == lines(answer(api, limit=7))
    assert expected[-7:] == lines(answer(api, tail=7))
    assert expected[10:20] == lines(answer(api, start=at + 10, end=at + 20))


def test_without_bounds_everything_is_given_old_or_ahead_of_now(api: Api) -> None:
    now = time.time_ns()
    api.push(WEB, [now - 400 * 86400 * SECOND, "old"], [now + 3600 * SECOND, "ahead"])
    assert lines(answer(api)) == ["old", "ahead"]
    assert lines(answer(api, since="1h")) == ["ahead"]


def test_more_than_fits_into_one_piece(api: Api) -> None:
    at = now_ns()
    for start in range(0, 4000, 1000):
        api.push(WEB, *([at + n, f"{n} {'x' * 900}"] for n in range(start, start + 1000)))
    found = answer(api)
    assert list(range(4000)) == [int(x.split()[0]) for x in lines(found)]
    assert found[-1]["end"]["records"] == 4000


def test_losses_stand_where_they_fall(api: Api) -> None:
    at = now_ns()
    instance = {k: v for k, v in WEB.items() if k != "stream"}
    lost = Loss(
        labels=instance, position=150, size_bytes=99, start_ns=at + 1_000_000,
        end_ns=at + 2_000_000, reason="rotated_away",
    )  # fmt: skip
    data = segment([b"0", b"1", b"2", b"3"], WEB, start_ns=at, losses=[lost])
    assert api.http.post("/kelp/v1/segments", content=data).json() == {"duplicate": False}
    wait_until(lambda: len(answer(api)) == 6)
    kinds = [i.get("record", {}).get("line") or next(iter(i)) for i in answer(api)]
    assert kinds == ["0", "1", "loss", "2", "3", "end"]
    backward = [
        i.get("record", {}).get("line") or next(iter(i)) for i in answer(api, direction="backward")
    ]
    assert backward == ["3", "2", "loss", "1", "0", "end"]
    assert lines(answer(api, tail=1)) == ["3"]
    assert not any("loss" in i for i in answer(api, tail=1))
    assert not any("loss" in i for i in answer(api, losses="false"))
    assert {
        "labels": instance,
        "position": 150,
        "size_bytes": 99,
        "start": str(at + 1_000_000),
        "end": str(at + 2_000_000),
        "reason": "rotated_away",
    } == answer(api)[2]["loss"]


@contextmanager
def following(api: Api, **params: Any) -> Iterator[Iterator[str]]:
    asked = {"query": '{namespace="shop"}', "follow": "true", **params}
    with api.http.stream("GET", LOGS, params=asked, timeout=10) as response:
        assert response.status_code == 200
        yield response.iter_lines()


def next_line(found: Iterator[str]) -> str:
    """The next record's; empty lines are signs of life."""
    return str(json.loads(next(x for x in found if x))["record"]["line"])


def test_following_gives_the_past_and_what_comes_each_once(api: Api) -> None:
    api.push(WEB, [time.time_ns(), "past"])
    with following(api) as found:
        assert next_line(found) == "past"
        for number in range(3):
            api.push(WEB, [time.time_ns(), f"new {number}"])
            assert f"new {number}" == next_line(found)
        api.push(WEB, [time.time_ns() - 30 * SECOND, "late"])
        assert next_line(found) == "late"


def test_following_the_newest_leaves_older_ones_out(api: Api) -> None:
    now = time.time_ns()
    api.push(WEB, *([now + n, str(n)] for n in range(5)))
    with following(api, tail=2) as found:
        assert [next_line(found), next_line(found)] == ["3", "4"]
        api.push(WEB, [time.time_ns(), "new"])
        assert next_line(found) == "new"


def test_following_nothing_shows_that_it_lives(api: Api) -> None:
    with following(api) as found:
        assert next(found) == ""


def test_losses_are_told_while_following(api: Api) -> None:
    instance = {k: v for k, v in WEB.items() if k != "stream"}
    now = time.time_ns()
    lost = Loss(
        labels=instance, position=0, size_bytes=1, start_ns=now, end_ns=now, reason="deleted"
    )
    with following(api) as found:
        assert next(found) == ""
        data = segment([], WEB, losses=[lost])
        assert api.http.post("/kelp/v1/segments", content=data).status_code == 200
        told = json.loads(next(x for x in found if x))
        assert told["loss"]["reason"] == "deleted"


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({}, "'query' is missing"),
        ({"query": "{"}, "parse error"),
        ({"query": "vector(1)"}, "log selector"),
        ({"query": '{a="b"}', "foo": "1"}, "unknown parameter"),
        ({"query": '{a="b"}', "tail": "5", "limit": "5"}, "exclude each other"),
        ({"query": '{a="b"}', "tail": "5", "direction": "forward"}, "exclude each other"),
        ({"query": '{a="b"}', "follow": "true", "end": "5"}, "exclude each other"),
        ({"query": '{a="b"}', "follow": "true", "direction": "backward"}, "'direction'"),
        ({"query": '{a="b"}', "follow": "perhaps"}, "'follow' cannot be read"),
        ({"query": '{a="b"}', "tail": "100001"}, "'tail' cannot be read"),
        ({"query": '{a="b"}', "start": "10", "end": "5"}, "ends before it starts"),
    ],
)
def test_errors_are_objects_with_a_status(api: Api, params: dict[str, str], text: str) -> None:
    for response in (api.get(LOGS, **params), api.form(LOGS, **params)):
        assert response.status_code == 400
        assert text in response.json()["error"]["message"]


def test_a_reader_who_leaves_does_no_harm(api: Api) -> None:
    api.push(WEB, [now_ns(), "x"])
    for _ in range(5):
        with pytest.raises(httpx2.ReadTimeout), following(api) as found:
            next_line(found)
            raise httpx2.ReadTimeout("leaves")
    assert api.get("/ready").status_code == 200
