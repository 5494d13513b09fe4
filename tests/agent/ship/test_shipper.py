"""The shipper's order, patience and bookkeeping, with a real server and a real clock's double."""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from kelp.agent.connection import Answer
from kelp.agent.ship import Client, Shipper
from kelp.base.clock import SystemClock
from kelp.base.settings import Ship
from tests.agent.ship.scripted import OK, Scripted, serving
from tests.waiting import wait_until


@dataclass(frozen=True)
class Parcel:
    seq: int
    data: memoryview
    records: int = 2
    created_ns: int = 0


@dataclass
class Box:
    """An outbox in memory."""

    waiting: deque[Parcel] = field(default_factory=deque)
    acknowledged: list[int] = field(default_factory=list)
    refused: list[tuple[int, str]] = field(default_factory=list)

    def put(self, count: int) -> None:
        first = len(self.acknowledged) + len(self.refused) + len(self.waiting) + 1
        for seq in range(first, first + count):
            self.waiting.append(Parcel(seq, memoryview(b"segment %d" % seq)))

    def next(self, timeout_s: float) -> Parcel | None:
        return self.waiting[0] if self.waiting else None

    def acknowledge(self, seq: int) -> None:
        assert seq == self.waiting.popleft().seq
        self.acknowledged.append(seq)

    def refuse(self, seq: int, reason: str) -> None:
        assert seq == self.waiting.popleft().seq
        self.refused.append((seq, reason))

    def wake(self) -> None:
        pass


@dataclass
class Line:
    """A transport with answers of a test's choice."""

    answers: list[Answer | Exception]
    sent: list[int] = field(default_factory=list)

    def send(self, seq: int, data: memoryview) -> Answer:
        self.sent.append(seq)
        answer = self.answers.pop(0) if self.answers else Answer(200, {})
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self) -> None:
        pass

    def abort(self) -> None:
        pass


class Clock(SystemClock):
    seconds = 100.0

    def monotonic(self) -> float:
        return self.seconds


class Waits(list[float]):
    """Stands in for the event that a shipper waits on: no time passes, the waits are kept."""

    def wait(self, seconds: float) -> bool:
        self.append(seconds)
        Clock.seconds += seconds
        return False

    def clear(self) -> None:
        pass


def shipper(box: Box, line: Line, registry: CollectorRegistry | None = None, draw=lambda: 1.0):
    made = Shipper(box, line, 30.0, Clock(), registry or CollectorRegistry(), draw)
    waits = made._hurry = Waits()
    return made, waits


def steps(made: Shipper, box: Box, limit: int = 100) -> None:
    while box.waiting and limit:
        made.step(0)
        limit -= 1


def test_in_order_one_at_a_time():
    box, line = Box(), Line([])
    box.put(5)
    made, waits = shipper(box, line)
    steps(made, box)
    assert line.sent == box.acknowledged == [1, 2, 3, 4, 5]
    assert waits == []


def test_failures_are_tried_again_with_growing_waits_up_to_the_limit():
    failures: list[Answer | Exception] = [Answer(500, {})] * 5
    failures += [ConnectionRefusedError()] * 5 + [TimeoutError()]
    box, line = Box(), Line(failures)
    box.put(2)
    made, waits = shipper(box, line)
    steps(made, box)
    assert line.sent == [1] * 12 + [2]
    assert box.acknowledged == [1, 2]
    assert waits == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30.0, 30.0]


def test_jitter_is_full():
    box, line = Box(), Line([Answer(500, {})] * 3)
    box.put(1)
    draws = iter([0.5, 0.0, 0.25])
    made, waits = shipper(box, line, draw=lambda: next(draws))
    steps(made, box)
    assert waits == [0.05, 0.0, 0.1]


def test_after_a_success_waits_begin_anew():
    box = Box()
    line = Line([Answer(500, {}), Answer(500, {}), Answer(200, {}), Answer(500, {})])
    box.put(2)
    made, waits = shipper(box, line)
    steps(made, box)
    assert waits == [0.1, 0.2, 0.1]


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_goes_before_the_backoff(status):
    box, line = Box(), Line([Answer(status, {"retry-after": "7"})])
    box.put(1)
    made, waits = shipper(box, line)
    steps(made, box)
    assert len(waits) == 1
    assert waits[0] == pytest.approx(7.7)  # 10 % of jitter on top, all of it here
    assert box.acknowledged == [1]


def test_retry_after_0_is_no_busy_loop():
    box, line = Box(), Line([Answer(429, {"retry-after": "0"})] * 3)
    box.put(1)
    made, waits = shipper(box, line)
    steps(made, box)
    assert waits == [0.1, 0.2, 0.4]


