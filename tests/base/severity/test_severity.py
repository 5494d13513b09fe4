"""Lines as real programs write them, and lines that must have no severity."""

from __future__ import annotations

import pyarrow as pa
import pytest

from kelp.base.severity import detect_severity
from tests.base.severity.reference import severity

CLF = b"10.0.0.1 - - [20/Nov/2026:00:00:00 +0000] "

WITH = [
    (b'{"ts":1795169472123.456,"caller":"a.go:1","msg":"started","v":0,"err":"x"}', 9, ""),
    (b'{"ts":1580306777.04728,"v":4,"msg":"updated"}', 9, ""),
    (b'{"ts":1.5e+9,"logger":"a","msg":"a \\"b","v":2}', 9, ""),
    (b'{"ts":1795169472123.456,"caller":"a.go:1","msg":"failed","pod":{},"err":"x"}', 17, ""),
    (b'{"ts":1795169472123.456,"err":"x","msg":"failed"}', 17, ""),
    # JSON
    (b'{"level":"info","msg":"x"}', 9, "info"),
    (b'{"ts":1,"level": "WARN"}', 13, "WARN"),
    (b'{"time":"t","severity":"ERROR","message":"x"}', 17, "ERROR"),
    (b'{"level":30,"time":1,"msg":"pino"}', 9, "30"),
    (b'{"name":"bunyan","level":50}', 17, "50"),
    (b'{"version":"1.1","host":"h","level":3}', 17, "3"),
    (b'{"message":"monolog","level":200,"level_name":"INFO"}', 9, "200"),
    (b'{"severity_number":17,"body":"otel"}', 17, "17"),
    (b'{"@t":"t","@l":"Warning"}', 13, "Warning"),
    (b'{"@timestamp":"t","log.level":"debug"}', 5, "debug"),
    (b'{"a":{"level":"error"},"level":"info"}', 9, "info"),
    (b'{"severity":"WARNING","level":"info"}', 9, "info"),
    (b'{"level":"custom","severity":"err"}', 17, "err"),
    (b'{"msg":"say \\"level\\":\\"error\\"","level":"info"}', 9, "info"),
    (b' \t{"Level" : "Information"}', 9, "Information"),
    (b'{"level":"error","msg":"cut off her', 17, "error"),
    # logfmt
    (b'time="2026-11-20T00:00:00Z" level=warning msg="x"', 13, "warning"),
    (b"ts=2026-11-20T00:00:00Z caller=main.go:7 level=info", 9, "info"),
    (b'level="error" msg=x', 17, "error"),
    (b'logger=settings t=2026 lvl=eror msg="x level=info"', 17, "eror"),
    (b'msg="has \\" level=error in it" LEVEL=debug', 5, "debug"),
    # klog
    (b"I1120 00:00:00.470122       1 reconciler.go:181] x", 9, "I"),
    (b"E1120 00:00:00.470122       1 reconciler.go:181] x", 17, "E"),
    # heads of plain lines
    (b"INFO hello", 9, "INFO"),
    (b"ERROR: relation does not exist", 17, "ERROR"),
    (b"error: cannot open", 17, "error"),
    (b"Warning: foo", 13, "Warning"),
    (b"WARNING:root:python", 13, "WARNING"),
    (b"2026-11-20 00:00:00,037 [pool-1-thread-8] ERROR com.acme.X - y", 17, "ERROR"),
    (b"2026-11-20 12:00:00.000  INFO 1 --- [main] c.e.App : Spring", 9, "INFO"),
    (b"2026-11-20 12:00:00,123 - my.logger - WARNING - python", 13, "WARNING"),
    (b"2026/11/20 12:00:00 [warn] 31#31: *1 nginx", 13, "warn"),
    (b"[Fri Sep 09 10:42:29.902022 2026] [core:error] [pid 3] apache", 17, "error"),
    (b"[2026-11-20T12:00:00,000][INFO ][o.e.n.Node] [name] elastic", 9, "INFO"),
    (b"[2026/11/20 12:00:00] [ info] [input:tail:tail.0] fluent", 9, "info"),
    (b"[2026-11-20 12:00:00.000][1][warning][main] envoy", 13, "warning"),
    (b"2026-11-20T00:00:00.000000Z\tinfo\tistio", 9, "info"),
    (b"2026-11-20 12:00:00.000 UTC [12] u@db FATAL:  postgres", 21, "FATAL"),
    (b"2026-11-20 12:00:00.000 UTC [12] LOG:  postgres", 9, "LOG"),
    (b"1:M 09 Nov 13:27:36.276 # redis", 13, "#"),
    (b"1:M 09 Nov 2026 13:27:36.276 * redis", 10, "*"),
    (b"I, [2026-11-20T12:00:00.123456 #1]  INFO -- : ruby", 9, "INFO"),
    (b"PHP Warning:  foo in /x", 13, "Warning"),
    (b"info: Microsoft.Hosting.Lifetime[14]", 9, "info"),
    (b"fail: Microsoft.Hosting.Lifetime[14]", 17, "fail"),
    (b"2026-11-20T12:00:00.000000Z 0 [Note] mysqld", 10, "Note"),
    (b"[WARN  tini (7)] Tini is not PID 1", 13, "WARN"),
    (b"<3>kernel text", 17, "3"),
    (b"<30>facility and severity", 9, "30"),
    (b"<info>  [1699.1] manager", 9, "info"),
    (b"10:00AM INF zerolog", 9, "INF"),
    (b"\x1b[2m2026-11-20T12:00:00Z\x1b[0m \x1b[32m INFO\x1b[0m tracing", 9, "INFO"),
    (b"2026-11-20 12:00:00.123 | SUCCESS_NOT | x".replace(b"SUCCESS_NOT", b"ERROR"), 17, "ERROR"),
    (b"FINE: java.util.logging", 5, "FINE"),
    (b"ERROR", 17, "ERROR"),
    (CLF + b'"GET /x?level=error HTTP/1.1" 200 6340', 9, "200"),
    (CLF + b'"GET / HTTP/1.1" 101', 9, "101"),
    (CLF + b'"" 400 0 "-" "-"', 13, "400"),
    (CLF + b'"GET /' + b"x" * 900 + b' HTTP/1.1" 404 0', 13, "404"),
    (CLF + b'"GET /\\" 200 HTTP/1.1" 503 0', 17, "503"),
    (b'10.1.1.1 - frank [10/Oct/2026:13:55:36 -0700] "GET /error HTTP/1.0" 500 2', 17, "500"),
    (b'fd00::7 - - [10/Oct/2026:13:55:36 -0700] "GET /error HTTP/1.0" 302 2', 9, "302"),
    (b'2001:db8:: - u [10/Oct/2026:13:55:36 -0700] "GET /error HTTP/1.0" 404 2', 13, "404"),
    (b'[2026-11-20T10:11:12.345Z] "GET /reviews/7 HTTP/1.1" 503 UF -', 17, "503"),
    (b'[2026-11-20T10:11:12.345Z] "GET /\\" HTTP/1.1" 404 - -', 13, "404"),
    (b"10.0.3.7:33317 [20/Nov/2026:10:11:12.655] in shop/web-1 10/0/30/69/109 502 2", 17, "502"),
]

