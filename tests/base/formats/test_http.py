"""Fields of access logs; lines as the programs write them, odd ones included."""

from __future__ import annotations

from pathlib import Path

import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from kelp.base.formats import format_of, recognise
from kelp.base.formats.format import Format

NOTHING = (None, b"", b"-")
SAMPLES = Path(__file__).parents[3].parent / "shared" / "data" / "network"


def fields(known: Format, line: bytes) -> dict[str, str]:
    """What the first pattern that matches says, without what is empty."""
    for pattern in known.compiled:
        match = pattern.search(line)
        if match is not None:
            names = ((match.group(i), name) for name, i in pattern.groupindex.items())
            return {str(name, "ascii"): v.decode() for v, name in names if v not in NOTHING}
    return {}


CLIENT = "10.0.3.7 - - [20/Nov/2026:10:11:12 +0000] "
TAIL = "89 0.001 [shop-web-80] [] 10.1.1.5:8080 59 0.000 200 529a007902362a5f51385a5fa7049884"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param(
            f'{CLIENT}"GET /a b?c=\\x22 HTTP/1.1" 200 59 "-" "a \\x22b\\x22" {TAIL}',
            {"method": "GET", "path": "/a b?c=\\x22", "user_agent": "a \\x22b\\x22"},
            id="blanks and escapes",
        ),
        pytest.param(
            f'{CLIENT}"\\x16\\x03\\x01" 400 150 "-" "-" 0 0.055 [] [] - - - - 0f{"1" * 30}',
            {"request": "\\x16\\x03\\x01", "status": "400", "request_id": "0f" + "1" * 30},
            id="no request line",
        ),
        pytest.param(
            f'{CLIENT}"" 400 0 "-" "-" 0 0.055 [] [] - - - - 0f{"1" * 30}',
            {"status": "400"},
            id="nothing sent",
        ),
        pytest.param(
            '2001:db8::7 - al ice [20/Nov/2026:10:11:12 +0000] "GET / HTTP/1.1" 502 1 "-" "-" 1 '
            "0.1 [a-b-80] [a-c-80] [fd00::1]:80, unix:/tmp/x : 10.0.0.1:80 0, 1 : 2 0.1, - : 0.2 "
            "502, - : 200 abc",
            {
                "remote_addr": "2001:db8::7",
                "remote_user": "al ice",
                "proxy_alternative_upstream_name": "a-c-80",
                "upstream_addr": "[fd00::1]:80, unix:/tmp/x : 10.0.0.1:80",
                "upstream_response_length": "0, 1 : 2",
                "upstream_response_time": "0.1, - : 0.2",
                "upstream_status": "502, - : 200",
            },
            id="retries, a redirect and IPv6",
        ),
        pytest.param(
            f'{CLIENT}"GET / HTTP/1.1" 200 59 "-" "-" 89 0.001 [a-b-80] 10.1.1.5:80 59 0.000 200',
            {"proxy_upstream_name": "a-b-80", "upstream_status": "200"},
            id="an old controller",
        ),
    ],
)
def test_ingress_nginx(line: str, expected: dict[str, str]) -> None:
    assert recognise(line.encode()) == "ingress-nginx"
    found = fields(format_of("ingress-nginx"), line.encode())
    assert expected == {k: v for k, v in found.items() if k in expected}


def test_ingress_nginx_has_nineteen_variables() -> None:
    known = format_of("ingress-nginx")
    found = fields(known, known.examples[0])
    assert found | {"proxy_alternative_upstream_name": ""} == {
        "remote_addr": "10.0.3.7",
        "remote_user": "alice",
        "time_local": "20/Nov/2026:10:11:12 +0000",
        "method": "POST",
        "path": "/api/v1/orders?dry=1",
        "protocol": "HTTP/2.0",
        "status": "502",
        "bytes_sent": "157",
        "referer": "https://shop.example/",
        "user_agent": "Mozilla/5.0 (X11; Linux x86_64)",
        "bytes_received": "912",
        "request_time": "5.004",
        "proxy_upstream_name": "shop-web-8080",
        "proxy_alternative_upstream_name": "",
        "upstream_addr": "10.244.1.19:8080, 10.244.2.4:8080",
        "upstream_response_length": "0, 157",
        "upstream_response_time": "5.000, 0.004",
        "upstream_status": "504, 502",
        "request_id": "6a5b1f0c2f6e4a0d9b8c7d6e5f403122",
    }


