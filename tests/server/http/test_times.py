"""Times and durations in the forms of Loki's and Prometheus's clients, exact to the nanosecond."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kelp.server.http.times import MAX_NS, default_step, parse_duration, parse_time

S = 10**9


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0),
        ("1700000000", 1700000000 * S),
        ("1700000000123456789", 1700000000123456789),
        ("1700000000.123456789", 1700000000123456789),
        ("1700000000.", 1700000000 * S),
        ("-1", -S),
        ("1.7e9", 1700000000 * S),
        ("2026-11-20T10:11:12Z", 1795169472 * S),
        ("2026-11-20T11:11:12.5+01:00", 1795169472 * S + S // 2),
        ("2026-11-20t10:11:12.123456789z", 1795169472 * S + 123456789),
        ("1969-12-31T23:59:59.999999999Z", -1),
    ],
)
def test_times(text: str, expected: int) -> None:
    assert expected == parse_time(text)


@pytest.mark.parametrize(
    "text",
    ["", "now", "1_000", "9999999999999999999", "1e99", "nan", "inf", "٣", "2026-11-20", "--1",
     "2026-11-20T10:11:12", "2026-13-20T10:11:12Z", "2026-11-20T25:11:12Z", "1" * 5000],
)  # fmt: skip
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(ValueError):
        parse_time(text)


@given(
    st.datetimes(datetime(1700, 1, 1), datetime(2200, 1, 1)),
    st.integers(0, 999),
    st.integers(-14 * 60, 14 * 60),
)
def test_rfc3339_loses_nothing(moment: datetime, ns: int, offset: int) -> None:
    local = moment.replace(tzinfo=timezone(timedelta(minutes=offset)))
    zone = f"{'-' if offset < 0 else '+'}{abs(offset) // 60:02}:{abs(offset) % 60:02}"
    text = f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond:06}{ns:03}{zone}"
    since = local - datetime(1970, 1, 1, tzinfo=UTC)
    expected = (since // timedelta(microseconds=1)) * 1000 + ns
    assert expected == parse_time(text.replace("Y", "0"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("5", 5 * S), ("0.5", S // 2), ("5s", 5 * S), ("250ms", S // 4), ("1h30m", 5400 * S),
        ("1.5h", 5400 * S), ("7d", 7 * 86400 * S), ("2w", 14 * 86400 * S), ("1y", 365 * 86400 * S),
        ("3us", 3000), ("3µs", 3000), ("7ns", 7), ("-1m", -60 * S), ("1d12h", 129600 * S),
    ],
)  # fmt: skip
def test_durations(text: str, expected: int) -> None:
    assert expected == parse_duration(text)


@pytest.mark.parametrize("text", ["", "s", "5x", "5s5", "h1", "1 h", "1h-5m", "999999y", "5S"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError):
        parse_duration(text)


@given(st.text(max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    for parse in (parse_time, parse_duration):
        with contextlib.suppress(ValueError):
            assert abs(parse(text)) <= MAX_NS


def test_the_default_step() -> None:
    assert [default_step(0, n * S) for n in (0, 499, 1000)] == [S, S, 4 * S]
