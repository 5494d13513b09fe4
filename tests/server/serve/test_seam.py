"""The seam between past and future: no gap, no repeat."""

from __future__ import annotations

from kelp.server.http.times import SECOND
from kelp.server.result import Entry, StreamEntries
from kelp.server.serve.seam import Seam

LABELS = {"app": "a"}
NOW = 1_000_000 * SECOND


def news(seam: Seam, *entries: Entry, now_ns: int = NOW) -> list[int]:
    return [e.position for _, e in seam.news([StreamEntries(LABELS, list(entries))], now_ns)]


def test_what_the_past_gave_is_no_news_what_came_late_is() -> None:
    seam = Seam(0, NOW)
    seam.give(LABELS, Entry(NOW - SECOND, 1, b"x"))
    assert news(seam, Entry(NOW - SECOND, 1, b"x"), Entry(NOW - SECOND, 2, b"x")) == [2]


def test_news_are_in_total_order_across_streams() -> None:
    found = [
        StreamEntries(LABELS, [Entry(NOW + 3, 1, b""), Entry(NOW + 1, 4, b"")]),
        StreamEntries({"app": "b"}, [Entry(NOW + 1, 2, b"")]),
    ]
    assert [e.position for _, e in Seam(0, NOW).news(found, NOW)] == [2, 4, 1]


def test_what_a_limit_left_out_is_no_news() -> None:
    seam = Seam(0, NOW)
    seam.begins_at(NOW - 5)
    assert news(seam, Entry(NOW - 6, 5, b""), Entry(NOW - 5, 6, b"")) == [6]


def test_following_begins_a_minute_before_now_but_not_before_the_start() -> None:
    assert [Seam(s, NOW).since_ns for s in (0, NOW - 5)] == [NOW - 60 * SECOND, NOW - 5]
    assert news(Seam(NOW - 5, NOW), Entry(NOW - 6, 1, b"")) == []


def test_memory_is_given_back_when_the_seam_lies_behind() -> None:
    seam = Seam(0, NOW)
    seam.give(LABELS, Entry(NOW, 1, b""))
    assert news(seam, Entry(NOW, 1, b""), now_ns=NOW + 181 * SECOND) == [1]
