"""OTLP's logs, in protobuf and JSON: labels, metadata, bodies, times."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)

from kelp.wire import otlp
from kelp.wire.pushed import PushError, to_log_batch

NOW = 5_000


def text(value: str) -> dict[str, Any]:
    return {"stringValue": value}


def request(
    *records: dict[str, Any], resource: dict[str, str] | None = None, scope: str = ""
) -> bytes:
    attributes = [{"key": k, "value": text(v)} for k, v in (resource or {}).items()]
    return json.dumps(
        {
            "resourceLogs": [
                {
                    "resource": {"attributes": attributes},
                    "scopeLogs": [{"scope": {"name": scope}, "logRecords": list(records)}],
                }
            ]
        }
    ).encode()


def rows(data: bytes) -> list[dict[str, Any]]:
    batch = to_log_batch(otlp.decode_json(data, NOW).rows, 0, 0)
    times = batch.records.column("timestamp").cast("int64").to_pylist()
    found = batch.records.drop_columns(["timestamp", "observed_timestamp"]).to_pylist()
    return [
        row | {"time": time, "labels": batch.streams[row["stream_id"]].labels}
        for row, time in zip(found, times, strict=True)
    ]


def test_a_record_with_everything() -> None:
    record = {
        "timeUnixNano": "1000",
        "observedTimeUnixNano": "2000",
        "severityNumber": 17,
        "severityText": "ERROR",
        "body": text("it broke"),
        "traceId": "0102030405060708090a0b0c0d0e0f10",
        "spanId": "0102030405060708",
        "flags": 1,
        "attributes": [
            {"key": "http.status", "value": {"intValue": "503"}},
            {"key": "deep", "value": {"kvlistValue": {"values": [
                {"key": "er", "value": {"boolValue": True}}]}}},
            {"key": "list", "value": {"arrayValue": {"values": [text("a"), {"doubleValue": 1.5}]}}},
        ],
    }  # fmt: skip
    (row,) = rows(request(record, resource={"service.name": "shop", "os.type": "linux"}, scope="s"))
    assert row["labels"] == {"service_name": "shop"}
    assert (
        row["time"], row["body"], row["severity_number"], row["severity_text"],
    ) == (1000, b"it broke", 17, "ERROR")  # fmt: skip
    assert (
        row["trace_id"],
        row["span_id"],
    ) == ("0102030405060708090a0b0c0d0e0f10", "0102030405060708")
    assert dict(row["attributes"]) == {
        "os_type": "linux", "scope_name": "s", "http_status": "503", "deep_er": "true",
        "list": '["a", 1.5]', "severity_number": "17", "severity_text": "ERROR", "flags": "1",
        "observed_timestamp": "2000",
    }  # fmt: skip


def test_kubernetes_names_are_labels_in_both_manners() -> None:
    resource = {"k8s.namespace.name": "shop", "k8s.pod.name": "web-0", "k8s.pod.uid": "u"}
    (row,) = rows(request({"body": text("x")}, resource=resource))
    assert row["labels"] == {
        "k8s_namespace_name": "shop", "namespace": "shop", "k8s_pod_name": "web-0", "pod": "web-0",
        "pod_uid": "u", "service_name": "unknown_service",
    }  # fmt: skip


def test_times_that_are_missing() -> None:
    found = rows(request({"body": text("a"), "observedTimeUnixNano": "7"}, {"body": text("b")}))
    assert [r["time"] for r in found] == [7, NOW]


@pytest.mark.parametrize(
    ("value", "body"),
    [
        ({}, b""),
        (text("ä"), "ä".encode()),
        ({"intValue": "5"}, b"5"),
        ({"boolValue": False}, b"false"),
        ({"bytesValue": "AP8="}, b"\x00\xff"),
        ({"kvlistValue": {"values": [{"key": "k", "value": text("v")}]}}, b'{"k": "v"}'),
    ],
)
def test_bodies_that_are_no_text_become_json(value: dict[str, Any], body: bytes) -> None:
    assert [body] == [r["body"] for r in rows(request({"body": value}))]


def test_both_forms_say_the_same() -> None:
    from google.protobuf import json_format

    data = request({"body": text("x"), "timeUnixNano": "9"}, resource={"service.name": "a"})
    message = json_format.Parse(data, ExportLogsServiceRequest())
    ways = [otlp.decode_json(data, NOW), otlp.decode_proto(message.SerializeToString(), NOW)]
    assert to_log_batch(ways[0].rows, 0, 0).records.equals(to_log_batch(ways[1].rows, 0, 0).records)


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for decode in (otlp.decode_json, otlp.decode_proto):
        try:
            decode(data, NOW)
        except PushError as e:
            assert "expected" in str(e)


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b"1", b'{"resourceLogs": 1}', b'{"resourceLogs": [1]}', b"{" * 10_000,
     b'{"resourceLogs": [{"scopeLogs": [{"logRecords": [{"traceId": "zz"}]}]}]}',
     b'{"resourceLogs": [{"scopeLogs": [{"logRecords": [{"timeUnixNano": "x"}]}]}]}',
     b'{"resourceLogs": [{"scopeLogs": [{"logRecords": [{"traceId": 5}]}]}]}',
     b'{"resourceLogs\\ud800": []}', b'{"resourceLogs\xed\xa0\x80": []}'],
)  # fmt: skip
def test_what_is_no_request_in_json(data: bytes) -> None:
    with pytest.raises(PushError, match="resourceLogs"):
        otlp.decode_json(data, NOW)


def test_what_was_left_out_is_told() -> None:
    data = request({"body": text("x")}, {"body": text("y")}, resource={"service.name": "x" * 3000})
    pushed = otlp.decode_json(data, NOW)
    assert (pushed.rows, len(pushed.rejected)) == ([], 2)
    answer = ExportLogsServiceResponse.FromString(otlp.encode_answer(2, "why", as_json=False))
    assert (
        answer.partial_success.rejected_log_records,
        answer.partial_success.error_message,
    ) == (2, "why")
    assert otlp.encode_answer(0, "", as_json=True) == b"{}"
