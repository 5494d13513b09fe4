"""03 query and query_range: shapes, times, steps, limits, errors."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime

import pytest

from tests.api.running import SECOND, Api, Running, now_ns

QUERY, RANGE = "/loki/api/v1/query", "/loki/api/v1/query_range"


def test_grafanas_health_check(api: Api) -> None:
    data = api.data(QUERY, query="vector(1)+vector(1)", time="4")
    assert (data["resultType"], data["result"]) == ("vector", [{"metric": {}, "value": [4, "2"]}])


def test_a_number_is_a_scalar_with_milliseconds(api: Api) -> None:
    data = api.data(QUERY, query="10 / 0", time="1700000000.1239")
    assert (data["resultType"], data["result"]) == ("scalar", [1700000000.123, "+Inf"])


def test_a_log_query_gives_streams_newest_first(api: Api) -> None:
    at = now_ns()
    api.push({"app": "a", "pod": "p"}, [at, "one"], [at + 1, "two"])
    data = api.data(RANGE, query='{app="a"}')
    assert data["resultType"] == "streams"
    (stream,) = data["result"]
    assert {"app": "a", "pod": "p"}.items() <= stream["stream"].items()
    assert [[str(at + 1), "two"], [str(at), "one"]] == stream["values"]
    assert data["stats"]["summary"]["totalEntriesReturned"] == 2


def test_the_statistics_tell_what_was_read(api: Api) -> None:
    at = now_ns()
    api.push({"app": "a"}, *([at + n, "x" * 100] for n in range(20)))
    asked = {"query": 'sum(count_over_time({app="a"} |= "x" [1h]))', "time": at + SECOND}
    summary = api.data(QUERY, **asked)["stats"]["summary"]
    assert summary["totalLinesProcessed"] == 20
    assert summary["totalBytesProcessed"] > 2000
    took = summary["execTime"]
    assert took > 0
    assert summary["linesProcessedPerSecond"] == int(20 / took)
    assert summary["bytesProcessedPerSecond"] == int(summary["totalBytesProcessed"] / took)


def test_metadata_is_part_of_the_labels_or_beside_as_asked(api: Api) -> None:
    at = now_ns()
    api.push({"app": "a"}, [at, "x=1", {"trace": "t"}], [at + 1, "x=1"])
    query = '{app="a"} | logfmt | drop detected_level'
    labels = [s["stream"] for s in api.data(RANGE, query=query)["result"]]
    assert [{k: v for k, v in s.items() if k in ("x", "trace")} for s in labels] == [
        {"x": "1"},
        {"x": "1", "trace": "t"},
    ]
    flags = {"X-Loki-Response-Encoding-Flags": "categorize-labels"}
    response = api.http.get(RANGE, params={"query": query}, headers=flags)
    data = response.json()["data"]
    assert data["encodingFlags"] == ["categorize-labels"]
    (stream,) = data["result"]
    assert [
        [str(at + 1), "x=1", {"parsed": {"x": "1"}}],
        [str(at), "x=1", {"structuredMetadata": {"trace": "t"}, "parsed": {"x": "1"}}],
    ] == stream["values"]


def test_a_metric_query_gives_a_matrix_at_its_steps(api: Api) -> None:
    at = now_ns()
    api.push({"app": "a"}, *([at - n * SECOND, "x"] for n in range(10)))
    data = api.data(
        RANGE, query='sum by (app) (count_over_time({app="a"}[10s]))',
        start=str(at), end=str(at + 10 * SECOND), step="5s",
    )  # fmt: skip
    assert data["resultType"] == "matrix"
    (series,) = data["result"]
    assert series["metric"] == {"app": "a"}
    assert [[at // SECOND, "10"], [at // SECOND + 5, "5"]] == series["values"]


@pytest.mark.parametrize("step", ["5", "5s", "5000ms", "5.0", "0m5s"])
def test_steps_are_numbers_or_durations(api: Api, step: str) -> None:
    data = api.data(RANGE, query="vector(1)", start="100", end="110", step=step)
    assert [v[0] for v in data["result"][0]["values"]] == [100, 105, 110]


def test_the_default_step_is_a_250th_of_the_range(api: Api) -> None:
    data = api.data(RANGE, query="vector(1)", start="0", end="1000")
    assert len(data["result"][0]["values"]) == 251
    short = api.data(RANGE, query="vector(1)", start="10", end="13")
    assert [v[0] for v in short["result"][0]["values"]] == [10, 11, 12, 13]


def test_times_in_every_form(api: Api) -> None:
    at = now_ns() + 123_456_789
    api.push({"app": "a"}, [at, "hit"])
    moment = datetime.fromtimestamp(at // SECOND, UTC)
    forms = [
        (str(at), str(at + 1)),
        (f"{at // SECOND}.123456789", f"{at // SECOND}.12345679"),
        (f"{moment:%Y-%m-%dT%H:%M:%S}.123456789Z", f"{moment:%Y-%m-%dT%H:%M:%S}.12345679+00:00"),
        (str(at // SECOND), str(at // SECOND + 1)),
    ]
    for start, end in forms:
        assert len(api.data(RANGE, query='{app="a"}', start=start, end=end)["result"]) == 1, start
    before = api.data(RANGE, query='{app="a"}', start=str(at - 10), end=str(at))
    assert before["result"] == []  # the end is outside


def test_since_reaches_back_and_start_goes_before_it(api: Api) -> None:
    api.push({"app": "a"}, [now_ns() - 7200 * SECOND, "old"])
    assert api.data(RANGE, query='{app="a"}')["result"] == []
    assert len(api.data(RANGE, query='{app="a"}', since="3h")["result"]) == 1
    start = str(now_ns() - 3600 * SECOND)
    assert api.data(RANGE, query='{app="a"}', since="3h", start=start)["result"] == []


def test_limit_and_direction(api: Api) -> None:
    at = now_ns()
    api.push({"app": "a"}, *([at + n, str(n)] for n in range(150)))

    def found(**params: str) -> list[str]:
        result = api.data(RANGE, query='{app="a"}', **params)["result"]
        return [v[1] for s in result for v in s["values"]]

    assert [str(n) for n in range(149, 49, -1)] == found()
    assert found(limit="3", direction="forward") == ["0", "1", "2"]
    assert found(limit="2", direction="BACKWARD") == ["149", "148"]


def test_a_form_does_as_a_url_does(api: Api) -> None:
    api.push({"app": "a"}, [now_ns(), "x"])
    response = api.form(RANGE, query='{app="a"}', since="1h")
    assert len(response.json()["data"]["result"]) == 1
    other = api.http.post(RANGE, content=b"{}", headers={"Content-Type": "application/json"})
    assert other.status_code == 415


def test_unknown_and_empty_parameters_are_ignored(api: Api) -> None:
    data = api.data(RANGE, query="vector(1)", start="", end="", step="", foo="bar")
    assert data["resultType"] == "matrix"


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({}, "'query' is missing"),
        ({"query": ""}, "'query' is missing"),
        ({"query": "{"}, "parse error at line 1, col 2"),
        ({"query": '{app=""}'}, "parse error"),
        ({"query": '{app="a"}', "limit": "0"}, "at least 1"),
        ({"query": '{app="a"}', "limit": "-1"}, "at least 1"),
        ({"query": '{app="a"}', "limit": "1_000"}, "integer"),
        ({"query": '{app="a"}', "limit": "5001"}, "max entries limit"),
        ({"query": '{app="a"}', "direction": "up"}, "forward or backward"),
        ({"query": "vector(1)", "start": "yesterday"}, "'start' cannot be read"),
        ({"query": "vector(1)", "end": "9" * 19}, "'end' cannot be read"),
        ({"query": "vector(1)", "start": "2026-13-01T00:00:00Z"}, "'start' cannot be read"),
        ({"query": "vector(1)", "start": "200", "end": "100"}, "ends before it starts"),
        ({"query": "vector(1)", "step": "0"}, "'step' cannot be read"),
        ({"query": "vector(1)", "step": "-5s"}, "'step' cannot be read"),
        ({"query": "vector(1)", "step": "5 parsecs"}, "'step' cannot be read"),
        ({"query": "vector(1)", "start": "0", "end": "11001", "step": "1"}, "11,000 points"),
        ({"query": "vector(1)", "since": "-1h"}, "'since' cannot be read"),
    ],
)
def test_errors_are_plain_text_that_says_what_is_wrong(
    api: Api, params: dict[str, str], text: str
) -> None:
    response = api.get(RANGE, **params)
    assert response.status_code == 400
    assert response.headers["Content-Type"].startswith("text/plain")
    assert text in response.text


def test_eleven_thousand_steps_are_allowed(api: Api) -> None:
    data = api.data(RANGE, query="vector(1)", start="0", end="11000", step="1")
    assert len(data["result"][0]["values"]) == 11_001


def test_an_instant_log_query_is_refused_as_loki_does(api: Api) -> None:
    response = api.get(QUERY, query='{app="a"}')
    assert (response.status_code, "range query" in response.text) == (400, True)


def test_a_huge_query_is_refused_and_the_server_lives(api: Api) -> None:
    response = api.form(QUERY, query="vector(1)" + " " * (2 << 20))
    assert response.status_code == 413
    assert raw(api.server, f"GET {QUERY}?query={'x' * 200_000} HTTP/1.1\r\n", api) == 400
    assert raw(api.server, f"GET {QUERY}?query={'x' * 1_000_000}", api) == 431
    assert raw(api.server, f"GET /ready HTTP/1.1\r\nX: {'x' * 1_000_000}", api) == 431
    assert api.get("/ready").status_code == 200


def raw(server: Running, head: str, api: Api) -> int:
    """The status that a head gets, byte by byte as it is here."""
    import socket

    rest = f"Host: x\r\nAuthorization: Bearer {server.token}\r\nConnection: close\r\n\r\n"
    address, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((address, int(port))) as sock:
        with contextlib.suppress(ConnectionError):
            sock.sendall((head + rest).encode())
        return int(sock.recv(65536).split()[1])


@pytest.mark.parametrize("query", ["%ff", "%00", "a" * 1000, "(" * 5000, "{" * 5000])
def test_garbage_for_a_query_is_the_askers_error(api: Api, query: str) -> None:
    response = api.http.get(f"{QUERY}?query={query}")
    assert response.status_code == 400


def test_explain_shows_the_plan_and_does_not_run_it(api: Api) -> None:
    api.push({"app": "a"}, [now_ns(), "x"])
    found = api.get("/kelp/v1/explain", query='count_over_time({app="a"} |= "x" [1m])').json()
    assert {"query", "plan", "sql", "estimate"} <= set(found)
    assert found["plan"]["operation"] == "count_over_time"
    wrong = api.get("/kelp/v1/explain", query="{")
    assert (wrong.status_code, "parse error" in wrong.json()["error"]["message"]) == (400, True)


def test_explain_is_a_parameter_of_queries_too(api: Api) -> None:
    for path in (QUERY, RANGE):
        found = api.get(path, query='count_over_time({app="a"}[1m])', explain="true").json()
        assert {"plan", "sql", "estimate"} <= set(found)


def test_a_request_can_ask_for_less_than_the_servers_budget(api: Api) -> None:
    at = now_ns()
    api.push({"app": "a"}, *([at + n, str(n)] for n in range(1000)))
    query = 'count_over_time({app="a"}[1h])'
    refused = api.get(QUERY, query=query, max_scanned_rows="10")
    assert (refused.status_code, "max_scanned_rows" in refused.text) == (422, True)
    for name in ("timeout", "max_memory_bytes", "max_scanned_rows", "max_scanned_bytes"):
        assert api.get(QUERY, query=query, **{name: "1000000000"}).status_code == 200
        assert api.get(QUERY, query=query, **{name: "0"}).status_code == 400


def test_a_log_answer_that_the_budget_cuts_says_so(api: Api) -> None:
    at = now_ns()
    api.push({"app": "a"}, *([at + n, str(n)] for n in range(1000)))
    for more in ({}, {"interval": "1s"}):
        cut = api.get(RANGE, query='{app="a"}', max_scanned_rows="10", **more)
        assert (cut.status_code, cut.json()["data"]["result"]) == (200, [])
        assert "would read more rows than max_scanned_rows" in cut.json()["warnings"][0]
        whole = api.get(RANGE, query='{app="a"}', max_scanned_rows="100000", **more).json()
        assert "warnings" not in whole
        assert whole["data"]["result"]


def test_an_interval_thins_entries_out(api: Api) -> None:
    at = now_ns()
    api.push({"app": "a"}, *([at + n * SECOND, str(n)] for n in range(10)))

    def found(**params: str) -> list[str]:
        result = api.data(RANGE, query='{app="a"}', interval="3s", **params)["result"]
        return [v[1] for s in result for v in s["values"]]

    assert found(direction="forward") == ["0", "3", "6", "9"]
    assert found() == ["9", "6", "3", "0"]
    assert found(limit="2") == ["9", "6"]
