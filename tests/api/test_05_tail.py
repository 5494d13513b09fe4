"""05 tail: what comes, by a WebSocket."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.api.running import SECOND, Api


@contextmanager
def tailing(api: Api, flags: str = "", **params: str) -> Iterator[ClientConnection]:
    url = f"{api.server.url.replace('http', 'ws')}/loki/api/v1/tail?{urlencode(params)}"
    headers = dict(api.headers) | ({"X-Loki-Response-Encoding-Flags": flags} if flags else {})
    with connect(url, additional_headers=headers) as connected:
        yield connected


def lines(message: str | bytes) -> list[str]:
    return [v[1] for s in json.loads(message)["streams"] for v in s["values"]]


def test_the_past_comes_first_and_then_what_is_new_each_once(api: Api) -> None:
    at = time.time_ns() - 2 * SECOND
    api.push({"app": "a"}, [at, "old 1"], [at + 1, "old 2"])
    with tailing(api, query='{app="a"}') as tail:
        assert lines(tail.recv(5)) == ["old 1", "old 2"]
        api.push({"app": "a"}, [time.time_ns(), "new 1"])
        assert lines(tail.recv(5)) == ["new 1"]
        api.push({"app": "a"}, [at + 2, "late"])  # a node that sends after the others
        assert lines(tail.recv(5)) == ["late"]


def test_limit_and_start_bound_the_past(api: Api) -> None:
    at = time.time_ns() - 10 * SECOND
    api.push({"app": "a"}, *([at + n, str(n)] for n in range(10)))
    with tailing(api, query='{app="a"}', limit="2") as tail:
        assert lines(tail.recv(5)) == ["8", "9"]
        api.push({"app": "a"}, [time.time_ns(), "new"])
        assert lines(tail.recv(5)) == ["new"]
    with tailing(api, query='{app="a"}', start=str(at + 7)) as tail:
        assert lines(tail.recv(5)) == ["7", "8", "9", "new"]


def test_filters_and_categories(api: Api) -> None:
    with tailing(api, "categorize-labels", query='{app="a"} |= "yes" | logfmt') as tail:
        api.push({"app": "a"}, [time.time_ns(), "no"], [time.time_ns(), "yes k=v", {"m": "1"}])
        message = json.loads(tail.recv(5))
        (value,) = message["streams"][0]["values"]
        assert value[1] == "yes k=v"
        assert value[2]["structuredMetadata"]["m"] == "1"
        assert value[2]["parsed"]["k"] == "v"


def test_delay_holds_entries_back(api: Api) -> None:
    with tailing(api, query='{app="a"}', delay_for="1") as tail:
        pushed = time.time_ns()
        api.push({"app": "a"}, [pushed, "x"])
        assert lines(tail.recv(5)) == ["x"]
        assert time.time_ns() - pushed >= SECOND


def test_pings_come_each_second(api: Api) -> None:
    host, port = api.server.url.removeprefix("http://").split(":")
    head = "".join(f"{k}: {v}\r\n" for k, v in api.headers.items())
    with socket.create_connection((host, int(port)), timeout=5) as sock:
        sock.sendall(
            f"GET /loki/api/v1/tail?query=%7Ba%3D%22b%22%7D HTTP/1.1\r\nHost: x\r\n{head}"
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
        )
        answer = sock.recv(65536)
        assert b" 101 " in answer
        frames, arrived = answer.partition(b"\r\n\r\n")[2], []
        while len(arrived) < 3:
            frames = frames or sock.recv(65536)
            # A ping without a mask, of up to 125 bytes: rfc-editor.org/rfc/rfc6455#section-5.2
            assert frames[0] == 0x89
            arrived.append(time.monotonic())
            data, frames = frames[2 : 2 + frames[1]], frames[2 + frames[1] :]
            sock.sendall(bytes([0x8A, 0x80 | len(data), 0, 0, 0, 0]) + data)  # the pong, masked
        assert 1.5 < arrived[2] - arrived[0] < 4


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({}, "'query' is missing"),
        ({"query": "{"}, "parse error"),
        ({"query": 'rate({app="a"}[1m])'}, "line 1, col 1: only log selector is supported"),
        ({"query": '{app="a"} |~ "("'}, "line 1, col 14: stage"),
        ({"query": '{app="a"}', "limit": "x"}, "'limit' cannot be read"),
        ({"query": '{app="a"}', "delay_for": "-1"}, "'delay_for' cannot be read"),
    ],
)
def test_what_is_wrong_is_told_before_the_upgrade(
    api: Api, params: dict[str, str], text: str
) -> None:
    with pytest.raises(InvalidStatus) as refused, tailing(api, **params):
        pass
    response: Any = refused.value.response
    assert (response.status_code, text in response.body.decode()) == (400, True)


def test_without_an_upgrade_it_says_what_it_is(api: Api) -> None:
    response = api.get("/loki/api/v1/tail", query='{app="a"}')
    assert (response.status_code, "WebSocket" in response.text) == (400, True)
