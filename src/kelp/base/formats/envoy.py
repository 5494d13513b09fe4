"""Envoy, and Istio's proxies, which are Envoy with a format of their own.

The operators stand in the order of the two default formats; their names are the keys of Istio's
JSON encoding, save for those that all HTTP formats share.
"""

from __future__ import annotations

from kelp.base.formats.format import Format, Rest
from kelp.base.formats.http import PLAIN_QUOTED, QUOTED, meanings

# A TCP connection has no request: `"- - -"`.
_REQUEST = (
    r"\[(?P<start_time>[0-9]{4}-[0-9-]{5}T[0-9:.]+Z)\] "
    rf'"(?P<method>[^" ]+) (?P<path>{QUOTED}) (?P<protocol>[^" ]+)" '
    r"(?P<status>[0-9]+|-) (?P<response_flags>[^ ]+)"
)
_AMOUNTS = (
    r"(?P<bytes_received>[0-9]+|-) (?P<bytes_sent>[0-9]+|-) (?P<duration>[0-9]+|-) "
    r"(?P<upstream_service_time>[0-9]+|-)"
)
_HEADERS = (
    rf'"(?P<x_forwarded_for>{QUOTED})" "(?P<user_agent>{QUOTED})" "(?P<request_id>{QUOTED})" '
    rf'"(?P<host>{QUOTED})" "(?P<upstream_addr>{QUOTED})"'
)
_ROUTE = (
    r" (?P<upstream_cluster>[^ ]+) (?P<upstream_local_address>[^ ]+) "
    r"(?P<downstream_local_address>[^ ]+) (?P<remote_addr>[^ ]+) "
    r"(?P<requested_server_name>[^ ]+)(?: (?P<route_name>[^ ]+))?"
)

_ENVOY = f"{_REQUEST} {_AMOUNTS} {_HEADERS}"
_ISTIO = (
    rf"{_REQUEST} (?P<response_code_details>[^ ]+) (?P<connection_termination_details>[^ ]+) "
    rf'"(?P<upstream_transport_failure_reason>{QUOTED})" {_AMOUNTS} {_HEADERS}{_ROUTE}'
)
# Before Istio 1.9: the policy's status instead of the details.
_OLD_ISTIO = (
    rf'{_REQUEST} "(?P<mixer_status>{QUOTED})" "(?P<upstream_transport_failure_reason>{QUOTED})" '
    rf"{_AMOUNTS} {_HEADERS}{_ROUTE}"
)


def _plain(pattern: str) -> str:
    """The same of lines without a blank in the path and without escapes: see http.PLAIN_REQUEST."""
    path = pattern.replace(rf"(?P<path>{QUOTED})", r'(?P<path>[^" \\]+)')
    return path.replace(QUOTED, PLAIN_QUOTED)


_OF_BOTH = meanings(
    "method", "path", "protocol", "status", "bytes_received", "bytes_sent", "x_forwarded_for",
    "user_agent", "request_id", "host", "upstream_addr",
    start_time="when the request began, to the millisecond",
    response_flags="what Envoy has to say of the answer: UH, UF, DC …",
    duration="milliseconds from the request's first byte to the last one sent",
    upstream_service_time="milliseconds that the upstream took",
)  # fmt: skip
_OF_ISTIO = {
    "remote_addr": "address and port of the client, or of the proxy before",
    "response_code_details": "who answered, and why so: via_upstream …",
    "connection_termination_details": "why the connection ended (level 4)",
    "upstream_transport_failure_reason": "what TLS or TCP said to the upstream",
    "mixer_status": "status of the policy, before Istio 1.9",
    "upstream_cluster": "direction|port|subset|service",
    "upstream_local_address": "the proxy's own address towards the upstream",
    "downstream_local_address": "the address that the client wanted",
    "requested_server_name": "SNI of the connection",
    "route_name": "name of the route",
}
# The JSON encoding calls these by other names.
_ALIASES = {
    "status": ("response_code",),
    "host": ("authority",),
    "upstream_addr": ("upstream_host",),
    "remote_addr": ("downstream_remote_address",),
}

FORMATS = (
    Format(
        name="istio",
        title="Access log of Istio's proxies (text, by default)",
        source="https://istio.io/latest/docs/tasks/observability/logs/access-log/",
        dataset="mesh",
        patterns=(_plain(_ISTIO), _ISTIO, _OLD_ISTIO),
        begins="[",
        event_time="start_time",
        fields=_OF_BOTH | _OF_ISTIO,
        examples=(
            b'[2026-11-20T10:11:12.345Z] "GET /reviews/7?full=1 HTTP/1.1" 503 UF '
            b'upstream_reset_before_response_started{connection_failure} - "delayed_connect_error" '
            b'0 152 31 - "-" "curl/8.9.1" "0f6c3b52-8d1a-4d0c-9a55-2f7f0f1d2c3b" "reviews:9080" '
            b'"10.244.2.4:9080" outbound|9080||reviews.shop.svc.cluster.local - '
            b"10.96.12.9:9080 10.244.1.19:51544 - default",
            b'[2026-11-20T10:11:12.345Z] "- - -" 0 - - - "-" 1043 7251 60021 - "-" "-" "-" "-" '
            b'"10.244.2.9:5432" outbound|5432||db.shop.svc.cluster.local 10.244.1.19:40210 '
            b"10.96.7.7:5432 10.244.1.19:40208 - -",
        ),
    ),
    Format(
        name="istio-json",
        title="Access log of Istio's proxies, JSON encoding",
        source="https://istio.io/latest/docs/tasks/observability/logs/access-log/",
        dataset="mesh",
        rest=Rest.JSON,
        keys=(
            ("response_code", "response_flags", "start_time"),
            ("response_code", "upstream_cluster"),
            ("downstream_remote_address", "upstream_host"),
        ),
        aliases=_ALIASES,
        event_time="start_time",
        fields=meanings("status", "host", "upstream_addr", "remote_addr"),
        examples=(
            b'{"authority":"reviews:9080","bytes_received":0,"bytes_sent":295,"duration":4,'
            b'"downstream_remote_address":"10.244.1.19:51544","method":"GET","path":"/reviews/7",'
            b'"protocol":"HTTP/1.1","request_id":"0f6c3b52-8d1a-4d0c-9a55-2f7f0f1d2c3b",'
            b'"response_code":200,"response_flags":"-","route_name":"default",'
            b'"start_time":"2026-11-20T10:11:12.345Z","upstream_host":"10.244.2.4:9080"}',
        ),
    ),
    Format(
        name="envoy",
        title="Access log of Envoy, by default",
        source="https://www.envoyproxy.io/docs/envoy/latest/configuration/observability/access_log/usage",
        dataset="mesh",
        patterns=(_plain(_ENVOY), _ENVOY),
        begins="[",
        event_time="start_time",
        fields=_OF_BOTH,
        examples=(
            b'[2026-11-20T10:11:12.345Z] "POST /v1/locations HTTP/2" 204 - 154 0 226 100 '
            b'"10.0.35.28" "nsq2http" "cc21d9b0-0f5c-432b-8c7e-98aeb7988cd2" "locations" '
            b'"tcp://10.0.2.1:80"',
        ),
    ),
)
