from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kelp.base.formats.eventtime import event_time_ns

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def ns(moment: datetime, nanos: int = 0) -> int:
    return int(moment.timestamp()) * 10**9 + nanos


AT = ns(datetime(2026, 11, 20, 10, 11, 12, tzinfo=UTC))


@pytest.mark.parametrize(
    ("text", "nanos"),
    [
        ("2026-11-20T10:11:12Z", 0),
        ("2026-11-20T10:11:12.123456789Z", 123456789),
        ("2026-11-20T10:11:12.1234567891234Z", 123456789),
        ("2026-11-20T11:11:12.5+01:00", 500_000_000),
        ("2026-11-20T11:11:12+0100", 0),
        ("2026-11-20T05:41:12-04:30", 0),
        ("2026-11-20 10:11:12,123", 123_000_000),
        ("2026-11-20 10:11:12.5 +0000 UTC", 500_000_000),
        ("2026/11/20 10:11:12", 0),
        ("2026-11-20_10:11:12.93291", 932_910_000),
        (" 2026-11-20T10:11:12Z ", 0),
        ("20/Nov/2026:10:11:12 +0000", 0),
        ("20/Nov/2026:11:11:12 +0100", 0),
        ("20/Nov/2026:10:11:12.655", 655_000_000),
        ("1120 10:11:12.123456", 123_456_000),
        ("I1120 10:11:12.123456", 123_456_000),
        ("Nov 20 10:11:12", 0),
        ("Fri, 20 Nov 2026 10:11:12 GMT", 0),
        ("1795169472", 0),
        ("1795169472.123", 123_000_000),
        ("1795169472.123456789", 123_456_789),
        ("1795169472123", 123_000_000),
        ("1795169472123.5", 123_500_000),
        ("1795169472123456", 123_456_000),
        ("1795169472123456789", 123_456_789),
        ("1.795169472123e9", 123_000_000),
        ("1.795169472123E+09", 123_000_000),
    ],
)
def test_a_time(text: str, nanos: int) -> None:
    assert event_time_ns(text, ns(NOW)) == AT + nanos


@pytest.mark.parametrize(
    "text",
    [
        "", "-", "now", "2026-13-20T10:11:12Z", "2026-11-31T10:11:12Z", "2026-11-20T24:11:12Z",
        "2026-11-20T10:11:61Z", "2026-11-20T10:11:12+99:99", "9999-01-01T00:00:00Z",
        "0001-01-01T00:00:00Z", "1332 10:11:12", "Xyz 20 10:11:12", "99999999999999999999",
        "1e99", "1e-5", "0x10", "٢٠٢٦-11-20T10:11:12Z", "2026-11-20T10:11:12Z" + "0" * 60,
    ],
)  # fmt: skip
def test_what_is_no_time(text: str) -> None:
    assert event_time_ns(text, ns(NOW)) is None


@pytest.mark.parametrize(
    ("text", "now", "year"),
    [
        ("1231 23:59:59", datetime(2027, 1, 1, 0, 0, 5, tzinfo=UTC), 2026),
        ("0101 00:00:01", datetime(2026, 12, 31, 23, 59, 58, tzinfo=UTC), 2027),
        ("0101 00:00:01", datetime(2027, 1, 1, 0, 0, 5, tzinfo=UTC), 2027),
        ("1121 11:00:00", NOW, 2026),  # a day ahead is a clock that is ahead
        ("1122 11:00:00", NOW, 2025),
        ("0229 10:00:00", NOW, 2024),
        ("Dec 31 23:59:59", datetime(2027, 1, 1, 0, 0, 5, tzinfo=UTC), 2026),
    ],
)
def test_the_year_that_nobody_wrote(text: str, now: datetime, year: int) -> None:
    found = event_time_ns(text, ns(now))
    assert found is not None
    assert datetime.fromtimestamp(found // 10**9, UTC).year == year


def test_a_zone_that_nobody_wrote() -> None:
    berlin = timezone(timedelta(hours=1))
    assert event_time_ns("2026-11-20 11:11:12", ns(NOW), berlin) == AT
    assert event_time_ns("1120 11:11:12", ns(NOW), berlin) == AT


@given(st.text("0123456789-/:.TZ eE+INov", max_size=40) | st.text(max_size=70))
def test_whatever_comes(text: str) -> None:
    found = event_time_ns(text, ns(NOW))
    assert found is None or abs(found) < 2**63


@given(st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1)))
def test_what_python_writes(moment: datetime) -> None:
    aware = moment.replace(tzinfo=UTC)
    expected = (aware - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000
    assert event_time_ns(aware.isoformat(), ns(NOW)) == expected
