"""HAProxy: its HTTP and its TCP log format, with the head that syslog puts before them or without.

The ingress controllers on HAProxy write the HTTP format, too.
"""

from __future__ import annotations

from kelp.base.formats.format import Format
from kelp.base.formats.http import ADDRESS, PLAIN_REQUEST, REQUEST, meanings

_SOURCE = "https://docs.haproxy.org/3.0/configuration.html#8.2"

_SERVED_BY = (
    r"\[(?P<accept_date>[0-9]{2}/[A-Z][a-z]{2}/[0-9]{4}:[0-9:.]+)\] "
    r"(?P<frontend>[^ ]+) (?P<backend>[^ /]+)/(?P<server>[^ ]+)"
)
_HEAD = (
    r"(?:(?:<[0-9]+>)?(?:1 )?(?:[0-9]{4}-[0-9-]{5}T[^ ]+|[A-Z][a-z]{2} [ 0-9][0-9] [0-9:]{8}) "
    r"(?:[^ ]+ )?(?P<process>[^ \[]+)(?:\[(?P<pid>[0-9]+)\]:| (?:[0-9]+|-) [^ ]+ [^ ]+) )?"
    rf"(?P<remote_addr>[^ ]+:[0-9]+|unix:[0-9]+) {_SERVED_BY}"
)
# Behind no syslog or an old one, of a client with an IPv4 address: see http.PLAIN_REQUEST.
_PLAIN_HEAD = (
    r"(?:[A-Z][a-z]{2} [ 0-9][0-9] [0-9:]{8} [^ ]+ (?P<process>[^ \[]+)\[(?P<pid>[0-9]+)\]: )?"
    rf"(?P<remote_addr>[0-9][0-9.]*:[0-9]+) {_SERVED_BY}"
)
_BEGINS = ADDRESS + "<["
_N = r"-?[0-9]+"
_CONNECTIONS = (
    r"(?P<actconn>[0-9]+)/(?P<feconn>[0-9]+)/(?P<beconn>[0-9]+)/(?P<srv_conn>[0-9]+)/"
    r"(?P<retries>\+?[0-9]+) (?P<srv_queue>[0-9]+)/(?P<backend_queue>[0-9]+)"
)

_ANSWERED = (
    rf"(?P<time_request>{_N})/(?P<time_queue>{_N})/(?P<time_connect>{_N})/"
    rf"(?P<time_response>{_N})/(?P<duration>\+?{_N}) (?P<status>{_N}) (?P<bytes_sent>\+?[0-9]+) "
    r"(?P<request_cookie>[^ ]+) (?P<response_cookie>[^ ]+) (?P<termination_state>[^ ]{4}) "
    rf"{_CONNECTIONS} "
)
_PLAIN_HTTP = (
    rf"{_PLAIN_HEAD} {_ANSWERED}"
    r"(?:\{(?P<request_headers>[^}]*)\} (?:\{(?P<response_headers>[^}]*)\} )?)?"
    rf"{PLAIN_REQUEST}"
)
_HTTP = (
    rf"{_HEAD} {_ANSWERED}"
    # One pair of braces may be those of the request or of the answer: nobody can tell.
    r"(?:\{(?P<request_headers>[^}]*)\} )?(?:\{(?P<response_headers>[^}]*)\} )?"
    # A long request line is cut, and then has no quote behind it.
    rf"{REQUEST}?"
)
_TCP = (
    rf"{_HEAD} (?P<time_queue>{_N})/(?P<time_connect>{_N})/(?P<duration>\+?{_N}) "
    rf"(?P<bytes_sent>\+?[0-9]+) (?P<termination_state>[^ ]{{2}}) {_CONNECTIONS}"
)

_OF_BOTH = meanings(
    "remote_addr", "bytes_sent",
    process="name of the process, by syslog",
    pid="its number",
    accept_date="when the connection or the request came, in HAProxy's zone",
    frontend="name of the frontend",
    backend="name of the backend",
    server="name of the server",
    time_queue="milliseconds in queues; -1: did not come so far",
    time_connect="milliseconds until the server was connected; -1: did not come so far",
    duration="milliseconds in all; +: the log was written before the end",
    termination_state="how it ended; see HAProxy's manual, 8.5",
    actconn="connections of the process",
    feconn="connections of the frontend",
    beconn="connections of the backend",
    srv_conn="connections of the server",
    retries="connections that were tried again; +: and given to another server",
    srv_queue="requests before it in the server's queue",
    backend_queue="requests before it in the backend's queue",
)  # fmt: skip

FORMATS = (
    Format(
        name="haproxy",
        title="HAProxy, HTTP (option httplog)",
        source=_SOURCE,
        dataset="ingress",
        patterns=(_PLAIN_HTTP, _HTTP),
        begins=_BEGINS,
        event_time="accept_date",
        fields=_OF_BOTH
        | meanings(
            "method", "path", "protocol", "request", "status",
            time_request="milliseconds until the request was whole; -1: it never was",
            time_response="milliseconds until the server's first byte; -1: none came",
            request_cookie="captured cookie of the request",
            response_cookie="captured cookie of the answer",
            request_headers="captured headers of the request, separated by |",
            response_headers="captured headers of the answer, separated by |",
        ),
        examples=(
            b"Nov 20 10:11:12 node-1 haproxy[14389]: 10.0.3.7:33317 [20/Nov/2026:10:11:12.655] "
            b"http-in shop/web-1 10/0/30/69/109 200 2750 - - ---- 1/1/1/1/0 0/0 {shop.example} {} "
            b'"GET /index.html HTTP/1.1"',
            b"10.0.3.7:33317 [20/Nov/2026:10:11:12.655] https~ shop_web_8080/SRV_1 0/0/-1/-1/3001 "
            b'503 217 - - sC-- 3/2/0/0/3 0/0 "GET /cart HTTP/2.0"',
        ),
    ),
    Format(
        name="haproxy-tcp",
        title="HAProxy, TCP (option tcplog)",
        source=_SOURCE,
        dataset="ingress",
        patterns=(_TCP,),
        begins=_BEGINS,
        event_time="accept_date",
        fields=_OF_BOTH,
        examples=(
            b"10.0.3.7:33320 [20/Nov/2026:10:11:12.655] pg db/pg-0 0/1/5007 212 -- 0/0/0/0/3 0/0",
        ),
    ),
)  # fmt: skip
