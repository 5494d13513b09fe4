import json

from kelp.demo import formats

T = 1_700_000_000_123_456_789


def test_each_format_is_its_own():
    assert json.loads(formats.json_line(T, "info", "paid", order="7")) == {
        "time": "2023-11-14T22:13:20.123Z",
        "level": "info",
        "msg": "paid",
        "order": "7",
    }
    assert formats.pino_line(T, 50, "no") == '{"level":50,"time":1700000000123,"msg":"no"}'
    assert formats.logfmt_line(T, "warn", 'a "b"', n=1, e="", q="x=y") == (
        'ts=2023-11-14T22:13:20.123Z level=warn msg="a \\"b\\"" n=1 e="" q="x=y"'
    )
    assert formats.klog_line(T, "E", "a.go:1", "no") == ("E1114 22:13:20.123456       1 a.go:1] no")
    assert formats.access_line(T, "203.0.113.9", "GET / HTTP/1.1", 200, 5, "curl") == (
        '203.0.113.9 - - [14/Nov/2023:22:13:20 +0000] "GET / HTTP/1.1" 200 5 "-" "curl"'
    )
    assert formats.python_line(T, "INFO", "a.b", "hi") == "2023-11-14 22:13:20,123 INFO a.b: hi"
    assert formats.spring_line(T, "WARN", "main", "c.A", "hi").startswith(
        "2023-11-14T22:13:20.123Z  WARN 1 --- [           main] c.A "
    )
