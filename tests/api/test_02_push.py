"""02 Loki's push: what is stored, what is refused, and in which words."""

from __future__ import annotations

import gzip
import json
import zlib

import httpx2
import pytest

from tests.api.running import Api, Running, now_ns

PUSH = "/loki/api/v1/push"


def lines(api: Api, query: str = '{app="a"}', **params: str) -> list[str]:
    found = api.data("/loki/api/v1/query_range", query=query, direction="forward", **params)
    return [v[1] for s in found["result"] for v in s["values"]]


def body(*values: list[object], labels: dict[str, str] | None = None) -> bytes:
    stream = {"stream": labels or {"app": "a"}, "values": values}
    return json.dumps({"streams": [stream]}).encode()


def send(api: Api, content: bytes, **headers: str) -> httpx2.Response:
    given = {"Content-Type": "application/json"} | {
        k.replace("_", "-"): v for k, v in headers.items()
    }
    return api.http.post(PUSH, content=content, headers=given)


def test_what_was_answered_with_204_is_found_at_once(api: Api) -> None:
    for number in range(5):
        api.push({"app": "a"}, [now_ns() + number, f"line {number}"])
        assert f"line {number}" in lines(api)


def test_equal_timestamps_keep_the_order_of_arrival(api: Api) -> None:
    at = now_ns()
    api.push({"app": "a"}, *([at, f"{n:03}"] for n in range(100)))
    api.push({"app": "a"}, *([at, f"{n:03}"] for n in range(100, 200)))
    assert [f"{n:03}" for n in range(200)] == lines(api, limit="1000")


def test_a_row_that_repeats_another_of_the_push_is_stored_once(api: Api) -> None:
    at = now_ns()
    api.push({"app": "a"}, [at, "x"], [at, "x"], [at, "y"], [at, "x", {"m": "1"}])
    assert sorted(lines(api)) == ["x", "x", "y"]


@pytest.mark.parametrize(
    ("encoding", "compress"),
    [
        ("gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("deflate", lambda data: zlib.compress(data, wbits=-15)),
        ("identity", bytes),
        ("GZIP", lambda data: gzip.compress(data[:20]) + gzip.compress(data[20:])),
    ],
)
def test_compressed_bodies(api: Api, encoding: str, compress: object) -> None:
    content = compress(body([str(now_ns()), "packed"]))
    assert send(api, content, Content_Encoding=encoding).status_code == 204
    assert lines(api) == ["packed"]


def test_a_push_that_is_sent_again_is_stored_once(api: Api) -> None:
    content = body([str(now_ns()), "once"])
    other = Api(api.server)
    for sender in (api, api, other):
        assert send(sender, content).status_code == 204
    assert ["once"] == lines(api)
    assert ["once"] == lines(other)
    other.close()


def test_a_push_with_a_fault_is_told_it_each_time(api: Api) -> None:
    good = {"stream": {"app": "a"}, "values": [[str(now_ns()), "good"]]}
    content = json.dumps({"streams": [{"stream": {}, "values": [["1", "x"]]}, good]}).encode()
    assert [400, 400] == [send(api, content).status_code for _ in range(2)]


def test_metadata_names_become_such_that_logql_can_write(api: Api) -> None:
    api.push({"app": "a"}, [now_ns(), "x", {"trace.id": "1", "2nd": "b", "empty": ""}])
    found = api.data("/loki/api/v1/query_range", query='{app="a"} | trace_id="1"')["result"]
    assert {"trace_id": "1", "key_2nd": "b"}.items() <= found[0]["stream"].items()


def test_bytes_that_are_no_utf8_become_replacement_characters(api: Api) -> None:
    content = body([str(now_ns()), "a?b"]).replace(b"?", b"\xff")
    assert send(api, content).status_code == 204
    assert lines(api) == ["a\ufffdb"]


def test_a_stream_with_wrong_labels_is_left_out_and_told_the_others_stay(api: Api) -> None:
    good = {"stream": {"app": "a"}, "values": [[str(now_ns()), "good"]]}
    for labels in ({}, {"a-b": "c"}, {"app": ""}, {f"l{n}": "x" for n in range(65)}):
        bad = {"stream": labels, "values": [[str(now_ns()), "bad"]]}
        response = send(api, json.dumps({"streams": [bad, good]}).encode())
        assert response.status_code == 400
        assert "1 streams were left out" in response.text
    assert {"good"} == set(lines(api))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'{"streams": {}}',
        b"\x00\xff\xfe" * 100,
        b"[" * 100_000,
        b'{"streams": [{"stream": {"app": "a"}, "values": [[1, "x"]]}]}',
        b'{"streams": [{"stream": {"app": "a"}, "values": [["now", "x"]]}]}',
        b'{"streams": [{"stream": {"app": "a"}, "values": [["99999999999999999999", "x"]]}]}',
        b'{"streams": [{"stream": {"app": "a"}, "values": [["1"]]}]}',
        b'{"streams": [{"stream": {"app": 1}, "values": [["1", "x"]]}]}',
    ],
)
def test_what_is_no_push_is_refused(api: Api, content: bytes) -> None:
    response = send(api, content)
    assert response.status_code == 400
    assert "expected" in response.text


def test_an_empty_push_is_fine(api: Api) -> None:
    assert send(api, b'{"streams": []}').status_code == 204


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content_Type": "text/plain"}, 415),
        ({"Content_Encoding": "br"}, 415),
        ({"Content_Encoding": "gzip"}, 400),
        ({"Content_Encoding": "deflate"}, 400),
    ],
)
def test_other_types_and_broken_compression_are_refused(
    api: Api, headers: dict[str, str], status: int
) -> None:
    assert status == send(api, body([str(now_ns()), "x"]), **headers).status_code


def test_a_cut_gzip_is_refused(api: Api) -> None:
    content = gzip.compress(body([str(now_ns()), "x" * 1000]))[:-10]
    assert send(api, content, Content_Encoding="gzip").status_code == 400


def test_too_large_a_body_is_refused_by_its_length_and_without_one(api: Api) -> None:
    large = body([str(now_ns()), "x" * (1 << 20)])
    assert send(api, large).status_code == 413
    chunks = (large[i : i + 65536] for i in range(0, len(large), 65536))
    response = api.http.post(PUSH, content=chunks, headers={"Content-Type": "application/json"})
    assert response.status_code == 413


def test_a_gzip_bomb_is_refused(api: Api) -> None:
    response = send(api, gzip.compress(b" " * (64 << 20)), Content_Encoding="gzip")
    assert response.status_code == 413


def test_a_sender_that_hangs_up_does_no_harm(server: Running, api: Api) -> None:
    import socket

    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as sock:
        sock.sendall(
            f"POST {PUSH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {server.token}\r\n"
            "Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{".encode()
        )
    assert api.get("/ready").status_code == 200