@pytest.mark.parametrize(
    ("name", "line", "expected"),
    [
        (
            "combined",
            f'{CLIENT}"GET /x HTTP/1.0" 200 -',
            {"path": "/x", "status": "200", "protocol": "HTTP/1.0"},
        ),
        (
            "combined",
            f'{CLIENT}"GET /x HTTP/1.0" 200 12 "-" "say \\"hi\\"" "10.9.9.9, 10.8.8.8"',
            {"user_agent": 'say \\"hi\\"', "x_forwarded_for": "10.9.9.9, 10.8.8.8"},
        ),
        (
            "nginx-error",
            '2026/11/20 10:11:12 [error] 7#7: *3 open() "/srv/a, b" failed (2: No such file), '
            'client: 10.0.3.7, server: a.example, request: "GET /a,b HTTP/1.1", host: "a.example"',
            {
                "level": "error",
                "message": 'open() "/srv/a, b" failed (2: No such file)',
                "remote_addr": "10.0.3.7",
                "server": "a.example",
                "path": "/a,b",
                "host": "a.example",
            },
        ),
        (
            "traefik",
            f'{CLIENT}"GET / HTTP/1.1" - - "-" "-" 4 "-" "-" 0ms',
            {"request_count": "4", "duration": "0"},
        ),
        (
            "istio",
            '[2026-11-20T10:11:12.345Z] "GET / HTTP/1.1" 200 - via_upstream - "-" 0 5 1 0 "-" '
            '"a \\"b" "id-1" "h:1" "10.0.0.1:1" inbound|1|| 127.0.0.6:1 10.0.0.1:1 [fd00::1]:5 - x',
            {"user_agent": 'a \\"b', "remote_addr": "[fd00::1]:5", "route_name": "x"},
        ),
        (
            "istio",
            '[2019-03-06T09:31:27.354Z] "GET /status/418 HTTP/1.1" 418 - "-" "-" 0 135 5 2 "-" '
            '"curl/7.60.0" "d209e46f" "httpbin:8000" "127.0.0.1:80" inbound|8000|http|httpbin - '
            "172.30.146.73:80 172.30.146.82:38618 outbound_.8000_._.httpbin",
            {"status": "418", "remote_addr": "172.30.146.82:38618", "duration": "5"},
        ),
        (
            "haproxy",
            "10.0.3.7:33317 [20/Nov/2026:10:11:12.655] in in/<NOSRV> -1/-1/-1/-1/+5 400 +0 - - "
            'PR-- 1/1/0/0/0 0/0 {a|b} "<BADREQ>"',
            {
                "server": "<NOSRV>",
                "duration": "+5",
                "status": "400",
                "request": "<BADREQ>",
                "request_headers": "a|b",
                "termination_state": "PR--",
            },
        ),
        (
            "haproxy-tcp",
            "<134>Nov  2 10:11:12 haproxy[8]: [fd00::1]:40 [02/Nov/2026:10:11:12.655] pg db/pg-0 "
            "0/0/7 12 CD 1/1/1/1/0 0/0",
            {"remote_addr": "[fd00::1]:40", "pid": "8", "backend": "db", "bytes_sent": "12"},
        ),
    ],
)
def test_others(name: str, line: str, expected: dict[str, str]) -> None:
    assert recognise(line.encode()) == name
    found = fields(format_of(name), line.encode())
    assert expected == {k: v for k, v in found.items() if k in expected}


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("ingress-nginx/access.log", "ingress-nginx"),
        ("istio/access.log", "istio"),
        ("istio/access-json.jsonl", "istio-json"),
        ("envoy/default-format-doc.log", "envoy"),
    ],
)
def test_real_samples(folder: str, name: str) -> None:
    path = SAMPLES / folder
    if not path.exists():
        pytest.skip(f"no sample at {path}")
    lines = path.read_bytes().splitlines()
    assert [recognise(line) for line in lines] == [name] * len(lines)


STRICT = ["ingress-nginx", "combined", "traefik", "istio", "envoy", "haproxy"]
PIECES = [
    b"", b"-", b" ", b'"', b"\\", b'\\"', b"{", b"} ", b"{a|b} ", b"[", b"]", b"/", b":", b",",
    b"+", b"0", b"x", b" x", b"unix:", b"<6>", b"::1",
]  # fmt: skip


def _groups(pattern: re2._Regexp[bytes], line: bytes) -> dict[object, bytes] | None:
    match = pattern.search(line)
    if match is None:
        return None
    return {name: match.group(i) for name, i in pattern.groupindex.items() if match.group(i)}


@pytest.mark.parametrize("name", STRICT)
def test_the_strict_pattern_takes_the_lines_that_are_written_mostly(name: str) -> None:
    known = format_of(name)
    lines = known.examples
    if name == "ingress-nginx":  # its example has been tried twice
        lines = [line.replace(b"0, 157 5.000, 0.004 504, 502", b"0 5.000 504").replace(
            b", 10.244.2.4:8080", b"") for line in lines]  # fmt: skip
    assert any(_groups(known.compiled[0], line) for line in lines)


@pytest.mark.parametrize("name", STRICT)
@given(data=st.data())
def test_the_strict_pattern_reads_as_the_patient_one(name: str, data: st.DataObject) -> None:
    strict, patient, *_ = format_of(name).compiled
    line = data.draw(st.sampled_from(format_of(name).examples))
    for _ in range(data.draw(st.integers(0, 3))):
        start = data.draw(st.integers(0, len(line)))
        end = start + data.draw(st.sampled_from([0, 0, 1, 4, 20]))
        line = line[:start] + data.draw(st.sampled_from(PIECES)) + line[end:]
    found = _groups(strict, line)
    assert found is None or found == _groups(patient, line), line
