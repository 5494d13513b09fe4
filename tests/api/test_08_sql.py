"""08 SQL over the tenant's records."""

from __future__ import annotations

from typing import Any

import httpx2
import pyarrow as pa
import pytest

from tests.api.running import SECOND, Api, now_ns

PATH = "/kelp/v1/sql"


def ask(api: Api, query: str, **params: str) -> httpx2.Response:
    return api.http.post(PATH, json={"query": query}, params=params)


def rows(api: Api, query: str) -> Any:
    response = ask(api, query)
    assert response.status_code == 200, response.text
    return response.json()["rows"]


def test_rows_with_names_and_types(api: Api) -> None:
    at = now_ns() + 5
    api.push({"app": "a", "pod": "p"}, [at, "one"], [at + SECOND, "two"])
    found = ask(api, "select body, timestamp, labels from logs order by timestamp").json()
    assert [c["name"] for c in found["columns"]] == ["body", "timestamp", "labels"]
    assert (
        found["row_count"], found["rows"][0][0], found["rows"][0][2],
    ) == (2, "one", {"app": "a", "pod": "p"})  # fmt: skip
    assert found["rows"][0][1].endswith(".000000005Z")


def test_values_that_json_has_not(api: Api) -> None:
    assert rows(api, "select nan as a, inf as b, null as c, unhex('61FF') as d, [1, 2] as e") == [
        ["nan", "inf", None, "a\ufffd", [1, 2]]
    ]


def test_csv_and_arrow(api: Api) -> None:
    query = "select 1 as n, 'x' as s, map('k', 'v') as m"
    csv = ask(api, query, format="csv")
    assert (
        csv.headers["Content-Type"],
        csv.text.splitlines()[0],
    ) == ("text/csv; charset=utf-8", '"n","s","m"')
    table = pa.ipc.open_stream(ask(api, query, format="arrow").content).read_all()
    assert table.column("s").to_pylist() == [b"x"]


def test_other_tenants_are_out_of_reach(api: Api) -> None:
    other = Api(api.server)
    other.push({"app": "secret"}, [now_ns(), "x"])
    assert rows(api, "select count() from logs") == [[0]]
    for query in ("select * from records", "select * from streams", "select * from system.tables"):
        assert ask(api, query).status_code == 400, query


@pytest.mark.parametrize(
    "query",
    ["", "select", "drop table records", "insert into logs values (1)", "select 1; select 2"],
)
def test_what_is_no_select_is_refused(api: Api, query: str) -> None:
    response = ask(api, query)
    assert (response.status_code, bool(response.json()["error"]["message"])) == (400, True)


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"", "application/json", 400),
        (b"select 1", "application/json", 400),
        (b'{"query": 1}', "application/json", 400),
        (b'{"query": "select 1", "more": 1}', "application/json", 400),
        (b'{"query": "\xff"}', "application/json", 400),
        (b"select 1", "text/plain", 415),
        (b'{"query": "' + b" " * (2 << 20) + b'"}', "application/json", 413),
    ],
)
def test_bodies_that_cannot_be_read(api: Api, content: bytes, kind: str, status: int) -> None:
    response = api.http.post(PATH, content=content, headers={"Content-Type": kind})
    assert (status, True) == (response.status_code, "message" in response.json()["error"])


def test_an_unknown_format_is_refused(api: Api) -> None:
    assert ask(api, "select 1", format="xml").json()["error"]["expected"] == "json or csv or arrow"
