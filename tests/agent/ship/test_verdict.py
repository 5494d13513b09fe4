"""What an answer means."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kelp.agent.connection import Answer
from kelp.agent.ship.verdict import MAX_RETRY_AFTER_S, Fate, judge, retry_after_s

NOW = 784_111_777.0  # Sun, 06 Nov 1994 08:49:37 GMT, the date of RFC 9110's examples


@pytest.mark.parametrize(
    ("status", "fate"),
    [
        (200, Fate.DELIVERED), (204, Fate.DELIVERED),
        (400, Fate.NEVER), (413, Fate.NEVER), (422, Fate.NEVER),
        (202, Fate.AGAIN), (301, Fate.AGAIN), (401, Fate.AGAIN), (403, Fate.AGAIN),
        (404, Fate.AGAIN), (408, Fate.AGAIN), (415, Fate.AGAIN), (429, Fate.AGAIN),
        (500, Fate.AGAIN), (502, Fate.AGAIN), (503, Fate.AGAIN), (599, Fate.AGAIN),
    ],
)  # fmt: skip
def test_fates(status, fate):
    assert judge(Answer(status, {}), NOW).fate == fate


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("7", 7.0),
        (" 120 ", 120.0),
        ("Sun, 06 Nov 1994 08:49:47 GMT", 10.0),
        ("Sun, 06 Nov 1994 08:49:27 GMT", 0.0),
        ("9" * 5000, MAX_RETRY_AFTER_S),
        ("Sun, 06 Nov 2094 08:49:37 GMT", MAX_RETRY_AFTER_S),
        ("", None),
        ("-1", None),
        ("1.5", None),
        ("soon", None),
        ("Sun, 99 Nov 1994 08:49:37 GMT", None),
    ],
)
def test_retry_after(value, seconds):
    assert retry_after_s(value, NOW) == seconds


@given(st.text())
def test_any_retry_after_is_bounded(value):
    seconds = retry_after_s(value, NOW)
    assert seconds is None or 0 <= seconds <= MAX_RETRY_AFTER_S


def test_retry_after_counts_for_429_and_503_alone():
    headers = {"retry-after": "7"}
    waits = {s: judge(Answer(s, headers), NOW).wait_s for s in (429, 503, 500, 401)}
    assert waits == {429: 7.0, 503: 7.0, 500: None, 401: None}


def test_the_reason_tells_what_to_do():
    assert "see agent.ship.token_file" in judge(Answer(401, {}), NOW).reason
    moved = judge(Answer(308, {"location": "https://logs.example/"}), NOW)
    assert "set agent.ship.url to that" in moved.reason
    said = judge(Answer(400, {}, "expected\n  a segment; got " + "x" * 9000), NOW).reason
    assert said.startswith("HTTP 400: expected a segment; got xxx")
    assert len(said) < 600