WITHOUT = [
    b'{"ts":1795169472123.456,"msg":"no more"}',
    b'{"ts":"2026-11-20","msg":"x","v":0}',
    b'{"msg":"x","v":0,"err":"y"}',
    b'{"ts":1.5,"msg":"a,\\"err\\":\\"b"}',
    b"",
    b" ",
    b"{",
    b"{}",
    b'{"level"',
    b'{"level":',
    b'{"level":"',
    b'{"level":"inf',
    b'{"msg":"level=error"}',
    b'{"msg":"\\"level\\":\\"error\\""}',
    b'{"a":{"level":"error"}}',
    b'{"a":["level","error"]}',
    b'{"level":{"error":1}}',
    b'{"level":12345}',
    b'{"level":3.5}',
    b'{"level":-3}',
    b"an error in the middle",
    b"error in the thing",
    b"3 errors found",
    b"Errors: 3",
    b"log: nothing",
    b"config: loaded",
    b"info about something",
    b"ERRORS everywhere",
    b'10.0.0.1 - - [20/Nov/2026:00:00:00 +0000] "GET /x HTTP/1.1" - 0',
    b'10.0.0.1 - - [20/Nov/2026:00:00:00 +0000] "GET /x HTTP/1.1" 600 0',
    b'10.0.0.1 - - [20/Nov/2026:00:00:00 +0000] "GET /x HTTP/1.1" 2000 0',
    b'10.0.0.1 - - [20/Nov/2026:00:00:00 +0000] "GET /x HTTP/1.1" 20',
    b'10.0.0.1 - - [20/Nov/2026:00:00:00 +0000] "GET /x HTTP/1.1',
    b'10.0.0.1 - - [20/Nov/2026:00:00:00 +0000] "GET /\\" 200 ',
    b'[2026-11-20T10:11:12.345Z] "- - -" 0 - - - "-" 1043 7251',
    b"10.0.3.7:33320 [20/Nov/2026:10:11:12.655] pg db/pg-0 0/1/5007 212 -- 0/0/0/0/3 0/0",
    b'msg="level=error"',
    b'msg="it said level=error today" n=1',
    b"url=/x?level=error",
    b"\tat com.acme.Error.main(Error.java:1)",
    b"I1120 is a name",
    b"<192>no priority",
    b"<03>no priority",
    b"GET /error HTTP/1.1",
    b"\xff\xfe",
]


