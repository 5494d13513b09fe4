"""CoreDNS: the plugin log, the plugin errors, and what the other plugins say."""

from __future__ import annotations

from kelp.base.formats.format import Format

_HEAD = r"(?:(?P<time>[0-9]{4}-[0-9]{2}-[0-9]{2}T[^ ]+) )?\[(?P<level>[A-Z]+)\] "
_QUERY = (
    rf"{_HEAD}(?P<remote_addr>[^ ]+):(?P<remote_port>[0-9]+) - (?P<id>[0-9]+) "
    r'"(?P<qtype>[^ ]+) (?P<qclass>[^ ]+) (?P<qname>[^ ]+) (?P<protocol>[a-z]+) '
    r'(?P<request_size>[0-9]+) (?P<do>true|false) (?P<bufsize>[0-9]+)" '
    r"(?P<rcode>[^ ]+) (?P<rflags>[^ ]+) (?P<response_size>[0-9]+) (?P<duration>[0-9.e-]+)s(?: .*)?"
)
_ERROR = (
    rf"{_HEAD}plugin/(?P<plugin>errors): (?P<errors>[0-9]+) (?P<qname>[^ ]+) (?P<qtype>[A-Z0-9]+): "
    r"(?P<message>.*)"
)
_OTHER = rf"{_HEAD}plugin/(?P<plugin>[^:]+): (?P<message>.*)"

FORMATS = (
    Format(
        name="coredns",
        title="CoreDNS: queries and errors",
        source="https://coredns.io/plugins/log/",
        dataset="dns",
        patterns=(_QUERY, _ERROR, _OTHER),
        begins="[0123456789",
        event_time="time",
        fields={
            "time": "when, where CoreDNS writes it",
            "level": "INFO, ERROR …",
            "remote_addr": "the client's address",
            "remote_port": "its port",
            "id": "id of the query",
            "qtype": "A, AAAA, PTR …",
            "qclass": "IN, mostly",
            "qname": "the name that was asked for, with a point at its end",
            "protocol": "udp or tcp",
            "request_size": "bytes of the query",
            "do": "whether DNSSEC was wanted",
            "bufsize": "bytes that the client takes",
            "rcode": "NOERROR, NXDOMAIN, SERVFAIL …",
            "rflags": "flags of the answer",
            "response_size": "bytes of the answer",
            "duration": "seconds that it took",
            "plugin": "the plugin that speaks",
            "errors": "rcode of the error, as a number",
            "message": "what it says",
        },
        examples=(
            b'[INFO] 10.244.1.19:42114 - 64820 "A IN web.shop.svc.cluster.local. udp 57 false '
            b'1232" '
            b"NOERROR qr,aa,rd 66 0.000150566s",
            b"[ERROR] plugin/errors: 2 example.org. A: read udp 10.244.0.5:5->192.0.2.1:53: i/o "
            b"timeout",
        ),
    ),
)
