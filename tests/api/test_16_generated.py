"""Requests that a machine makes of the OpenAPI document: whatever they hold, no 5xx.

Left out are routes that never end, that wait, or that act on the process (tail, log stream, asks,
reload).
"""

from __future__ import annotations

from collections.abc import Iterator

import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.schemas import APIOperation

from tests.api.running import Running

# Bodies of these types are made elsewhere (segments, pushes); here any bytes stand for them.
BINARY = (
    "application/vnd.apache.arrow.stream",
    "application/x-protobuf",
)

LEFT_OUT = ("/loki/api/v1/tail", "/kelp/v1/logs", "/-/reload", "/kelp/v1/asks")


for media_type in BINARY:
    schemathesis.openapi.media_type(media_type, st.binary(max_size=200))


def operations(server: Running) -> Iterator[APIOperation]:
    document = schemathesis.openapi.from_url(f"{server.url}/openapi.json", headers=bearer(server))
    for result in document.get_all_operations():
        operation = result.ok()
        if operation.path not in LEFT_OUT:
            yield operation


def bearer(server: Running) -> dict[str, str]:
    return {"Authorization": f"Bearer {server.token}"}


def test_whatever_is_asked_is_answered(server: Running):
    tried = [fuzz(operation, server) for operation in operations(server)]
    assert len(tried) > 20


def fuzz(operation: APIOperation, server: Running) -> str:
    @given(case=operation.as_strategy())
    @settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
    def ask(case: schemathesis.Case) -> None:
        case.call_and_validate(headers=bearer(server), checks=[not_a_server_error], timeout=30)

    ask()
    return operation.label
