"""Following: nothing is shown twice and nothing is left out, whatever the server does."""

import signal
import subprocess
import sys
import threading

import pytest

from kelp.base.clock import SystemClock
from kelp.cli import logs_read
from kelp.cli.client import Client, Connection
from kelp.cli.logs_find import Finder
from kelp.cli.logs_items import Record
from kelp.cli.logs_read import LogReader, Plan, Shown
from tests.doubles.log_server import LogServer, loss, record
from tests.waiting import wait_until

S = 1_000_000_000
NOW = SystemClock().now_ns()
QUERY = '{pod=~".+"}'


class Follower:
    """A reader that follows in a thread and keeps what it was given."""

    def __init__(self, server: LogServer, plan: Plan) -> None:
        self.lines: list[str] = []
        self.told: list[str] = []
        self._client = Client(Connection(server.url, server.token))
        self._reader = LogReader(self._client, SystemClock(), self.told.append)
        threading.Thread(target=self._run, args=(plan,), daemon=True).start()

    def _run(self, plan: Plan) -> None:
        for item in self._reader.past_and_future(plan):
            self.lines.append(item.line if isinstance(item, Record) else "loss")

    def wait_for(self, *lines: str) -> None:
        wait_until(lambda: len(self.lines) >= len(lines))
        assert list(lines) == self.lines


@pytest.fixture
def following(server):
    """How many requests follow just now, by what the server saw."""
    return lambda: sum(params.get("follow") == "true" for _, params in server.requests)


def test_new_lines_follow_the_past(server, following):
    server.items = [record(NOW - 2 * S, "a"), record(NOW - S, "b")]
    follower = Follower(server, Plan(QUERY))
    follower.wait_for("a", "b")
    wait_until(lambda: following() == 1)
    server.add(record(NOW + 1, "c"), loss(NOW + 2, NOW + 3), record(NOW + 4, "d"))
    follower.wait_for("a", "b", "c", "loss", "d")


def test_a_restart_of_the_server_neither_repeats_nor_skips(server, following):
    server.items = [record(NOW + i, f"{i}") for i in range(3)]
    follower = Follower(server, Plan(QUERY))
    follower.wait_for("0", "1", "2")
    wait_until(lambda: following() == 1)
    server.stop()
    wait_until(lambda: follower.told)
    # What comes while it is away: a line of a node that is late, and one at a time already shown.
    server.items += [
        record(NOW - S, "late", pod="web-1"),
        record(NOW + 2, "same time", position=NOW + 3),
        record(NOW + 10, "new"),
    ]
    server.start()
    follower.wait_for("0", "1", "2", "late", "same time", "new")
    assert follower.told[0].endswith("; waiting for it")
    assert follower.told[1] == "the server is back"
    server.add(record(NOW + 20, "newer"))
    follower.wait_for("0", "1", "2", "late", "same time", "new", "newer")


def test_an_answer_that_is_cut_again_and_again_gives_each_line_once(server):
    server.items = [record(NOW + i, f"{i}") for i in range(3)]
    follower = Follower(server, Plan(QUERY))
    follower.wait_for("0", "1", "2")
    for cut in range(1, 12):
        server.cut_after = cut
        server.add(record(NOW + 10 + cut, f"more {cut}"))
    server.cut_after = None
    follower.wait_for("0", "1", "2", *(f"more {i}" for i in range(1, 12)))


def test_lines_that_the_limit_left_out_do_not_come_after_all(server, following):
    server.items = [record(NOW - 100 + i, f"{i}") for i in range(10)]
    follower = Follower(server, Plan(QUERY, newest=2))
    follower.wait_for("8", "9")
    wait_until(lambda: following() == 1)
    server.add(record(NOW, "new"))
    follower.wait_for("8", "9", "new")


