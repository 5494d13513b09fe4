"""15 What OpenTelemetry and protobuf pushes bring in."""

from __future__ import annotations

import gzip
import json

import cramjam
import httpx2
import pyarrow as pa
import pytest
from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsPartialSuccess,
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)

from tests.api.running import Api, Running, now_ns
from tests.wire.test_loki_proto import push

OTLP, PUSH = "/otlp/v1/logs", "/loki/api/v1/push"
PROTOBUF = "application/x-protobuf"


def message(line: str) -> ExportLogsServiceRequest:
    attributes = [{"key": "service.name", "value": {"stringValue": "shop"}}]
    record = {"timeUnixNano": str(now_ns()), "severityNumber": 13, "body": {"stringValue": line}}
    return json_format.ParseDict(
        {
            "resourceLogs": [
                {
                    "resource": {"attributes": attributes},
                    "scopeLogs": [{"logRecords": [record]}],
                }
            ]
        },
        ExportLogsServiceRequest(),
    )


def found(api: Api, query: str) -> list[str]:
    result = api.data("/loki/api/v1/query_range", query=query)["result"]
    return [v[1] for s in result for v in s["values"]]


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [
        ("", bytes),
        ("gzip", gzip.compress),
        ("zstd", lambda data: pa.compress(data, "zstd", asbytes=True)),
    ],
)
@pytest.mark.parametrize("kind", [PROTOBUF, "application/json"])
def test_records_in_both_forms_are_found_at_once(
    api: Api, kind: str, encoding: str, pack: object
) -> None:
    request = message("from otel")
    data = request.SerializeToString()
    if kind == "application/json":
        data = json_format.MessageToJson(request).encode()
    headers = {"Content-Type": kind} | ({"Content-Encoding": encoding} if encoding else {})
    response = api.http.post(OTLP, content=pack(data), headers=headers)
    assert (200, kind) == (response.status_code, response.headers["Content-Type"])
    assert found(api, '{service_name="shop"} | detected_level="warn"') == ["from otel"]
    if kind == PROTOBUF:
        assert ExportLogsServiceResponse() == ExportLogsServiceResponse.FromString(response.content)
    else:
        assert json.loads(response.content) == {}


def test_an_export_that_is_sent_again_is_stored_once_where_it_has_its_times(api: Api) -> None:
    timed, timeless = message("timed"), message("timeless")
    timeless.resource_logs[0].scope_logs[0].log_records[0].time_unix_nano = 0
    for request in (timed, timed, timeless, timeless):
        response = api.http.post(
            OTLP, content=request.SerializeToString(), headers={"Content-Type": PROTOBUF}
        )
        assert (200, b"") == (response.status_code, response.content)
    assert ["timed"] == found(api, '{service_name="shop"} |= "timed"')
    assert ["timeless"] * 2 == found(api, '{service_name="shop"} |= "timeless"')


def status_of(response: httpx2.Response) -> tuple[int, str]:
    """Code and message of a google.rpc.Status, read by a parser that is not ours."""
    if response.headers["Content-Type"] == "application/json":
        decoded = response.json()
        return decoded["code"], decoded["message"]
    assert PROTOBUF == response.headers["Content-Type"]
    # ExportLogsPartialSuccess has an integer and a text under the same numbers.
    decoded = ExportLogsPartialSuccess.FromString(response.content)
    return decoded.rejected_log_records, decoded.error_message


@pytest.mark.parametrize("kind", [PROTOBUF, "application/json"])
def test_failures_are_statuses_in_the_encoding_of_the_request(
    server: Running, api: Api, kind: str
) -> None:
    headers = {"Content-Type": kind}
    wrong = api.http.post(OTLP, content=b"\xff{", headers=headers)
    assert (400, 3) == (wrong.status_code, status_of(wrong)[0])
    assert "expected an ExportLogsServiceRequest" in status_of(wrong)[1]
    broken = api.http.post(OTLP, content=b"x", headers={**headers, "Content-Encoding": "gzip"})
    assert (400, 3) == (broken.status_code, status_of(broken)[0])
    large = api.http.post(OTLP, content=b" " * (1 << 21), headers=headers)
    assert (413, 8) == (large.status_code, status_of(large)[0])
    unknown = httpx2.post(server.url + OTLP, content=b"", headers=headers)
    assert (401, 16) == (unknown.status_code, status_of(unknown)[0])
    assert "API token" in status_of(unknown)[1]
    method = api.http.put(OTLP, content=b"", headers=headers)
    assert (405, 12) == (method.status_code, status_of(method)[0])


