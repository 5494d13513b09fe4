from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from kelp.base.oom.calendar import Calendar, Stamp

WRITTEN = datetime(2026, 11, 21, tzinfo=UTC)


def wall(form, text, *, boot_us=None, **changes):
    calendar = Calendar(**{"zone": UTC, "not_after": WRITTEN, **changes})
    return calendar.wall(Stamp(form, text) if form else None, boot_us)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-03-04T05:06:07Z", "2026-03-04T05:06:07Z"),
        ("2026-03-04T05:06:07.5Z", "2026-03-04T05:06:07.500000Z"),
        ("2026-03-04T05:06:07.123456789+02:00", "2026-03-04T03:06:07.123456Z"),
        ("2026-03-04T05:06:07,123456-0330", "2026-03-04T08:36:07.123456Z"),
        ("2026-03-04 05:06:07 UTC", "2026-03-04T05:06:07Z"),
        ("2026-03-04 05:06:07", "2026-03-04T05:06:07Z"),
        ("2026-02-30T05:06:07Z", None),
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00Z"),
        ("0001-01-01T00:00:00+14:00", None),
    ],
)
def test_iso(text, expected):
    assert wall("iso", text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Wed Mar  4 05:06:07 2026", "2026-03-04T05:06:07Z"),
        ("dim. 19 avril 18:03:30 2026", "2026-04-19T18:03:30Z"),
        ("mar. 3 mars 05:06:07 2026", "2026-03-03T05:06:07Z"),
        ("mar. 7 juil. 05:06:07 2026", "2026-07-07T05:06:07Z"),
        ("sam. 6 juin 05:06:07 2026", "2026-06-06T05:06:07Z"),
        ("Mi 4. Mär 05:06:07 2026", "2026-03-04T05:06:07Z"),
        ("Do Mai  7 05:06:07 2026", "2026-05-07T05:06:07Z"),
        ("二 9月  3 05:57:48 2024", "2024-09-03T05:57:48Z"),
        ("木 12月 31 05:57:48 2020", "2020-12-31T05:57:48Z"),
        ("화 3월 10 05:57:48 2020", "2020-03-10T05:57:48Z"),
        ("mié ago  5 05:06:07 2026", "2026-08-05T05:06:07Z"),
        ("ven lug  3 05:06:07 2026", "2026-07-03T05:06:07Z"),
        ("Пт июл  3 05:06:07 2026", "2026-07-03T05:06:07Z"),
        ("pt. lip 3 05:06:07 2026", "2026-07-03T05:06:07Z"),
        ("xyz 3 05:06:07 2026", None),
        ("Wed Mar  4 25:06:07 2026", None),
    ],
)
def test_dmesg_in_the_readers_language(text, expected):
    assert wall("ctime", text) == expected


def test_a_month_and_a_weekday_that_begin_alike():
    assert wall("ctime", "Mon Mar  2 05:06:07 2026") == "2026-03-02T05:06:07Z"
    assert wall("ctime", "Sat Sep  5 05:06:07 2026") == "2026-09-05T05:06:07Z"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Nov  3 10:11:12", "2026-11-03T10:11:12Z"),
        ("Nov 03 10:11:12.123456", "2026-11-03T10:11:12.123456Z"),
        ("Dec 31 23:59:59", "2025-12-31T23:59:59Z"),  # not yet in 2026 when the log was written
        ("Nov 21 12:00:00", "2026-11-21T12:00:00Z"),  # a day ahead is a clock or a zone, no year
        ("Feb 29 00:00:00", "2024-02-29T00:00:00Z"),
        ("2019 Nov  3 10:11:12", "2019-11-03T10:11:12Z"),
        ("Nov  3 10:11:12 2019", "2019-11-03T10:11:12Z"),
        ("Feb 30 00:00:00", None),
    ],
)
def test_a_year_that_is_left_out_is_the_latest_that_can_be(text, expected):
    assert wall("syslog", text) == expected


def test_just_after_new_year():
    written = datetime(2027, 1, 1, 0, 0, 5, tzinfo=UTC)
    assert wall("syslog", "Dec 31 23:59:59", not_after=written) == "2026-12-31T23:59:59Z"
    assert wall("syslog", "Jan  1 00:00:01", not_after=written) == "2027-01-01T00:00:01Z"


def test_the_zone_is_the_callers():
    berlin = ZoneInfo("Europe/Berlin")
    assert wall("syslog", "Jul  1 12:00:00", zone=berlin) == "2026-07-01T10:00:00Z"
    assert wall("syslog", "Jan  1 12:00:00", zone=berlin) == "2026-01-01T11:00:00Z"


def test_seconds_since_boot_become_wall_time_where_the_boot_is_known():
    boot = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert wall(None, "", boot_us=1_500_000, boot=boot) == "2026-01-02T03:04:06.500000Z"
    assert wall(None, "", boot_us=1_500_000) is None
    assert wall(None, "", boot_us=10**18, boot=boot) is None


def test_microseconds_since_the_epoch():
    assert wall("epoch_us", "1500316300000001") == "2017-07-17T18:31:40.000001Z"
    assert wall("epoch_us", "9" * 18) is None
