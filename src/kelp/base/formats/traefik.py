"""Traefik's access log: the common log format with four fields behind, or JSON."""

from __future__ import annotations

from kelp.base.formats.format import Format, Rest
from kelp.base.formats.http import (
    ADDRESS,
    AGENT,
    CLIENT,
    PLAIN_AGENT,
    PLAIN_CLIENT,
    PLAIN_QUOTED,
    PLAIN_REQUEST,
    QUOTED,
    REQUEST,
    meanings,
)

_SOURCE = "https://doc.traefik.io/traefik/observability/access-logs/"


def _clf(client: str, request: str, agent: str, quoted: str) -> str:
    return (
        rf"{client} {request} (?P<status>[0-9]+|-) (?P<bytes_sent>[0-9]+|-) {agent} "
        rf'(?P<request_count>[0-9]+|-) "(?P<router>{quoted})" "(?P<upstream_addr>{quoted})" '
        r"(?P<duration>[0-9]+)ms"
    )


_PLAIN_CLF = _clf(PLAIN_CLIENT, PLAIN_REQUEST, PLAIN_AGENT, PLAIN_QUOTED)
_CLF = _clf(CLIENT, REQUEST, AGENT, QUOTED)

FORMATS = (
    Format(
        name="traefik",
        title="Access log of Traefik (text, by default)",
        source=_SOURCE,
        dataset="ingress",
        patterns=(_PLAIN_CLF, _CLF),
        begins=ADDRESS,
        event_time="time_local",
        fields=meanings(
            "remote_addr", "remote_user", "time_local", "method", "path", "protocol", "request",
            "status", "bytes_sent", "referer", "user_agent",
            request_count="requests since Traefik began",
            router="name of the router",
            upstream_addr="URL of the server that answered",
            duration="milliseconds that the request took",
        ),
        examples=(
            b'10.0.3.7 - - [20/Nov/2026:10:11:12 +0000] "GET /cart HTTP/1.1" 200 1043 "-" "-" 77 '
            b'"shop-web@kubernetes" "http://10.244.1.19:8080" 12ms',
        ),
    ),
    Format(
        name="traefik-json",
        title="Access log of Traefik, JSON",
        source=_SOURCE,
        dataset="ingress",
        rest=Rest.JSON,
        keys=(("DownstreamStatus", "RequestMethod"), ("RouterName", "RequestMethod")),
        aliases={
            "remote_addr": ("ClientHost", "ClientAddr"),
            "remote_user": ("ClientUsername",),
            "method": ("RequestMethod",),
            "path": ("RequestPath",),
            "protocol": ("RequestProtocol",),
            "host": ("RequestHost", "RequestAddr"),
            "status": ("DownstreamStatus",),
            "bytes_sent": ("DownstreamContentSize",),
            "bytes_received": ("RequestContentSize",),
            "router": ("RouterName",),
            "upstream_addr": ("ServiceAddr", "ServiceURL"),
            "user_agent": ("request_User_Agent",),
            "referer": ("request_Referer",),
        },
        event_time="StartUTC",
        fields=meanings(
            "remote_addr", "remote_user", "method", "path", "protocol", "host", "status",
            "bytes_sent", "bytes_received", "user_agent", "referer",
            router="name of the router",
            upstream_addr="address or URL of the server that answered",
        ),
        examples=(
            b'{"ClientHost":"10.0.3.7","DownstreamContentSize":1043,"DownstreamStatus":200,'
            b'"Duration":12043211,"RequestHost":"shop.example","RequestMethod":"GET",'
            b'"RequestPath":"/cart","RequestProtocol":"HTTP/1.1","RouterName":"shop-web@kubernetes",'
            b'"ServiceAddr":"10.244.1.19:8080","StartUTC":"2026-11-20T10:11:12.345Z",'
            b'"level":"info","msg":"","time":"2026-11-20T10:11:12Z"}',
        ),
    ),
)  # fmt: skip