@pytest.mark.parametrize("status", [400, 413, 422])
def test_what_the_server_can_never_take_is_set_aside_and_the_rest_goes_on(status, caplog):
    box, line = Box(), Line([Answer(200, {}), Answer(status, {}, "no")])
    box.put(3)
    made, waits = shipper(box, line)
    with caplog.at_level(logging.ERROR):
        steps(made, box)
    assert box.refused == [(2, f"HTTP {status}: no")]
    assert box.acknowledged == [1, 3]
    assert "kept in the spool's folder 'refused'" in caplog.text
    assert waits == []


@pytest.mark.parametrize("status", [401, 403])
def test_a_wrong_token_waits_for_the_right_one(status, caplog):
    box, line = Box(), Line([Answer(status, {})] * 20)
    box.put(1)
    made, _ = shipper(box, line)
    with caplog.at_level(logging.WARNING):
        steps(made, box)
    assert box.acknowledged == [1]
    assert box.refused == []
    # The same reason is told once, not twenty times.
    assert len([r for r in caplog.records if r.levelno == logging.WARNING]) == 1


def test_for_how_long_it_fails_is_known():
    box, line = Box(), Line([Answer(500, {}, "broken")] * 3)
    box.put(2)
    made, _ = shipper(box, line)
    assert made.failing_for_s() == 0
    for _ in range(3):
        made.step(0)
    assert made.failing_for_s() == pytest.approx(0.7)
    assert made.last_reason == "HTTP 500: broken"
    made.step(0)
    assert made.failing_for_s() == 0
    assert made.last_reason == ""


def test_metrics():
    registry = CollectorRegistry()
    box = Box()
    line = Line([Answer(429, {}), Answer(500, {}), OSError(), Answer(401, {}), Answer(422, {})])
    box.put(3)
    made, _ = shipper(box, line, registry)
    steps(made, box)

    def value(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(f"kelp_agent_ship_{name}", labels)

    assert value("segments_total") == 2
    assert value("records_total") == 4
    assert value("bytes_total") == 2 * len("segment 2")
    found = {s: value("requests_total", status=s) for s in ("2xx", "429", "5xx", "401", "4xx")}
    assert found == {"2xx": 2, "429": 1, "5xx": 1, "401": 1, "4xx": 1}
    assert value("requests_total", status="no_answer") == 1


def real(box: Box, url: str) -> Shipper:
    ship = Ship(url=url, timeout_s=5.0)
    transport = Client(ship, Path("/nonexistent"), "agent-1")
    return Shipper(box, transport, 0.05, SystemClock(), CollectorRegistry())


def test_a_server_that_goes_away_and_comes_back():
    box, script = Box(), Scripted()
    with serving(script) as url:
        box.put(3)
        made = real(box, url)
        made.start()
        wait_until(lambda: box.acknowledged == [1, 2, 3])
    box.put(3)
    wait_until(lambda: made.failing_for_s() > 0)
    with serving(script) as url:
        wait_until(lambda: box.acknowledged == [1, 2, 3, 4, 5, 6])
        made.stop(2)
    assert script.bodies == [b"segment %d" % i for i in range(1, 7)]


def test_a_stop_does_not_wait_for_a_slow_server():
    import threading

    let_go = threading.Event()
    box, script = Box(), Scripted(replies=[lambda _handler: let_go.wait(20)])
    with serving(script) as url:
        box.put(1)
        made = real(box, url)
        made.start()
        wait_until(lambda: script.seen)
        made.stop(1.0)
        assert box.acknowledged == []
        let_go.set()


def test_a_stop_ends_a_wait():
    box, script = Box(), Scripted(last=(429, {"Retry-After": "3000"}, b""))
    with serving(script) as url:
        box.put(1)
        made = real(box, url)
        made.start()
        wait_until(lambda: made.failing_for_s() > 0)
        made.stop(2.0)
        assert not made._thread.is_alive()


def test_another_transport_is_used_at_once():
    box, first, second = Box(), Scripted(last=(429, {"Retry-After": "3000"}, b"")), Scripted()
    with serving(first) as url, serving(second) as other:
        box.put(2)
        made = real(box, url)
        made.start()
        wait_until(lambda: made.failing_for_s() > 0)
        made.reconfigure(Client(Ship(url=other), Path("/nonexistent"), "agent-1"), 1.0)
        wait_until(lambda: box.acknowledged == [1, 2])
        made.stop(2.0)
    assert second.seqs == [1, 2]


def test_a_disk_that_fails_does_not_end_shipping():
    class BadBox(Box):
        failures = 3

        def next(self, timeout_s: float) -> Parcel | None:
            if self.failures:
                self.failures -= 1
                raise OSError("I/O error")
            return super().next(timeout_s)

    box, script = BadBox(), Scripted(last=OK)
    with serving(script) as url:
        box.put(1)
        made = real(box, url)
        made.start()
        wait_until(lambda: box.acknowledged == [1])
        made.stop(2.0)
