"""What the formats of HTTP servers and proxies share: parts of patterns, and names of fields.

A field that is the same thing everywhere has one name everywhere, so that `sum by (status)` works
over an ingress and a mesh alike; whatever else a program logs goes by the program's own name.
"""

from __future__ import annotations

DIGITS = "0123456789"
# Of a client's address; `unix:` is one, and so is a name.
ADDRESS = DIGITS + "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ:-"

# Inside of quotes, with escapes (\" as Apache writes it, \x22 as nginx does).
QUOTED = r'(?:[^"\\]|\\.)*'

# `GET /path HTTP/1.1`; what is no request line (`\x16\x03`, `-`, HTTP/0.9) is `request`.
REQUEST = (
    rf'"(?:(?P<method>[^" ]+) (?P<path>(?:[^"\\]|\\.)*) (?P<protocol>HTTP/[0-9.]+)'
    rf'|(?P<request>{QUOTED}))"'
)

# `192.168.64.1 - alice [07/Feb/2020:11:48:51 +0000]`
CLIENT = (
    r"(?P<remote_addr>[^ ]+) [^ ]+ (?P<remote_user>[^\[]*) "
    r"\[(?P<time_local>[0-9]{1,2}/[A-Z][a-z]{2}/[0-9]{4}:[^\]]+)\]"
)

# The same as nearly all lines have it: no blank and no escape anywhere. At each byte there is one
# way to go on, so RE2 reads such a pattern three times as fast; it stands before the patient one.
PLAIN_REQUEST = r'"(?P<method>[A-Z]+) (?P<path>[^" \\]+) (?P<protocol>HTTP/[0-9.]+)"'
PLAIN_CLIENT = (
    r"(?P<remote_addr>[^ ]+) [^ ]+ (?P<remote_user>[^ \[]+) "
    r"\[(?P<time_local>[0-9]{1,2}/[A-Z][a-z]{2}/[0-9]{4}:[^\]]+)\]"
)
PLAIN_AGENT = r'"(?P<referer>[^"\\]*)" "(?P<user_agent>[^"\\]*)"'
PLAIN_QUOTED = r'[^"\\]*'

AGENT = rf'"(?P<referer>{QUOTED})" "(?P<user_agent>{QUOTED})"'

MEANINGS = {
    "bytes_received": "bytes of the request that came from the client",
    "bytes_sent": "bytes of the body that went to the client",
    "host": "the host that was asked for, perhaps with a port",
    "method": "GET, POST …",
    "path": "the path with its query string, as it was asked for",
    "protocol": "HTTP/1.1, HTTP/2 …",
    "referer": "the header Referer",
    "remote_addr": "the client's address, perhaps with a port",
    "remote_user": "the user by basic authentication",
    "request": "the request line, where it is none that HTTP knows",
    "request_id": "the id that the proxy gave to the request, or found in X-Request-ID",
    "status": "the answer's status; 0 where there was none",
    "time_local": "when the request had been answered, to the second",
    "upstream_addr": "address of the upstream",
    "user_agent": "the header User-Agent",
    "x_forwarded_for": "the header X-Forwarded-For",
}


def meanings(*names: str, **others: str) -> dict[str, str]:
    """Field → meaning, of shared names and of a format's own."""
    return {name: MEANINGS[name] for name in names} | others
