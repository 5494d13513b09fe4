"""15 What OpenTelemetry and protobuf pushes bring in."""

from __future__ import annotations

import gzip
import json

import cramjam
import pyarrow as pa
import pytest
from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)

from tests.api.running import Api, now_ns
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