def record(fields: bytes) -> bytes:
    return b'{"resourceLogs": [{"scopeLogs": [{"logRecords": [{%s}]}]}]}' % fields


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "Input data was truncated"),
        (b"[]", "Expected `object`, got `array`"),
        (b"[" * 100_000, "Expected `object`, got `array`"),
        (b"\xff\xfe\xfd", "JSON is malformed"),
        (b'{"resourceLogs": ' + b'[{"scopeLogs": ' * 50_000, "nested too deeply"),
        (b'{"resourceLogs": 5}', "Expected `array | null`, got `int` - at `$.resourceLogs`"),
        (record(b'"traceId": "xyz"'), "matching regex '^([0-9a-fA-F]{2})*$' - at `$.resourceLogs[0]"
         ".scopeLogs[0].logRecords[0].traceId`"),
        (record(b'"timeUnixNano": "now"'), "matching regex '^-?[0-9]+$' - at `$.resourceLogs[0]"
         ".scopeLogs[0].logRecords[0].timeUnixNano`"),
        (record(b'"timeUnixNano": 1e400'), "logRecords[0].timeUnixNano`"),
        (record(b'"timeUnixNano": -5'), "a number that is too large, or"),
        (record(b'"body": {"stringValue": 5}'), "got `int` - at `$.resourceLogs[0].scopeLogs[0]"
         ".logRecords[0].body.stringValue`"),
        (record(b'"attributes": {"a": "b"}'), "got `object` - at `$.resourceLogs[0].scopeLogs[0]"
         ".logRecords[0].attributes`"),
    ],
    ids=lambda value: str(value)[:60],
)  # fmt: skip
def test_wrong_json_is_told_by_its_place(api: Api, content: bytes, said: str) -> None:
    response = api.http.post(OTLP, content=content, headers={"Content-Type": "application/json"})
    assert 400 == response.status_code
    message = response.json()["message"]
    assert 'expected an ExportLogsServiceRequest, {"resourceLogs": […]}; got' in message
    assert said in message


def test_a_protobuf_push_with_snappy(api: Api) -> None:
    data = push(b'{app="proto"}', (now_ns(), b"line \xff", {b"trace.id": b"t"}))
    packed = bytes(cramjam.snappy.compress_raw(data))
    response = api.http.post(PUSH, content=packed, headers={"Content-Type": PROTOBUF})
    assert (response.status_code, response.text) == (204, "")
    assert found(api, '{app="proto"} | trace_id="t"') == ["line \ufffd"]


@pytest.mark.parametrize("path", [OTLP, PUSH])
@pytest.mark.parametrize("content", [b"\xff" * 100, b"", b"\x00", b"snappy?" * 1000])
def test_garbage_is_refused_or_holds_nothing(api: Api, path: str, content: bytes) -> None:
    response = api.http.post(path, content=content, headers={"Content-Type": PROTOBUF})
    # Nothing at all is a message of nothing; a block of snappy says at least its length.
    empty = {(OTLP, b""): 200, (PUSH, b"\x00"): 204}
    assert response.status_code == empty.get((path, content), 400), response.text


def test_a_cut_snappy_block_is_refused(api: Api) -> None:
    packed = bytes(cramjam.snappy.compress_raw(push(b'{a="b"}', (now_ns(), b"x" * 500, {}))))
    response = api.http.post(PUSH, content=packed[:-5], headers={"Content-Type": PROTOBUF})
    assert (response.status_code, "snappy" in response.text) == (400, True)


def test_other_content_types_are_refused(api: Api) -> None:
    response = api.http.post(OTLP, content=b"x", headers={"Content-Type": "text/plain"})
    assert (response.status_code, PROTOBUF in response.text) == (415, True)
    assert 3 == response.json()["code"]
