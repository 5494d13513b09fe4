from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kelp.base.formats.ids import MEANINGS, PATTERNS, ids_of

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
UUID = "9b6a0f51-0db1-4dd2-91f0-0bb9d4c9c1f1"
BOTH = {"trace_id": TRACE, "span_id": SPAN}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (f'{{"trace_id":"{TRACE}","span_id":"{SPAN}","x":1}}', BOTH),
        (f'{{"traceId" : "{TRACE}", "spanId": "{SPAN}"}}', BOTH),
        (f'{{"trace.id":"{TRACE}","span.id":"{SPAN}"}}', BOTH),
        (f'{{"trace":{{"id":"{TRACE}"}},"span":{{"id":"{SPAN}"}}}}', BOTH),
        (f'{{"msg":"{{\\"traceId\\":\\"{TRACE}\\"}}"}}', {"trace_id": TRACE}),
        (f"level=info traceID={TRACE} spanID={SPAN}", BOTH),
        (f'level=info trace_id="{TRACE}" span_id="{SPAN}"', BOTH),
        (f"INFO [traceId={TRACE}, spanId={SPAN}] served", BOTH),
        (f"INFO [shop,{TRACE},{SPAN}] served", BOTH),
        (f"INFO [shop,{TRACE},{SPAN},true] served", BOTH),
        (f"INFO [,{TRACE},{SPAN}] served", BOTH),
        (f"otelTraceID={TRACE} otelSpanID={SPAN}", BOTH),
        (f"traceparent: 00-{TRACE}-{SPAN}-01", BOTH),
        (f'{{"traceparent":"00-{TRACE}-{SPAN}-01"}}', BOTH),
        (f"b3: {TRACE}-{SPAN}-1-05e3ac9a4f6e3b90", BOTH),
        (f"X-B3-TraceId: {TRACE} X-B3-SpanId: {SPAN} X-B3-Sampled: 1", BOTH),
        (f"uber-trace-id={TRACE}:{SPAN}:0:1", BOTH),
        ("traceID=5b8efff79803810", {"trace_id": "5b8efff79803810"}),
        (f'{{"logging.googleapis.com/trace":"projects/p/traces/{TRACE}"}}', {"trace_id": TRACE}),
        (
            '{"dd":{"trace_id":"1234567890123456789","span_id":"987654321098765432"}}',
            {"trace_id": "1234567890123456789", "span_id": "987654321098765432"},
        ),
        (f"dd.trace_id=1234567890123456789 dd.span_id={SPAN}", {
            "trace_id": "1234567890123456789", "span_id": SPAN,
        }),
        (f'{{"trace_id":"{UUID}"}}', {"trace_id": UUID}),
        (f'x-request-id: {UUID}', {"request_id": UUID}),
        ('{"requestId":"req-00017"}', {"request_id": "req-00017"}),
        ("reqId=AbC/123==", {"request_id": "AbC/123=="}),
        (f"X-Correlation-Id={UUID}", {"correlation_id": UUID}),
        ('{"correlationId":"order:17:a","n":1}', {"correlation_id": "order:17:a"}),
    ],
)  # fmt: skip
def test_an_id(line: str, expected: dict[str, str]) -> None:
    assert ids_of(line.encode()) == expected


@pytest.mark.parametrize(
    "line",
    [
        "",
        f"subtrace_id={TRACE}",
        f"the trace {TRACE}",
        f"trace_id={TRACE}0123",
        f"trace_id={TRACE[:-1]}g",
        "trace_id=1234",
        '{"trace_id":null,"span_id":"","request_id":null,"correlation_id":""}',
        "[main,20261120] started",
        "request_id=",
        "span_id=12345",
        f"my_request_id={UUID}",
    ],
)
def test_what_is_none(line: str) -> None:
    assert ids_of(line.encode()) == {}


def test_each_has_a_meaning_and_one_group() -> None:
    assert list(PATTERNS) == list(MEANINGS)


@given(st.binary(max_size=200))
def test_whatever_comes(line: bytes) -> None:
    for value in ids_of(line).values():
        assert value.encode() in line
