"""How a refusal looks on the wire, by the family of the path that was asked.

Kelp's own routes put it into JSON; Loki's clients show the body as it is, so there it is plain
text; an exporter of OTLP expects a google.rpc.Status in the encoding of its request
(https://opentelemetry.io/docs/specs/otlp/#failures).
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from starlette.responses import Response

from kelp.server.http.refusal import RefusalError

PROTOBUF = "application/x-protobuf"
_OTLP = "/otlp/"

# HTTP's status to gRPC's code: https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto
_CODES: Mapping[int, int] = {
    400: 3, 401: 16, 403: 7, 404: 5, 405: 12, 408: 4, 413: 8, 415: 3, 422: 8, 429: 8, 503: 14,
}  # fmt: skip
_INTERNAL = 13


def speaks_json(path: str) -> bool:
    """Whether errors under this path are JSON objects."""
    return path.startswith("/kelp/")


def refused(refusal: RefusalError, path: str, content_type: str) -> Response:
    """The answer; `content_type` is that of the request."""
    if not path.startswith(_OTLP):
        return refusal.as_response(as_json=speaks_json(path))
    code = _CODES.get(refusal.status, _INTERNAL)
    if content_type.partition(";")[0].strip().lower() == PROTOBUF:
        body, kind = _status(code, refusal.text()), PROTOBUF
    else:
        body = msgspec.json.encode({"code": code, "message": refusal.text()})
        kind = "application/json"
    return Response(body, refusal.status, refusal.headers, kind)


def _status(code: int, message: str) -> bytes:
    """google.rpc.Status in protobuf: `int32 code = 1; string message = 2`, of which both are set.

    Written by hand, for the two fields are not worth a dependency; codes are below 128, and so
    one byte long.
    """
    text = message.encode("utf-8", "replace")
    return bytes([0x08, code, 0x12]) + _varint(len(text)) + text


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)
