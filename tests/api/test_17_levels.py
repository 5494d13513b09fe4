"""17 Levels of what is pushed: the sender's word, else the line's, and the switch for it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cramjam
import msgspec
import pytest

from kelp.base.settings import Query, Settings
from tests.api.running import Api, Running, now_ns, running
from tests.wire.test_loki_proto import push

FAILED = '{"level":"error","msg":"no such file"}'


@dataclass
class Switch:
    """The settings that the next reload finds."""

    settings: Settings

    def turn(self, api: Api, *, on: bool) -> None:
        query = Query(derive_detected_level=on)
        self.settings = msgspec.structs.replace(self.settings, query=query)
        assert "query.derive_detected_level" in api.http.post("/-/reload").text


@pytest.fixture(scope="module")
def switch(settings: Settings) -> Switch:
    return Switch(settings)


@pytest.fixture(scope="module")
def server(settings: Settings, switch: Switch) -> Iterator[Running]:
    with running(settings, lambda: switch.settings) as server:
        yield server


def levels(api: Api, query: str = '{app="a"}') -> dict[str, str | None]:
    """detected_level by line."""
    result = api.data("/loki/api/v1/query_range", query=query)["result"]
    return {v[1]: s["stream"].get("detected_level") for s in result for v in s["values"]}


def otlp(api: Api, *records: dict[str, Any]) -> None:
    attributes = [{"key": "service.name", "value": {"stringValue": "shop"}}]
    logs = [{"timeUnixNano": str(now_ns()), **r} for r in records]
    resource = {"resource": {"attributes": attributes}, "scopeLogs": [{"logRecords": logs}]}
    assert api.http.post("/otlp/v1/logs", json={"resourceLogs": [resource]}).status_code == 200


def test_the_line_says_it_where_the_sender_does_not(api: Api) -> None:
    lines = {FAILED: "error", "ts=1 level=warn": "warn", "[debug] x": "debug", "plain": "unknown"}
    api.push({"app": "a"}, *([now_ns(), line] for line in lines))
    assert lines == levels(api)
    assert {FAILED: "error"} == levels(api, '{app="a"} | detected_level="error"')


def test_metadata_and_labels_go_before_the_line(api: Api) -> None:
    other = json.dumps({"level": "error", "n": 2})
    api.push({"app": "a"}, [now_ns(), FAILED, {"level": "info"}], [now_ns(), other])
    api.push({"app": "a", "level": "warn"}, [now_ns(), "level=error"])
    assert {FAILED: "info", other: "error", "level=error": "warn"} == levels(api)


def test_protobuf_is_looked_at_as_well(api: Api) -> None:
    data = push(b'{app="a"}', (now_ns(), FAILED.encode(), {}), (now_ns(), b"E: \xff", {}))
    packed = bytes(cramjam.snappy.compress_raw(data))
    headers = {"Content-Type": "application/x-protobuf"}
    assert api.http.post("/loki/api/v1/push", content=packed, headers=headers).status_code == 204
    assert {FAILED: "error", "E: \ufffd": "unknown"} == levels(api)


def test_severity_of_otlp_goes_before_its_body(api: Api) -> None:
    def body(number: int) -> dict[str, str]:
        return {"stringValue": f"level=error n={number}"}

    otlp(
        api,
        {"body": body(1)},
        {"body": body(2), "severityNumber": 9},
        {"body": body(3), "severityText": "Warning"},
    )
    expected = {1: "error", 2: "info", 3: "warn"}
    found = levels(api, '{service_name="shop"}')
    assert {f"level=error n={n}": level for n, level in expected.items()} == found


def test_switched_off_nothing_is_added(api: Api, switch: Switch) -> None:
    switch.turn(api, on=False)
    api.push({"app": "a"}, [now_ns(), FAILED])
    assert {FAILED: None} == levels(api)
    switch.turn(api, on=True)
    assert {FAILED: "unknown"} == levels(api), "the line was stored without a severity"
    api.push({"app": "b"}, [now_ns(), FAILED])
    assert {FAILED: "error"} == levels(api, '{app="b"}')
