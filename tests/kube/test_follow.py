"""Each entry once and in order, out of answers that overlap, are cut, come late or too early."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kelp.kube.follow import OVERLAP_US, Follower, Place, behind
from kelp.kube.journal_text import JournalText, TextEntry
from kelp.kube.nodelogs import LogQuery
from tests.doubles.kube_api import US, KubeletDouble, Written

START = 1_795_231_024 * US  # 2026-11-21T03:17:04Z
NOW_NS = (START + 86_400 * US) * 1000
HOUR = 3600


class Node:
    """A journal, and what a follower made of it."""

    def __init__(self, start_us: int = 0, zone_s: int = 0) -> None:
        self.kubelet = KubeletDouble("n1")
        self.kubelet.zone_s = zone_s
        self.follower = Follower(start_us=start_us)
        self.given: list[bytes] = []
        self.lost = 0
        self.answers: list[int] = []

    def write(self, at_us: int, message: str) -> None:
        self.kubelet.write(Written(START + at_us, "kubelet.service", message))

    def read(self) -> list[TextEntry]:
        since_us = self.follower.since_us()
        text = JournalText(NOW_NS)
        asked = {"query": ["kubelet"], "sinceTime": [LogQuery([], since_us).since()]}
        lines = self.kubelet.journalctl(asked).encode().split(b"\n")
        torn = lines.pop() != b""
        entries = [e for line in lines for e in text.feed(line)] + list(text.end(whole=not torn))
        self.answers.append(len(entries))
        taken = self.follower.take(entries, since_us)
        self.given += [e.message for e in taken.entries]
        self.lost += taken.lost
        return taken.entries

    def read_times(self, count: int) -> None:
        for _ in range(count):
            self.read()


def test_what_is_new_is_given_once():
    node = Node()
    node.write(0, "a")
    node.write(1, "b")
    node.read_times(2)
    node.write(1, "c")
    node.write(10 * US, "d")
    node.read_times(3)
    assert [b"a", b"b", b"c", b"d"] == node.given
    assert START + 10 * US == node.follower.place.time_us
    assert START + 4 == node.follower.place.next
    assert 0 == node.lost


def test_equal_lines_at_one_time_are_counted():
    node = Node()
    for count in (1, 2, 3):
        for _ in range(count):
            node.write(5, "same")
        node.read_times(2)
    assert [b"same"] * 6 == node.given


def test_a_place_goes_on_in_another_follower():
    node = Node()
    node.write(0, "a")
    node.read()
    node.follower = Follower(node.follower.place)
    node.write(0, "b")
    node.read()
    assert [b"a", b"b"] == node.given


def test_a_cut_answer_is_read_on():
    node = Node()
    for n in range(10):
        node.write(n * 3 * US, str(n))
    node.kubelet.cut_after = 4
    node.read_times(10)
    node.kubelet.cut_after = None
    node.read_times(2)
    assert [str(n).encode() for n in range(10)] == node.given


def test_a_vacuumed_journal_is_a_loss_and_read_on():
    node = Node()
    node.write(0, "a")
    node.read()
    node.kubelet.journal.clear()
    node.write(100 * US, "later")
    node.read_times(4)
    assert [b"a", b"later"] == node.given
    assert 1 == node.lost


def test_a_vacuumed_journal_without_anything_new_is_none():
    node = Node()
    node.write(0, "a")
    node.read()
    node.kubelet.journal.clear()
    node.read_times(4)
    assert 0 == node.lost


def test_the_first_read_begins_at_the_start():
    node = Node(start_us=START + US)
    node.write(0, "old")
    node.write(2 * US, "new")
    node.read()
    assert [b"new"] == node.given


def test_a_senders_time_before_the_journals_is_found_again():
    node = Node()
    node.kubelet.write(
        Written(START + 100, "kubelet.service", "a", shown_us=START - OVERLAP_US // 2)
    )
    node.read_times(2)
    node.write(200, "b")
    node.read_times(2)
    assert [b"a", b"b"] == node.given


def test_a_node_whose_clock_is_behind_utc():
    node = Node(start_us=START, zone_s=-5 * HOUR)
    for n in range(50):
        node.write(n * 600 * US, str(n))
        node.read_times(2)
    assert [str(n).encode() for n in range(50)] == node.given
    assert 0 == node.lost
    assert 5 * HOUR <= node.follower.place.shift_s <= 5 * HOUR + 1800
    assert node.answers[-1] <= 5


def test_a_node_whose_clock_is_ahead_of_utc():
    node = Node(start_us=START + 20 * HOUR * US, zone_s=8 * HOUR)
    for n in range(150):
        node.write(n * 600 * US, str(n))
        node.read()
    assert [str(n).encode() for n in range(120, 150)] == node.given
    assert -8 * HOUR <= node.follower.place.shift_s <= -7 * HOUR
    assert node.answers[-1] <= 8


@given(
    steps=st.lists(st.tuples(st.integers(0, 4 * US), st.sampled_from("ab"), st.integers(0, 2))),
    zone_s=st.sampled_from([0, 0, -7 * HOUR, 19_800]),
)
def test_any_journal_read_at_any_moments(steps, zone_s):
    node = Node(start_us=START, zone_s=zone_s)
    at = 0
    for gap, message, reads in steps:
        at += gap
        node.write(at, message)
        node.read_times(reads)
        if reads == 2:
            node.follower = Follower(node.follower.place, START)
    node.read_times(3)
    assert [message.encode() for _, message, _ in steps] == node.given
    assert 0 == node.lost


def test_behind():
    assert 2 == behind(["a", "b"], ["a", "b"])
    assert 1 == behind(["a", "b"], ["b", "c"])
    assert 3 == behind(["a", "b"], ["x", "a", "b", "b"])
    assert behind(["a"], ["b"]) is None
    assert behind(["a"], []) is None
    assert 2 == behind(["a", "b", "c"], ["b", "c", "c"])
    assert 1 == behind(["x", "a"], ["a", "y"])
    assert 3 == behind(["x", "y", "a"], ["y", "x", "a", "b"])


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=1), st.data())
def test_behind_finds_the_end_of_what_was_given(steps, data):
    """Equal entries have one time, and what is asked for by time has all of them or none."""
    time, journal, starts = 0, [], []
    for gap, text in steps:
        time += gap
        journal.append(f"{time} {text}")
        if gap:
            starts.append(len(journal) - 1)
    end = data.draw(st.integers(1, len(journal)))
    start = data.draw(st.sampled_from([0, *(s for s in starts if s < end)]))
    assert end - start == behind(journal[:end], journal[start:])


def test_a_place_is_small():
    node = Node()
    for n in range(1000):
        node.write(n, "x")
    node.read()
    assert 64 == len(node.follower.place.tail)
    assert Place() == Follower().place
