"""OTLP's logs: what OpenTelemetry's collectors and SDKs send, in protobuf and in JSON.

Formats: https://opentelemetry.io/docs/specs/otlp/#otlphttp and, for what becomes a label,
https://grafana.com/docs/loki/latest/send-data/otel/. Labels are those that Loki makes, and beside
them the short names that Kelp's own agents use, so that one query finds the logs of both.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from typing import Any

import numpy as np
import pyarrow as pa
from google.protobuf import json_format
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsPartialSuccess,
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)

from kelp.wire.otlp_json import what_is_wrong
from kelp.wire.pushed import (
    Pushed,
    PushedRows,
    PushError,
    metadata_name,
    why_refused,
    without_repeats,
)

# Resource attributes that become labels, as in Loki's default configuration.
_LABELS = frozenset({
    "service.name", "service.namespace", "service.instance.id", "deployment.environment",
    "deployment.environment.name", "cloud.region", "cloud.availability_zone", "k8s.cluster.name",
    "k8s.namespace.name", "k8s.pod.name", "k8s.container.name", "container.name",
    "k8s.replicaset.name", "k8s.deployment.name", "k8s.statefulset.name", "k8s.daemonset.name",
    "k8s.cronjob.name", "k8s.job.name",
})  # fmt: skip
_SHORT = {
    "k8s.cluster.name": "cluster",
    "k8s.namespace.name": "namespace",
    "k8s.pod.name": "pod",
    "k8s.pod.uid": "pod_uid",
    "k8s.container.name": "container",
    "k8s.node.name": "node",
}
_UNKNOWN = {"service_name": "unknown_service"}
_MAX_INT64 = (1 << 63) - 1
_MAX_DEPTH = 20


def decode_proto(data: bytes, now_ns: int) -> Pushed:
    """Rows of a request in protobuf; raises PushError. `now_ns` stands in for absent times."""
    request = ExportLogsServiceRequest()
    try:
        request.ParseFromString(data)
    except DecodeError as e:
        raise PushError(
            f"expected an ExportLogsServiceRequest in protobuf; got {len(data)} bytes that are "
            "none: traces and metrics do not belong here, and JSON goes as application/json"
        ) from e
    return _pushed(request, now_ns)


def decode_json(data: bytes, now_ns: int) -> Pushed:
    """Rows of a request in JSON; raises PushError."""
    try:
        decoded = json.loads(data.decode("utf-8-sig"))  # of bytes it would take half a pair, too
        if not isinstance(decoded, dict):
            raise ValueError("no object")
        _ids_to_base64(decoded)
        request = json_format.ParseDict(
            decoded, ExportLogsServiceRequest(), ignore_unknown_fields=True
        )
    except SystemError as e:  # protobuf's, for a name with half a surrogate pair ("\\ud800")
        raise PushError('expected {"resourceLogs": […]} in UTF-8; got half a character') from e
    except (ValueError, TypeError, AttributeError, RecursionError, json_format.Error) as e:
        # Their texts are about Python's types and functions, which no sender knows.
        raise PushError(
            'expected an ExportLogsServiceRequest, {"resourceLogs": […]}; got something else: '
            f"{what_is_wrong(data)}"
        ) from e
    return _pushed(request, now_ns)


def encode_answer(rejected: int, message: str, *, as_json: bool) -> bytes:
    """What the sender is told: how many records were left out, and why."""
    answer = ExportLogsServiceResponse()
    if rejected:
        answer.partial_success.CopyFrom(
            ExportLogsPartialSuccess(rejected_log_records=rejected, error_message=message)
        )
    if as_json:
        return str(json_format.MessageToJson(answer)).encode()
    return bytes(answer.SerializeToString())


def _ids_to_base64(decoded: Any) -> None:
    """OTLP's JSON has ids in hex, where protobuf's own has base64."""
    for resource in decoded.get("resourceLogs") or ():
        for scope in resource.get("scopeLogs") or ():
            for record in scope.get("logRecords") or ():
                for name in ("traceId", "spanId"):
                    if record.get(name):
                        raw = bytes.fromhex(record[name])
                        record[name] = _base64(raw)


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _pushed(request: Any, now_ns: int) -> Pushed:
    pushed = Pushed([], timed_here=_lacks_times(request))
    for resource in request.resource_logs:
        attributes = dict(_flat(resource.resource.attributes))
        labels = _labels(attributes)
        count = sum(len(s.log_records) for s in resource.scope_logs)
        if not count:
            continue
        if why := why_refused(labels):
            pushed.rejected.extend([why] * count)
            continue
        shared = {metadata_name(k): v for k, v in attributes.items() if k not in _LABELS}
        rows = _rows(labels, shared, resource.scope_logs, now_ns)
        pushed.rows.append(without_repeats(rows))
    return pushed


def _lacks_times(request: Any) -> bool:
    return any(
        not (record.time_unix_nano or record.observed_time_unix_nano)
        for resource in request.resource_logs
        for scope in resource.scope_logs
        for record in scope.log_records
    )


def _labels(attributes: dict[str, str]) -> dict[str, str]:
    labels = {metadata_name(k): v for k, v in attributes.items() if k in _LABELS and v}
    labels |= {_SHORT[k]: v for k, v in attributes.items() if k in _SHORT and v}
    return _UNKNOWN | labels


def _rows(
    labels: dict[str, str], shared: dict[str, str], scopes: Iterable[Any], now_ns: int
) -> PushedRows:
    records = [(record, _of_scope(scope.scope)) for scope in scopes for record in scope.log_records]
    times = [r.time_unix_nano or r.observed_time_unix_nano or now_ns for r, _ in records]
    return PushedRows(
        labels,
        np.array([min(t, _MAX_INT64) for t in times], np.int64),
        pa.array([_body(r.body) for r, _ in records], pa.binary()),
        [{**shared, **scope, **_of_record(r)} for r, scope in records],
        np.array([min(max(r.severity_number, 0), 24) for r, _ in records], np.uint8),
        [r.severity_text for r, _ in records],
        [r.trace_id.hex() for r, _ in records],
        [r.span_id.hex() for r, _ in records],
    )


def _of_scope(scope: Any) -> dict[str, str]:
    found = {"scope_name": scope.name, "scope_version": scope.version}
    found |= {metadata_name(k): v for k, v in _flat(scope.attributes)}
    return {k: v for k, v in found.items() if v}


def _of_record(record: Any) -> dict[str, str]:
    """As Loki puts it into structured metadata; ids have columns of their own."""
    found = {metadata_name(k): v for k, v in _flat(record.attributes)}
    if record.severity_number:
        found["severity_number"] = str(record.severity_number)
    if record.severity_text:
        found["severity_text"] = record.severity_text
    if record.flags:
        found["flags"] = str(record.flags)
    if record.observed_time_unix_nano:
        found["observed_timestamp"] = str(record.observed_time_unix_nano)
    return found


def _flat(attributes: Iterable[Any], prefix: str = "", depth: int = 0) -> Iterable[tuple[str, str]]:
    """Names and values; a map's are joined to its name, as in Loki."""
    for pair in attributes:
        name = prefix + pair.key
        if pair.value.WhichOneof("value") == "kvlist_value" and depth < _MAX_DEPTH:
            yield from _flat(pair.value.kvlist_value.values, f"{name}_", depth + 1)
        else:
            yield name, _text(pair.value)


def _body(value: Any) -> bytes:
    if value.WhichOneof("value") == "bytes_value":
        return bytes(value.bytes_value)
    return _text(value).encode("utf-8", "replace")


def _text(value: Any) -> str:
    """A value as text: what is nested as JSON, bytes as base64, true and false as in JSON."""
    kind = value.WhichOneof("value")
    if kind is None:
        return ""
    if kind == "string_value":
        return str(value.string_value)
    if kind == "bytes_value":
        return _base64(value.bytes_value)
    return json.dumps(_plain(value, 0), ensure_ascii=False)


def _plain(value: Any, depth: int) -> Any:
    kind = value.WhichOneof("value")
    if kind is None or depth > _MAX_DEPTH:
        return None
    if kind == "array_value":
        return [_plain(v, depth + 1) for v in value.array_value.values]
    if kind == "kvlist_value":
        return {p.key: _plain(p.value, depth + 1) for p in value.kvlist_value.values}
    if kind == "bytes_value":
        return _base64(value.bytes_value)
    return getattr(value, kind)
