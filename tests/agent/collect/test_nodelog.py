"""Other nodes' journals: every entry once and in order, over kills, cuts and refusals."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from kelp.agent.assemble import JournalAssembler
from kelp.agent.collect.fetching import Fetchers
from kelp.agent.collect.metrics import CollectMetrics
from kelp.agent.collect.nodelog import FORGET_AFTER_S, NODES_EVERY_S, NodeLogCollector
from kelp.base.settings import Agent, NodeLogs
from kelp.kube.access import Access
from kelp.kube.client import KubeClient
from kelp.kube.credentials import Fixed
from kelp.model.lines import Lines
from kelp.model.loss import Loss
from tests.agent.collect.harness import TurnableClock
from tests.doubles.kube_api import TOKEN, US, KubeApi, Written
from tests.waiting import wait_until


class Cluster:
    """An API server, a collector that asks it, and the commits of the pipeline."""

    def __init__(self, api: KubeApi, **settings: Any) -> None:
        self.api = api
        more = {k: settings.pop(k) for k in list(settings) if hasattr(Agent(), k)}
        wanted = NodeLogs(enabled=True, **{"units": ["kubelet"], "poll_interval_s": 1.0} | settings)
        self.settings = Agent(node="agent", node_logs=wanted, **more)
        self.clock = TurnableClock()
        self.stored: dict[str, bytes] = {}
        self.kept: dict[str, list[tuple[int, bytes]]] = defaultdict(list)
        self.losses: list[Loss] = []
        self.lines: list[Lines] = []
        self.start()

    def start(self) -> None:
        self.registry = CollectorRegistry()
        client = KubeClient(Access(self.api.url, Fixed.token(TOKEN), source="the test"))
        self.collector = NodeLogCollector(
            self.settings, client, self.clock, dict(self.stored), CollectMetrics(self.registry)
        )
        self.fresh: list[tuple[str, int, bytes]] = []

    def write(self, node: str, *messages: str, unit: str = "kubelet", gap_us: int = 1000) -> None:
        kubelet = self.api.node(node)
        for message in messages:
            last_us = max((e.time_us for e in kubelet.journal), default=0)
            at = max(self.clock.now_ns() // 1000, last_us + gap_us)
            kubelet.write(Written(at, f"{unit}.service", message, identifier=unit))

    def take_round(self) -> int:
        """Let all that is due be asked, and take the answers; how many entries came."""
        came = 0
        fetchers = self.collector._fetchers

        def done() -> bool:
            nonlocal came
            entries = self.collector.poll()
            if entries is not None:
                came += len(entries.rows)
                self.lines.append(JournalAssembler().assemble(entries))
                for row, instance, position in zip(
                    entries.rows, entries.instances, entries.positions, strict=True
                ):
                    self.fresh.append((instance.key, position, row.fields["MESSAGE"]))
            due = self.collector._due
            waits = bool(due) and due[0][0] <= self.clock.monotonic()
            return not fetchers.under_way and not waits

        wait_until(done)
        return came

    def take(self, rounds: int = 3) -> None:
        for _ in range(rounds):
            self.take_round()
            self.clock.sleep(400.0)

    def commit(self) -> None:
        for key, state in self.collector.changes().items():
            if state is None:
                self.stored.pop(key, None)
            else:
                self.stored[key] = state
        self.losses += self.collector.losses()
        for key, position, message in self.fresh:
            self.kept[key].append((position, message))
        self.fresh.clear()

    def run(self, rounds: int = 3) -> None:
        self.take(rounds)
        self.commit()

    def kill(self) -> None:
        self.collector.close()
        self.start()

    def messages(self, node: str, unit: str = "kubelet") -> list[str]:
        kept = self.kept[f"node_logs:{node}/{unit}"]
        positions = [p for p, _ in kept]
        assert sorted(set(positions)) == positions
        return [m.decode() for _, m in kept]

    def failures(self, reason: str) -> float:
        labels = {"source": "node_logs", "reason": reason}
        name = "kelp_agent_source_failures_total"
        return self.registry.get_sample_value(name, labels) or 0.0

    def up(self) -> float | None:
        return self.registry.get_sample_value("kelp_agent_source_up", {"source": "node_logs"})


@pytest.fixture
def api() -> Iterator[KubeApi]:
    with KubeApi() as double:
        yield double


@pytest.fixture
def cluster(api: KubeApi) -> Iterator[Cluster]:
    made = Cluster(api)
    yield made
    made.collector.close()


def test_each_nodes_lines_once_and_in_order(cluster):
    cluster.write("n1", "a", "b")
    cluster.write("n2", "c")
    cluster.run()
    cluster.write("n1", "d")
    cluster.run()
    assert ["a", "b", "d"] == cluster.messages("n1")
    assert ["c"] == cluster.messages("n2")
    assert 1.0 == cluster.up()


def test_labels_times_and_attributes(cluster):
    cluster.write("n1", 'E1121 10:00:00.000000  42 a.go:1] "Failed"\nmore')
    cluster.run()
    (lines,) = cluster.lines
    assert {"dataset": "node", "node": "n1", "unit": "kubelet.service"} == dict(
        lines.instances[0].labels
    )
    assert cluster.api.nodes["n1"].journal[0].time_us * 1000 == lines.timestamp[0]
    assert {"process.pid": "4242", "syslog.identifier": "kubelet"} == dict(lines.marks[0])
    assert b'E1121 10:00:00.000000  42 a.go:1] "Failed"\nmore' == lines.body[0].as_py()


def test_a_kill_at_any_moment_repeats_and_loses_nothing(cluster):
    for n in range(12):
        cluster.write("n1", f"line {n}", "again", "again")
        cluster.take(1 + n % 3)
        if n % 2:
            cluster.commit()
        if n % 3 == 0:
            cluster.kill()
    cluster.run()
    expected = [m for n in range(12) for m in (f"line {n}", "again", "again")]
    assert expected == cluster.messages("n1")
    assert [] == cluster.losses


def test_patterns_of_nodes_and_several_units(api):
    cluster = Cluster(api, nodes=["web-*"], units=["kubelet", "containerd"])
    cluster.write("web-1", "a")
    cluster.write("web-1", "b", unit="containerd")
    cluster.write("db-1", "c")
    cluster.run()
    assert ["a"] == cluster.messages("web-1")
    assert ["b"] == cluster.messages("web-1", "containerd")
    assert [] == cluster.messages("db-1")
    cluster.collector.close()


def test_named_nodes_need_no_list(api):
    cluster = Cluster(api, nodes=["n1"])
    cluster.write("n1", "a")
    cluster.run()
    assert ["a"] == cluster.messages("n1")
    assert not any(r.startswith("/api/v1/nodes?") for r in api.requests)
    cluster.collector.close()


def test_a_node_that_comes_later_is_found(cluster):
    cluster.write("n1", "a")
    cluster.run()
    cluster.clock.sleep(NODES_EVERY_S)
    cluster.write("n2", "b")
    cluster.run()
    assert ["b"] == cluster.messages("n2")


def test_a_node_that_goes_and_comes_back_is_read_on(cluster):
    cluster.write("n1", "a")
    cluster.run()
    gone = cluster.api.nodes.pop("n1")
    cluster.run()
    cluster.kill()
    cluster.run()
    cluster.api.nodes["n1"] = gone
    cluster.write("n1", "b")
    cluster.run()
    assert ["a", "b"] == cluster.messages("n1")


def test_a_node_that_is_gone_for_a_week_is_forgotten(cluster):
    cluster.write("n1", "a")
    cluster.run()
    del cluster.api.nodes["n1"]
    cluster.run()
    assert ["n1/kubelet"] == list(cluster.stored)
    cluster.clock.sleep(FORGET_AFTER_S + NODES_EVERY_S)
    cluster.run()
    assert {} == cluster.stored


def test_the_first_reading_begins_so_far_back(api):
    cluster = Cluster(api, lookback_s=100.0)
    now_us = cluster.clock.now_ns() // 1000
    for ago_s in (200, 50):
        entry = Written(now_us - ago_s * US, "kubelet.service", f"{ago_s} s ago")
        api.node("n1").write(entry)
    cluster.run()
    assert ["50 s ago"] == cluster.messages("n1")
    cluster.collector.close()


def test_a_vacuumed_journal_is_a_loss(cluster):
    cluster.write("n1", "a")
    cluster.run()
    cluster.api.nodes["n1"].journal.clear()
    cluster.write("n1", "b")
    cluster.run()
    (loss,) = cluster.losses
    assert ("rotated_away", 0, "n1") == (loss.reason, loss.size_bytes, loss.labels["node"])
    assert loss.start_ns < loss.end_ns
    assert ["a", "b"] == cluster.messages("n1")


def test_more_than_fits_into_one_answer(api):
    cluster = Cluster(api, max_read_bytes=2000)
    cluster.write("n1", *(f"{n:05} " + "x" * 50 for n in range(200)), gap_us=200_000)
    cluster.run(1)
    assert [f"{n:05}" for n in range(200)] == [m[:5] for m in cluster.messages("n1")]
    cluster.collector.close()


def test_more_at_one_time_than_fits_into_one_answer(api):
    cluster = Cluster(api, max_read_bytes=2000)
    cluster.write("n1", *(f"{n:05} " + "x" * 50 for n in range(200)), gap_us=0)
    cluster.run(10)
    assert [f"{n:05}" for n in range(200)] == [m[:5] for m in cluster.messages("n1")]
    assert [] == cluster.losses
    cluster.collector.close()


def test_a_kubelet_that_stops_in_the_middle_is_read_on(cluster):
    cluster.write("n1", *(f"line {n}" for n in range(30)), gap_us=US)
    cluster.api.nodes["n1"].cut_after = 7
    cluster.run(2)
    cluster.api.nodes["n1"].cut_after = None
    cluster.run()
    assert [f"line {n}" for n in range(30)] == cluster.messages("n1")


def test_an_answer_that_breaks_off_is_read_on(cluster):
    cluster.write("n1", *(f"line {n:3} " + "x" * 100 for n in range(100)))
    for cut in (0, 100, 1500):
        cluster.api.fault("proxy/logs", cut=cut)
    cluster.run(6)
    assert [f"line {n:3}" for n in range(100)] == [m[:8] for m in cluster.messages("n1")]
    assert cluster.failures("away") >= 1


def test_a_node_whose_clock_is_not_utc(cluster):
    cluster.api.node("n1").zone_s = -8 * 3600
    cluster.api.node("n2").zone_s = 19_800
    for n in range(5):
        cluster.write("n1", f"a{n}")
        cluster.write("n2", f"b{n}")
        cluster.run()
    assert [f"a{n}" for n in range(5)] == cluster.messages("n1")
    assert [f"b{n}" for n in range(5)] == cluster.messages("n2")
    assert [] == cluster.losses


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda api: api.rights.update({TOKEN: {"list nodes"}}), "denied"),
        (lambda api: api.rights.clear(), "denied"),
        (lambda api: setattr(api.node("n1"), "query", False), "disabled"),
        (lambda api: setattr(api.node("n1"), "handler", False), "disabled"),
        (lambda api: api.fault("proxy/logs", status=500, times=100), "refused"),
        (lambda api: api.fault("proxy/logs", cut=0, times=100), "away"),
        (lambda api: api.node("n1").journal.clear(), "absent"),
        (lambda api: api.fault("proxy/logs", text="21. Nov. 10:00 was\n", times=100), "malformed"),
    ],
)
def test_what_cannot_be_read_is_counted_told_once_and_asked_again(cluster, caplog, change, reason):
    caplog.set_level(logging.INFO)
    cluster.write("n1", "a")
    kept = list(cluster.api.nodes["n1"].journal)
    change(cluster.api)
    cluster.take(4)
    assert cluster.failures(reason) >= 2
    assert 0.0 == cluster.up()
    told = [r for r in caplog.records if "cannot be" in r.message]
    assert len({r.message for r in told}) == len(told) >= 1
    cluster.api.rights[TOKEN] = {"list nodes", "get nodes/proxy"}
    cluster.api.faults.clear()
    cluster.api.nodes["n1"].query = cluster.api.nodes["n1"].handler = True
    cluster.api.nodes["n1"].journal[:] = kept
    cluster.run(4)
    assert ["a"] == cluster.messages("n1")
    assert 1.0 == cluster.up()


def test_one_node_that_is_away_is_nothing_to_the_others(cluster):
    cluster.write("n1", "a")
    cluster.write("n2", "b")
    cluster.api.fault("n1/proxy", status=500, times=100)
    cluster.run()
    assert ["b"] == cluster.messages("n2")
    assert 1.0 == cluster.up()


def test_polling_never_waits(cluster):
    cluster.api.fault("/nodes", slow_s=0.5)
    assert cluster.collector.poll() is None
    assert 1 == cluster.collector._fetchers.under_way
    assert cluster.collector.poll() is None


def test_so_many_questions_are_under_way_at_once(api):
    cluster = Cluster(api, max_concurrent=2)
    for n in range(20):
        cluster.write(f"n{n}", "a")
    cluster.run()
    assert 20 == len(cluster.kept)
    assert 2 == len(cluster.collector._fetchers._threads)
    cluster.collector.close()


def test_a_long_message_is_cut_and_marked(api):
    cluster = Cluster(api, max_record_bytes=100)
    cluster.write("n1", "x" * 150)
    cluster.run()
    (lines,) = cluster.lines
    assert lines.body[0].as_py().startswith(b"x" * 100)
    assert "50" in str(lines.marks[0])
    cluster.collector.close()


def test_a_checkpoint_that_cannot_be_used_is_counted(cluster):
    cluster.write("n1", "a")
    cluster.run()
    cluster.stored["n1/kubelet"] = b"nonsense"
    cluster.kill()
    assert 1.0 == cluster.registry.get_sample_value("kelp_agent_bad_checkpoints_total")
    cluster.take()
    assert [b"a"] == [m for _, _, m in cluster.fresh]


def test_what_fails_unexpectedly_is_an_answer_too(caplog):
    fetchers: Fetchers[str] = Fetchers(1, "test")
    fetchers.ask("a", lambda: 1 // 0)
    fetchers.ask("b", lambda: "well")
    taken = []
    wait_until(lambda: taken.append(fetchers.take()) or len([t for t in taken if t]) == 2)
    first, second = (t for t in taken if t)
    assert ("a", True) == (first.key, isinstance(first.error, ZeroDivisionError))
    assert ("b", "well", None) == tuple(second)
    fetchers.stop()
    wait_until(lambda: not any(t.is_alive() for t in fetchers._threads))


def test_answers_that_nobody_takes_are_bounded(monkeypatch):
    monkeypatch.setattr("kelp.agent.collect.fetching.MAX_WAITING_BYTES", 100)
    fetchers: Fetchers[int] = Fetchers(2, "test", lambda _: 40)
    begun: list[int] = []

    def question(n: int) -> int:
        begun.append(n)
        return n

    for n in range(20):
        fetchers.ask(n, partial(question, n))
    # Three fill the room, and each of the two threads holds one more.
    wait_until(lambda: (len(begun), len(fetchers._answers)) == (5, 3))
    taken = []
    wait_until(lambda: taken.append(fetchers.take()) or len([t for t in taken if t]) == 20)
    assert set(range(20)) == {t.value for t in taken if t}
    for n in range(20):
        fetchers.ask(n, partial(question, n))
    wait_until(lambda: fetchers._waiting_bytes > 100)
    fetchers.stop()
    wait_until(lambda: not any(t.is_alive() for t in fetchers._threads))
