import time

import pytest

from kelp.base.errors import KelpError
from kelp.cli.times import duration_ns, format_clock, format_ns, format_utc_ns, moment_ns

S = 1_000_000_000
NOW = 1_700_000_000 * S + 5  # 2023-11-14 22:13:20 UTC


@pytest.fixture(autouse=True)
def zone(monkeypatch, request):
    monkeypatch.setenv("TZ", getattr(request, "param", "Europe/Berlin"))
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("now", NOW),
        ("10m", NOW - 600 * S),
        ("1h30m", NOW - 5400 * S),
        ("7d", NOW - 7 * 86400 * S),
        ("1700000000", 1_700_000_000 * S),
        ("1700000000.5", 1_700_000_000 * S + S // 2),
        ("1700000000000000007", 1_700_000_000 * S + 7),
        ("2023-11-14T22:13:20Z", 1_700_000_000 * S),
        ("2023-11-14T23:13:20.000000005+01:00", NOW),
        ("2023-11-14 23:13:20", 1_700_000_000 * S),
        ("2023-11-14T23:13:20.25", 1_700_000_000 * S + S // 4),
        ("2023-11-14 23:13", 1_699_999_980 * S),
        ("2023-11-14", 1_699_916_400 * S),
        ("23:13", 1_699_999_980 * S),
        ("23:13:20", 1_700_000_000 * S),
    ],
)
def test_moments(text, expected):
    assert expected == moment_ns(text, NOW)


@pytest.mark.parametrize("text", ["", "x", "25:00", "2023-13-01", "10", "T", "5:5", "yesterday"])
def test_what_is_no_moment_is_refused(text):
    if text == "10":  # seconds since the epoch, not ten seconds ago
        assert moment_ns(text, NOW) == 10 * S
        return
    with pytest.raises(KelpError, match="expected a time such as 2026-11-20T10:11:12Z"):
        moment_ns(text, NOW)


@pytest.mark.parametrize("text", ["", "x", "-5m", "5 m"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(KelpError, match="expected a duration"):
        duration_ns(text)


def test_times_are_shown_in_the_local_zone():
    assert format_ns(NOW) == "2023-11-14T23:13:20.000000005+01:00"
    assert format_utc_ns(NOW) == "2023-11-14T22:13:20.000000005Z"
    assert format_clock(NOW, NOW + S) == "23:13:20"
    assert format_clock(NOW, NOW + 86400 * S) == "2023-11-14 23:13:20"


@pytest.mark.parametrize("zone", ["UTC", "America/St_Johns"], indirect=True)
def test_the_zone_is_the_machines(zone):
    text = format_ns(NOW)
    assert text in ("2023-11-14T22:13:20.000000005Z", "2023-11-14T18:43:20.000000005-03:30")
    assert moment_ns(text, 0) == NOW