def detected(lines: list[bytes]) -> list[tuple[int, str]]:
    numbers, texts = detect_severity(pa.array(lines, pa.binary()))
    return list(zip(numbers.to_pylist(), texts.to_pylist(), strict=True))


@pytest.mark.parametrize(("line", "number", "text"), WITH)
def test_a_line_with_a_severity(line: bytes, number: int, text: str) -> None:
    expected = [(number, text)]
    assert expected == detected([line])
    assert expected == [severity(line)]


@pytest.mark.parametrize("line", WITHOUT)
def test_a_line_without(line: bytes) -> None:
    expected = [(0, "")]
    assert expected == detected([line])
    assert expected == [severity(line)]


def test_all_in_one_batch_many_times() -> None:
    lines = [line for line, _, _ in WITH] + WITHOUT
    expected = [(n, t) for _, n, t in WITH] + [(0, "")] * len(WITHOUT)
    assert expected * 50 == detected(lines * 50)


def test_no_rows() -> None:
    numbers, texts = detect_severity(pa.array([], pa.binary()))
    assert (pa.uint8(), pa.string(), 0) == (numbers.type, texts.type, len(texts))


def test_a_backslash_at_the_end_of_a_line_hides_nothing_of_the_next() -> None:
    nested = b'{"a":{"level":"error"}}'
    assert detected([b'{"level":1x\\', nested]) == [(0, ""), (0, "")]


def test_many_different_words_in_one_batch() -> None:
    lines = [b'{"level":"%d","n":1}' % n for n in range(1000)]
    assert [severity(line) for line in lines] == detected(lines)


def test_level_goes_first_also_behind_nested_values() -> None:
    assert detected([b'{"a":{},"lvl":"warn","level":"info"}']) == [(9, "info")]


@pytest.mark.parametrize(
    "lines",
    [
        [b"10:11:12 ERROR x"] * 200 + [b"10:11:12 ", b"ERROR y"],
        [b"I1120 00:00:00.", b"47 x"],
        [b'{"level":"info\x00"}', b'{"level":"info"}'] * 2,
        [b'1.2.3.4 ([20/Nov/2026:00:00:00 +0000] "x") ERROR y'],
        [b"1.2.3.4 - - [20/Nov/2026:00:00:00 +0000", b'] "GET"'],
        [b'{"a":{},"level":"', b'{"level":1'],
        [b"level=", b"info x=1"],
        [b'level="', b'info" x=1'],
        [b"INFO" + b" " * 70 + b"x", b"1" * 70 + b" ERROR x"] * 100,
    ],
)
def test_no_line_sees_what_stands_beside_it(lines: list[bytes]) -> None:
    assert [severity(line) for line in lines] == detected(lines)
