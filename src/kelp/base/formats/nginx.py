"""ingress-nginx, nginx and Apache."""

from __future__ import annotations

from kelp.base.formats.format import Format
from kelp.base.formats.http import (
    ADDRESS,
    AGENT,
    CLIENT,
    DIGITS,
    PLAIN_AGENT,
    PLAIN_CLIENT,
    PLAIN_REQUEST,
    QUOTED,
    REQUEST,
    meanings,
)

# What was tried one after the other: `10.0.0.1:80, 10.0.0.2:80`, with ` : ` behind a redirect.
_TRIES = r"[^ ,]+(?:(?:, | : )[^ ,]+)*"

_SERVED = r"(?P<status>[0-9]{3}) (?P<bytes_sent>[0-9]+|-)"

_INGRESS = (
    rf"{CLIENT} {REQUEST} {_SERVED} {AGENT} "
    r"(?P<bytes_received>[0-9]+) (?P<request_time>[0-9.]+) "
    r"\[(?P<proxy_upstream_name>[^\]]*)\](?: \[(?P<proxy_alternative_upstream_name>[^\]]*)\])? "
    rf"(?P<upstream_addr>{_TRIES}) (?P<upstream_response_length>{_TRIES}) "
    rf"(?P<upstream_response_time>{_TRIES}) (?P<upstream_status>{_TRIES})"
    r"(?: (?P<request_id>[0-9A-Za-z-]+))?"
)

_PLAIN_INGRESS = (
    rf"{PLAIN_CLIENT} {PLAIN_REQUEST} {_SERVED} {PLAIN_AGENT} "
    r"(?P<bytes_received>[0-9]+) (?P<request_time>[0-9.]+) "
    r"\[(?P<proxy_upstream_name>[^\]]*)\] (?:\[(?P<proxy_alternative_upstream_name>[^\]]*)\] )?"
    r"(?P<upstream_addr>[^ ,\[]+) (?P<upstream_response_length>[^ ,]+) "
    r"(?P<upstream_response_time>[^ ,]+) (?P<upstream_status>[^ ,]+)"
    r"(?: (?P<request_id>[0-9A-Za-z-]+))?"
)

_PLAIN_COMBINED = rf"{PLAIN_CLIENT} {PLAIN_REQUEST} {_SERVED} {PLAIN_AGENT}"
_COMBINED = (
    rf"(?:(?P<host>[^ \[\]]+:[0-9]+) )?{CLIENT} {REQUEST} {_SERVED}"
    rf'(?: {AGENT}(?: "(?P<x_forwarded_for>{QUOTED})")?)?'
)

# Behind the message what it is about, as far as nginx knows it, always in this order.
_ERROR = (
    r"(?P<time>[0-9]{4}/[0-9]{2}/[0-9]{2} [0-9:]{8}) \[(?P<level>[a-z]+)\] "
    r"(?P<pid>[0-9]+)#(?P<tid>[0-9]+): (?:\*(?P<connection>[0-9]+) )?(?P<message>.*?)"
    r"(?:, client: (?P<remote_addr>[^ ,]+))?(?:, server: (?P<server>[^,]*))?"
    r'(?:, request: "(?:(?P<method>[^" ]+) (?P<path>[^"]*) (?P<protocol>HTTP/[0-9.]+)|[^"]*)")?'
    rf'(?:, subrequest: "{QUOTED}")?(?:, upstream: "(?P<upstream>{QUOTED})")?'
    rf'(?:, host: "(?P<host>{QUOTED})")?(?:, referrer: "(?P<referer>{QUOTED})")?'
)

_OF_ALL = (
    "remote_addr", "remote_user", "time_local", "method", "path", "protocol", "request", "status",
    "bytes_sent", "referer", "user_agent",
)  # fmt: skip

FORMATS = (
    Format(
        name="ingress-nginx",
        title="Access log of the ingress controller of Kubernetes",
        source="https://kubernetes.github.io/ingress-nginx/user-guide/nginx-configuration/log-format",
        dataset="ingress",
        patterns=(_PLAIN_INGRESS, _INGRESS),
        begins=ADDRESS,
        event_time="time_local",
        fields=meanings(
            *_OF_ALL,
            "bytes_received",
            "request_id",
            request_time="seconds from the client's first byte to the last one sent",
            proxy_upstream_name="namespace-service-port that was asked",
            proxy_alternative_upstream_name="the same, of the canary",
            upstream_addr="address of the endpoint; of each that was tried, separated by a comma",
            upstream_response_length="bytes that the endpoint answered, of each try",
            upstream_response_time="seconds that the endpoint took, of each try",
            upstream_status="status that the endpoint answered, of each try",
        ),
        examples=(
            b"10.0.3.7 - alice [20/Nov/2026:10:11:12 +0000] "
            b'"POST /api/v1/orders?dry=1 HTTP/2.0" 502 157 "https://shop.example/" '
            b'"Mozilla/5.0 (X11; Linux x86_64)" 912 5.004 [shop-web-8080] [] '
            b"10.244.1.19:8080, 10.244.2.4:8080 0, 157 5.000, 0.004 504, 502 "
            b"6a5b1f0c2f6e4a0d9b8c7d6e5f403122",
        ),
    ),
    Format(
        name="combined",
        title="Access log of nginx and Apache: common and combined, with virtual host or "
        "X-Forwarded-For",
        source="https://httpd.apache.org/docs/2.4/logs.html#combined",
        patterns=(_PLAIN_COMBINED, _COMBINED),
        begins=ADDRESS,
        event_time="time_local",
        fields=meanings(*_OF_ALL, "host", "x_forwarded_for"),
        examples=(
            b'10.0.3.7 - - [20/Nov/2026:10:11:12 +0000] "GET /index.html HTTP/1.1" 304 0 "-" '
            b'"curl/8.9.1"',
            b'shop.example:443 10.0.3.7 - bob [20/Nov/2026:10:11:12 +0100] "-" 408 -',
        ),
    ),
    Format(
        name="nginx-error",
        title="Error log of nginx",
        source="https://nginx.org/en/docs/ngx_core_module.html#error_log",
        patterns=(_ERROR,),
        begins=DIGITS,
        event_time="time",
        fields=meanings(
            "remote_addr", "method", "path", "protocol", "host", "referer",
            time="when it was logged, in nginx's zone",
            level="debug … emerg",
            pid="process",
            tid="thread",
            connection="number of the connection",
            message="what went wrong",
            server="name of the server block",
            upstream="URL of the upstream",
        ),
        examples=(
            b"2026/11/20 10:11:12 [error] 33#33: *1042 connect() failed (111: Connection refused) "
            b"while connecting to upstream, client: 10.0.3.7, server: shop.example, request: "
            b'"GET /cart HTTP/1.1", upstream: "http://10.244.1.19:8080/cart", host: "shop.example"',
            b"2026/11/20 10:11:12 [notice] 1#1: start worker processes",
        ),
    ),
)  # fmt: skip
