"""Plain lines: the time that each begins with, in any form, and every line kept as it came."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kelp.agent.assemble import PlainAssembler
from kelp.model.lines import Lines
from kelp.model.raw import Instance, RawBatch

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def ns(moment: datetime, nanos: int = 0) -> int:
    delta = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * 10**9 + nanos


def raw_of(data: bytes, now: datetime = NOW, cut: int = 0) -> RawBatch:
    array = np.frombuffer(data, np.uint8)
    return RawBatch(
        array, np.array([0]), np.array([len(data)]), np.array([1000], np.uint64),
        np.array([cut]), [Instance("/var/log/x", {"dataset": "node"})], ns(now),
    )  # fmt: skip


def lines_of(data: bytes, now: datetime = NOW, limit: int = 1 << 20) -> Lines:
    return PlainAssembler(limit, BERLIN).assemble(raw_of(data, now))


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc]


TIMES = [
    (b"2026-11-20T10:11:12Z x", utc(2026, 11, 20, 10, 11, 12), 0),
    (b"2026-11-20T10:11:12.123456789+02:00 host", utc(2026, 11, 20, 8, 11, 12), 123456789),
    (b"2026-11-20 10:11:12,5 x", utc(2026, 11, 20, 9, 11, 12), 500_000_000),
    (b"2026-11-20 10:11:12 -0500 x", utc(2026, 11, 20, 15, 11, 12), 0),
    (b"2026-11-20 10:11:12.25 UTC [1] LOG", utc(2026, 11, 20, 10, 11, 12), 250_000_000),
    (b"2026-11-20 10:11:12 zookeeper", utc(2026, 11, 20, 9, 11, 12), 0),
    (b"2026-07-20 10:11:12 summer", utc(2026, 7, 20, 8, 11, 12), 0),
    (b"2026-11-20 10:11:12", utc(2026, 11, 20, 9, 11, 12), 0),
    (b"2026/11/20 10:11:12 main.go", utc(2026, 11, 20, 9, 11, 12), 0),
    (b"[2026-11-20T10:11:12Z] x", utc(2026, 11, 20, 10, 11, 12), 0),
    (b'time="2026-11-20T10:11:12.5Z" level=info', utc(2026, 11, 20, 10, 11, 12), 500_000_000),
    (b"<34>1 2026-11-20T10:11:12.003Z host app - - -", utc(2026, 11, 20, 10, 11, 12), 3_000_000),
    (b"Nov 20 10:11:12 host app: x", utc(2026, 11, 20, 9, 11, 12), 0),
    (b"<4>Nov  2 10:11:12 host app: x", utc(2026, 11, 2, 9, 11, 12), 0),
    (b"Nov 22 10:11:12 host app: more than a day ahead", utc(2025, 11, 22, 9, 11, 12), 0),
    (b"Nov 21 10:11:12 host app: clocks differ", utc(2026, 11, 21, 9, 11, 12), 0),
    (b"Feb 29 10:11:12 host app: leap", utc(2024, 2, 29, 9, 11, 12), 0),
    (b"I1120 10:11:12.123456   42 file.go:7] x", utc(2026, 11, 20, 9, 11, 12), 123_456_000),
    (b'1.2.3.4 - bob [20/Nov/2026:10:11:12 +0100] "GET /"', utc(2026, 11, 20, 9, 11, 12), 0),
    (b"2026-11-20 10:11:12 CEST [1] LOG", utc(2026, 11, 20, 8, 11, 12), 0),
    (b"2026-11-20 10:11:12.5 EST [1] LOG", utc(2026, 11, 20, 15, 11, 12), 500_000_000),
    (b"2026-11-20 10:11:12 CETUS rises", utc(2026, 11, 20, 9, 11, 12), 0),
    (b"Fri Nov 20 10:11:12 CET 2026", utc(2026, 11, 20, 9, 11, 12), 0),
    (b"Fri Nov 20 10:11:12 PST 2026 x", utc(2026, 11, 20, 18, 11, 12), 0),
    (b"Fri Nov 20 10:11:12 2026 x", utc(2026, 11, 20, 9, 11, 12), 0),
    (b"Sat Nov  7 10:11:12 2026 x", utc(2026, 11, 7, 9, 11, 12), 0),
    (b"[Fri Nov 20 10:11:12.123456 2026] [core:notice]", utc(2026, 11, 20, 9, 11, 12), 123_456_000),
    (b"Fri Nov 20 10:11:12 AM CET 2026", utc(2026, 11, 20, 9, 11, 12), 0),
    (b"Fri 20 Nov 2026 10:11:12 PM CET", utc(2026, 11, 20, 21, 11, 12), 0),
    (b"Fri 20 Nov 2026 12:11:12 AM UTC", utc(2026, 11, 20, 0, 11, 12), 0),
    (b"Fri, 20 Nov 2026 10:11:12 +0100 x", utc(2026, 11, 20, 9, 11, 12), 0),
    ("Fr 6. M\u00e4r 10:11:12 CET 2026".encode(), utc(2026, 3, 6, 9, 11, 12), 0),
    (b"dim. 19 avril 18:03:30 2026", utc(2026, 4, 19, 16, 3, 30), 0),
    ("jeu. 20 ao\u00fbt 2026 10:11:12 CEST".encode(), utc(2026, 8, 20, 8, 11, 12), 0),
    (b"Nov 20, 2026 10:11:12 AM com.acme.A b", utc(2026, 11, 20, 9, 11, 12), 0),
    (b"Nov 20 2026 10:11:12 sw1 %LINK", utc(2026, 11, 20, 9, 11, 12), 0),
    (b"20-Nov-2026 10:11:12.123 INFO [main]", utc(2026, 11, 20, 9, 11, 12), 123_000_000),
    (b"1:M 20 Nov 2026 10:11:12.123 * Ready", utc(2026, 11, 20, 9, 11, 12), 123_000_000),
    (b"20.11.2026 10:11:12,5 x", utc(2026, 11, 20, 9, 11, 12), 500_000_000),
    (b"20/11/2026 10:11:12 x", utc(2026, 11, 20, 9, 11, 12), 0),
    (b"11/20/2026 10:11:12 PM x", utc(2026, 11, 20, 21, 11, 12), 0),
    (b"<30>Fri Nov 20 10:11:12 2026 x", utc(2026, 11, 20, 9, 11, 12), 0),
    (b"1795169472.123    56 10.0.0.1 TCP_MISS", utc(2026, 11, 20, 10, 11, 12), 123_000_000),
    (b"[1795169472] x", utc(2026, 11, 20, 10, 11, 12), 0),
    (b"type=SYSCALL msg=audit(1364481363.243:24287): a", utc(2013, 3, 28, 14, 36, 3), 243_000_000),
]


@pytest.mark.parametrize(("line", "moment", "nanos"), TIMES)
def test_times_at_the_beginning(line, moment, nanos):
    assert ns(moment, nanos) == int(lines_of(line + b"\n").timestamp[0])


def test_all_of_them_in_one_batch():
    expected = [ns(moment, nanos) for _, moment, nanos in TIMES]
    lines = lines_of(b"".join(line + b"\n" for line, _, _ in TIMES))
    assert expected == lines.timestamp.tolist()
    assert [line for line, _, _ in TIMES] == lines.body.to_pylist()


@pytest.mark.parametrize(
    "line",
    [
        b"", b"hello", b"2026-13-20T10:11:12Z", b"2026-02-30T10:11:12Z", b"2026-11-20T25:11:12Z",
        b"Foo 20 10:11:12 x", b"Feb 30 10:11:12 x", b"I1320 10:11:12.123456 x", b"I1120 10:11",
        b'1.2.3.4 - - [20/Foo/2026:10:11:12 +0100] "', b"0000-11-20T10:11:12Z", b"<34>", b"[",
        b"2026-11-20", b"10/11/2026 10:11:12 either", b"Fri Foo 20 10:11:12 2026",
        b"31.02.2026 10:11:12",
        b"Nov 20, 2026 13:11:12 PM", b"at 10:11:12 x", b"20 Nov 2026 25:11:12", b"12345678901 x",
        b"type=A msg=audit(9999999999.000:1): far",
    ],
)  # fmt: skip
def test_a_line_without_a_time_has_that_of_its_reading(line):
    lines = lines_of(b"\n" + line + b"\n2026-11-20T10:11:12Z\n")
    assert [ns(NOW), ns(NOW), ns(utc(2026, 11, 20, 10, 11, 12))] == lines.timestamp.tolist()
    assert line == lines.body[1].as_py()


@pytest.mark.parametrize(
    ("line", "now", "expected"),
    [
        # In Berlin it is an hour later than in UTC.
        (b"Dec 31 23:59:59 h", utc(2026, 12, 31, 23, 0, 1), utc(2026, 12, 31, 22, 59, 59)),
        (b"Jan  1 00:00:00 h", utc(2026, 12, 31, 23, 0, 1), utc(2026, 12, 31, 23, 0, 0)),
        (b"Jan  1 00:00:00 h", utc(2026, 12, 31, 22, 59, 58), utc(2026, 12, 31, 23, 0, 0)),
        (b"I1231 23:59:59.000000 1 a", utc(2027, 1, 1, 5), utc(2026, 12, 31, 22, 59, 59)),
        (b"I0101 00:00:01.000000 1 a", utc(2027, 1, 1, 5), utc(2026, 12, 31, 23, 0, 1)),
        (b"Jun 30 00:00:00 h", utc(2027, 1, 1, 5), utc(2026, 6, 29, 22)),
    ],
)
def test_years_at_new_year(line, now, expected):
    assert ns(expected) == int(lines_of(line + b"\n", now).timestamp[0])


@pytest.mark.parametrize(
    ("line", "now", "expected"),
    [
        # Of 29 February only leap years are meant, read on it, in its year and years later.
        (b"Feb 29 10:11:12 h", utc(2028, 2, 29, 9, 12), utc(2028, 2, 29, 9, 11, 12)),
        (b"Feb 29 10:11:12 h", utc(2028, 2, 28, 9, 12), utc(2028, 2, 29, 9, 11, 12)),
        (b"Feb 29 10:11:12 h", utc(2031, 12, 31), utc(2028, 2, 29, 9, 11, 12)),
        (b"Tue Feb 29 10:11:12 CET", utc(2031, 12, 31), utc(2028, 2, 29, 9, 11, 12)),
        # A clock that has jumped: back before what the line says, on into a later year.
        (b"Nov 20 10:11:12 h", utc(2026, 11, 19, 9), utc(2025, 11, 20, 9, 11, 12)),
        (b"Nov 20 10:11:12 h", utc(2026, 11, 19, 9, 12), utc(2026, 11, 20, 9, 11, 12)),
        (b"Nov 20 10:11:12 h", utc(1970, 1, 1), utc(1969, 11, 20, 9, 11, 12)),
        (b"I1120 10:11:12.000000 1 a", utc(2027, 3, 1), utc(2026, 11, 20, 9, 11, 12)),
        (b"Dec 31 23:59:60 h", utc(2026, 12, 31, 23, 0, 1), utc(2026, 12, 31, 23, 0, 0)),
    ],
)
def test_years_of_days_that_are_rare_and_clocks_that_jump(line, now, expected):
    found = int(lines_of(line + b"\n", now).timestamp[0])
    assert (ns(expected) if expected.year >= 1970 else ns(now)) == found


@pytest.mark.parametrize(
    ("local", "now", "expected"),
    [
        # Berlin, 25 October 2026: 03:00 is 02:00 again, at 01:00 UTC.
        (b"02:30:00", utc(2026, 10, 25, 0, 30), utc(2026, 10, 25, 0, 30)),
        (b"02:30:00", utc(2026, 10, 25, 1, 29, 30), utc(2026, 10, 25, 1, 30)),
        (b"02:30:00", utc(2026, 10, 25, 1, 30, 5), utc(2026, 10, 25, 1, 30)),
        (b"02:59:59", utc(2026, 10, 25, 1, 0, 1), utc(2026, 10, 25, 0, 59, 59)),
        (b"02:30:00", utc(2026, 10, 26), utc(2026, 10, 25, 0, 30)),
        (b"01:59:59", utc(2026, 10, 25, 1, 30), utc(2026, 10, 24, 23, 59, 59)),
        (b"03:00:00", utc(2026, 10, 25, 2), utc(2026, 10, 25, 2)),
    ],
)
def test_the_hour_that_comes_twice(local, now, expected):
    forms = (b"Oct 25 %s h", b"2026-10-25 %s h", b"I1025 %s.000000 1 a", b"Sun Oct 25 %s 2026 h")
    lines = lines_of(b"".join(form % local + b"\n" for form in forms), now)
    assert [ns(expected)] * len(forms) == lines.timestamp.tolist()


def test_the_hour_that_never_comes():
    lines = lines_of(b"Mar 29 02:30:00 h\n2026-03-29 02:30:00 h\n", utc(2026, 3, 29, 2))
    assert [ns(utc(2026, 3, 29, 1, 30))] * 2 == lines.timestamp.tolist()


@given(
    st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1)), st.integers(0, 10**9 - 1),
    st.integers(-14 * 60, 14 * 60),
)  # fmt: skip
def test_any_iso_time(local, nanos, offset):
    sign = "-" if offset < 0 else "+"
    zone = f"{sign}{abs(offset) // 60:02}:{abs(offset) % 60:02}"
    line = f"{local:%Y-%m-%dT%H:%M:%S}.{nanos:09}{zone} x\n".encode()
    expected = ns(local.replace(tzinfo=UTC, microsecond=0) - timedelta(minutes=offset), nanos)
    assert expected == int(lines_of(line).timestamp[0])


@given(st.datetimes(datetime(1971, 1, 1), datetime(2037, 1, 1)))
def test_the_nodes_zone_as_the_standard_library_has_it(local):
    expected = ns(local.replace(tzinfo=BERLIN, microsecond=0).astimezone(UTC))
    assert expected == int(lines_of(f"{local:%Y-%m-%d %H:%M:%S} x\n".encode()).timestamp[0])


@given(st.lists(st.one_of(st.binary(max_size=60), st.sampled_from([t[0] for t in TIMES]))))
def test_any_bytes_are_kept_line_by_line(parts):
    data = b"\n".join(parts) + b"\n"
    lines = lines_of(data)
    assert data.split(b"\n")[:-1] == lines.body.to_pylist()
    starts = np.cumsum([0] + [len(b) + 1 for b in data.split(b"\n")[:-1]])[:-1]
    assert (1000 + starts).tolist() == lines.position.tolist()


def test_a_line_that_the_collector_has_cut_is_marked():
    lines = PlainAssembler(100, None).assemble(raw_of(b"x" * 100, cut=50))
    assert lines.marks[0] == {"kelp.truncated_bytes": "50"}


def test_many_lines_cost_by_the_batch():
    line = b"type=SYSCALL " + b"a" * 200 + b" ["
    data = (line + b"\n" + b" " * 300 + b"\n") * 20_000
    began = time.process_time()
    assert len(lines_of(data)) == 40_000
    assert time.process_time() - began < 5


JSON_TIMES = [
    (b'{"ts":"2026-11-20T10:11:12.5Z","msg":"x"}', utc(2026, 11, 20, 10, 11, 12), 500_000_000),
    (b'{"level":"info","ts":"2026-11-20T10:11:12Z","time":1}', utc(2026, 11, 20, 10, 11, 12), 0),
    (b'{ "a": {"b": 1}, "time" : "2026-11-20 10:11:12" }', utc(2026, 11, 20, 9, 11, 12), 0),
    (b'{"@timestamp":"2026-11-20T10:11:12.123+01:00"}', utc(2026, 11, 20, 9, 11, 12), 123_000_000),
    (b'{"ts":1795169472.04728,"v":4}', utc(2026, 11, 20, 10, 11, 12), 47_280_000),
    (b'{"ts":1795169472123.4567,"v":4}', utc(2026, 11, 20, 10, 11, 12), 123_456_700),
    (b'{"level":30,"time":1795169472123,"pid":7}', utc(2026, 11, 20, 10, 11, 12), 123_000_000),
    (b'{"t":1795169472123456}', utc(2026, 11, 20, 10, 11, 12), 123_456_000),
    (b'{"t":1795169472123456789}', utc(2026, 11, 20, 10, 11, 12), 123_456_789),
]


@pytest.mark.parametrize(("line", "moment", "nanos"), JSON_TIMES)
def test_the_time_in_a_line_of_json(line: bytes, moment: datetime, nanos: int) -> None:
    assert lines_of(line + b"\n").timestamp.tolist() == [ns(moment, nanos)]


@pytest.mark.parametrize(
    "line",
    [
        b"{", b"{}", b'{"msg":"no"}', b'{"ts":null}', b'{"ts":99999999999999999999}',
        b'{"ts":9223372036854775807}', b'{"ts":12}', b'{"ts":"soon"}', b'{"startts":1795169472}',
        b'{"ts":1795169472x}', b'{"ts":"2026-13-20T10:11:12Z"}',
    ],
)  # fmt: skip
def test_json_without_a_time_has_that_of_reading(line: bytes) -> None:
    assert lines_of(line + b"\n").timestamp.tolist() == [ns(NOW)]
