r"""Ids that join records: of a trace, a span, a request; found in any line, whatever its format.

Each is one pattern of RE2 with one group, so that the same text works here and in ClickHouse's
`extract`. An id is what stands behind a key that means one, as JSON, logfmt, headers and MDC write
it (`"traceId":"…"`, `trace_id=…`, `X-B3-TraceId: …`, `\"trace.id\":\"…\"`), or has its own form:

    traceparent 00-TRACE-SPAN-01      https://www.w3.org/TR/trace-context/
    b3 TRACE-SPAN-1                   https://github.com/openzipkin/b3-propagation
    projects/P/traces/TRACE           https://cloud.google.com/logging/docs/structured-logging
    [app,TRACE,SPAN]                  Spring Cloud Sleuth

Ids stay as they are written, so that the id that a query asks for stands in the line as it is.
"""

from __future__ import annotations

from collections.abc import Mapping

import re2

_BEGIN = r"(?:^|[^0-9A-Za-z_])"
# What libraries put before a key without a sign between that would end it.
_OWNER = r"(?i:(?:dd|x|b3|x_b3|otel|http|mdc)_|otel)?"
# Behind a key: quotes (also those of JSON within a string), a colon or an equals sign.
_IS = r"""\\?["']?[ \t]*[:=][ \t]*\\?["'\[]?"""
_END = r"(?:[^0-9A-Za-z]|$)"

_HEX = "[0-9a-fA-F]"
_UUID = f"{_HEX}{{8}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{12}}"
# 128 bits or 64 in hexadecimal (Jaeger leaves out zeros in front), or 64 in decimal (Datadog).
_TRACE = f"{_UUID}|{_HEX}{{32}}|{_HEX}{{15,20}}"
_SPAN = f"{_HEX}{{15,20}}"
_WORD = r"[0-9A-Za-z][0-9A-Za-z._:/+=@-]{4,127}"
_SLEUTH = r"\[[0-9A-Za-z_.-]*,"


def _key(name: str) -> str:
    return f"{_BEGIN}{_OWNER}(?i:{name}){_IS}"


def _object(name: str) -> str:
    """`"trace":{"id":"…"`, as the Elastic Common Schema nests it."""
    return rf'"{name}"[ ]*:[ ]*\{{[ ]*"id"[ ]*:[ ]*"'


_TRACE_BEHIND = (
    _key("trace[._-]?id"),
    _key("traceparent") + "[0-9a-f]{2}-",
    _key("b3"),
    _object("trace"),
    "/traces/",
    _SLEUTH,
)
_SPAN_BEHIND = (
    _key("span[._-]?id"),
    _key("traceparent") + f"[0-9a-f]{{2}}-{_HEX}{{32}}-",
    _key("b3") + f"(?:{_HEX}{{32}}|{_HEX}{{16}})-",
    _key("uber-trace-id") + f"{_HEX}{{15,32}}:",
    _object("span"),
    _SLEUTH + f"(?:{_HEX}{{32}}|{_HEX}{{16}}),",
)

PATTERNS: Mapping[str, str] = {
    "trace_id": f"(?:{'|'.join(_TRACE_BEHIND)})({_TRACE}){_END}",
    "span_id": f"(?:{'|'.join(_SPAN_BEHIND)})({_SPAN}){_END}",
    "request_id": _key("(?:request|req)[._-]?id") + f"({_WORD})",
    "correlation_id": _key("correlation[._-]?id") + f"({_WORD})",
}
"""Field → pattern, whose one group is the id."""

MEANINGS: Mapping[str, str] = {
    "trace_id": "the trace that the line belongs to",
    "span_id": "the span of that trace",
    "request_id": "the request that is served",
    "correlation_id": "what the services of one business transaction share",
}
"""Field → what it is."""

_COMPILED = {name: re2.compile(pattern.encode()) for name, pattern in PATTERNS.items()}


def ids_of(line: bytes) -> dict[str, str]:
    """The ids in a line, the first of each kind."""
    found = ((name, pattern.search(line)) for name, pattern in _COMPILED.items())
    return {name: match.group(1).decode() for name, match in found if match is not None}