def test_tail_counts_for_each_container_when_following(server, following):
    server.items = [record(NOW - 100 + i, f"{i}", pod=f"web-{i % 2}") for i in range(10)]
    runs = Finder(Client(Connection(server.url, server.token))).runs([])
    tails = [(run.container_key, f'{{pod="{run.pod}"}}') for run in runs]
    follower = Follower(server, Plan(QUERY, tails=tails, tail=1))
    follower.wait_for("8", "9")
    wait_until(lambda: following() == 1)
    # A container that had no line then is new as a whole.
    server.add(record(NOW - 100, "other", pod="web-2"), record(NOW, "new", pod="web-0"))
    follower.wait_for("8", "9", "other", "new")


def test_no_line_of_the_past_with_a_limit_of_none(server, following):
    server.items = [record(NOW - S, "old")]
    follower = Follower(server, Plan(QUERY, newest=0))
    wait_until(lambda: following() == 1)
    server.add(record(SystemClock().now_ns() + S, "new"))
    follower.wait_for("new")


def test_a_query_that_is_refused_ends_it(server):
    client = Client(Connection(server.url, server.token))
    reader = LogReader(client, SystemClock())
    with pytest.raises(logs_read.KelpError, match="line 1:3: no query; write one"):
        list(reader.past_and_future(Plan("{|||")))


def test_too_many_containers_for_tail_are_refused(server, monkeypatch):
    monkeypatch.setattr(logs_read, "MAX_TAILED_CONTAINERS", 1)
    reader = LogReader(Client(Connection(server.url, server.token)), SystemClock())
    key = ("a", "b", "u", "c")
    with pytest.raises(logs_read.KelpError, match="expected up to 1 containers for --tail"):
        list(reader.past(Plan(QUERY, tails=[(key, QUERY), (key, QUERY)], tail=1)))


# --- what is remembered


class FixedClock:
    def __init__(self, now_ns: int) -> None:
        self.now = now_ns

    def now_ns(self) -> int:
        return self.now


def item(time_ns: int, **labels: str) -> Record:
    fields = record(time_ns, **labels)["record"]
    return Record(**fields)


def test_an_item_is_new_once():
    shown = Shown(FixedClock(1000 * S))
    assert shown.add(item(999 * S))
    assert not shown.add(item(999 * S))
    assert shown.add(item(999 * S, stream="stderr"))
    assert shown.add(item(999 * S, restart="1"))


def test_reading_goes_on_an_overlap_before_the_newest_line():
    clock = FixedClock(1000 * S)
    shown = Shown(clock)
    assert shown.resume_ns == 940 * S
    shown.add(item(900 * S))
    assert shown.resume_ns == 840 * S
    shown.add(item(5000 * S, pod="with-a-clock-that-is-ahead"))
    assert shown.resume_ns == 940 * S


def test_memory_is_bounded_and_the_overlap_shrinks(monkeypatch):
    monkeypatch.setattr(logs_read, "MAX_REMEMBERED", 10)
    shown = Shown(FixedClock(1000 * S))
    for i in range(100):
        shown.add(item(990 * S + i))
    assert shown.resume_ns == 990 * S + 90
    assert not shown.add(item(990 * S + 95))


def test_what_lies_before_the_overlap_is_forgotten():
    clock = FixedClock(1000 * S)
    shown = Shown(clock)
    for second in range(800, 1000):
        shown.add(item(second * S))
    assert len(shown._recent) == 61  # both ends count
    assert len(shown._known) == 61


def test_ctrl_c_ends_following_quietly(server, tmp_path):
    server.items = [record(NOW, "a line")]
    process = subprocess.Popen(
        [sys.executable, "-m", "kelp", "logs", "-f"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"payments web-0 app a line\n"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (130, b"")


def test_a_pod_that_is_not_there_yet_is_waited_for(server, tmp_path):
    path = tmp_path / "errors"
    with path.open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "kelp", "logs", "web-7", "-f"],
            stdout=subprocess.PIPE,
            stderr=errors,
        )
    try:
        wait_until(lambda: "; waiting for them\n" in path.read_text())
        assert path.read_text().startswith('kelp: no logs of a pod fit "web-7"; there are none at')
        server.add(record(SystemClock().now_ns(), "here I am", pod="web-7"))
        assert process.stdout is not None
        assert process.stdout.readline() == b"payments web-7 app here I am\n"
    finally:
        process.kill()
        process.communicate()
