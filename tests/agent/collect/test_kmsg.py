"""The kernel's log: each record once, gaps told, wall times right over suspends."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from kelp.agent.assemble import KernelAssembler
from kelp.agent.collect import KmsgCollector
from kelp.agent.collect.kmsg import read_boot_id
from kelp.agent.collect.metrics import CollectMetrics
from kelp.agent.collect.suspends import Suspends, Times, system_times
from kelp.base.settings import Agent, Kmsg
from kelp.model.loss import Loss

S = 1_000_000_000


class Device:
    """A device that gives one record a read: a pipe of packets; and a collector over it."""

    def __init__(self, boot_id: str = "b1") -> None:
        self.fds = os.pipe2(os.O_DIRECT | os.O_NONBLOCK)
        self.times = Times(1000 * S, 100 * S, 100 * S)
        self.stored: dict[str, bytes] = {}
        self.start(boot_id)

    def start(self, boot_id: str = "b1") -> None:
        self.registry = CollectorRegistry()
        settings = Agent(node="n1", kmsg=Kmsg(path=f"/proc/self/fd/{self.fds[0]}"))
        self.collector = KmsgCollector(
            settings, dict(self.stored), CollectMetrics(self.registry), boot_id, lambda: self.times
        )

    def write(self, *records: bytes) -> None:
        for record in records:
            os.write(self.fds[1], record + b"\n")

    def take(self) -> list[tuple[int, bytes]]:
        batch = self.collector.poll()
        if batch is None:
            return []
        self.lines = KernelAssembler().assemble(batch)
        return list(zip(self.lines.position.tolist(), self.lines.body.to_pylist(), strict=True))

    def commit(self) -> list[Loss]:
        self.stored |= {k: v for k, v in self.collector.changes().items() if v is not None}
        return self.collector.losses()

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"kelp_agent_{name}", {"source": "kmsg", **labels})

    def close(self) -> None:
        self.collector.close()
        for fd in self.fds:
            os.close(fd)


@pytest.fixture
def device():
    device = Device()
    yield device
    device.close()


def test_each_record_once_over_a_restart(device):
    records = [b"6,%d,%d,-;r%d" % (n, n * 1000, n) for n in range(5, 9)]
    device.write(*records[:2])
    assert device.take() == [(5, b"r5"), (6, b"r6")]
    assert device.commit() == []  # what the kernel wrote before the first start is no loss
    device.collector.close()
    device.start()
    device.write(*records)  # the device gives all that it has to each who opens it
    assert device.take() == [(7, b"r7"), (8, b"r8")]
    assert device.take() == []
    assert device.commit() == []


def test_overwritten_records_are_a_loss(device):
    device.write(b"6,5,5000000,-;a", b"6,9,9000000,-;b")
    assert device.take() == [(5, b"a"), (9, b"b")]
    (loss,) = device.commit()
    assert (loss.position, loss.size_bytes, loss.reason) == (6, 0, "rotated_away")
    assert (loss.start_ns, loss.end_ns) == (905 * S, 909 * S)
    assert device.value("source_lost_records_total") == 3
    assert loss.labels == {"dataset": "kernel", "node": "n1", "boot_id": "b1"}


def test_after_a_reboot_numbers_begin_anew(device):
    device.write(b"6,50,5,-;a")
    device.take()
    device.commit()
    device.collector.close()
    device.start("b2")
    device.write(b"6,0,0,-;Linux version")
    assert device.take() == [(0, b"Linux version")]
    assert device.lines.instances[0].labels["boot_id"] == "b2"
    assert device.commit() == []


def test_a_line_in_fragments_is_one_record(device):
    device.write(b"6,1,1,c;ACPI: ", b"6,2,2,+;(supports", b"6,3,3,+; S0)", b"6,4,4,-;next")
    assert device.take() == [(1, b"ACPI: (supports S0)"), (4, b"next")]


def test_a_fragment_is_held_only_while_more_comes_and_lost_with_no_kill(device):
    device.write(b"6,1,1,c;a", b"4,2,2,+;other level", b"6,3,3,c;b")
    assert device.take() == [(1, b"a"), (2, b"other level"), (3, b"b")]
    device.commit()
    device.collector.close()
    device.start()
    device.write(b"6,3,3,c;b", b"6,4,4,-;c")
    assert device.take() == [(4, b"c")]


def test_severity_facility_and_dictionary(device):
    device.write(b"3,1,1,-;info: no", b"30,2,1,-;x\n SUBSYSTEM=net", b"junk")
    device.take()
    assert device.lines.told.tolist() == [17, 9]
    assert device.lines.told_first
    assert device.lines.marks == {1: {"kernel.subsystem": "net", "syslog.facility": "daemon"}}
    assert device.value("source_failures_total", reason="malformed") == 1


def test_wall_time_counts_from_the_monotonic_clock(device):
    device.write(b"6,1,90000000,-;ten seconds ago", b"6,2,200000000,-;a clock that runs ahead")
    device.take()
    assert device.lines.timestamp.tolist() == [990 * S, 1000 * S]


def test_a_suspend_while_the_agent_runs(device):
    device.write(b"6,1,90000000,-;a")
    device.take()
    # 5 s awake, an hour asleep, 2 s awake
    device.times = Times(4607 * S, 107 * S, 3707 * S)
    device.write(
        b"6,2,104000000,-;PM: suspend entry (deep)", b"6,3,105000000,-;PM: suspend exit",
        b"6,4,106000000,-;b",
    )  # fmt: skip
    device.take()
    assert device.lines.timestamp.tolist() == [1004 * S, 4605 * S, 4606 * S]


def test_suspends_before_the_first_look():
    suspends = Suspends()
    times = Times(10_000 * S, 100 * S, 300 * S)  # 200 s asleep, in two turns
    suspends.look(times, [50_000_000, 80_000_000])
    walls = [suspends.wall_ns(at * 1_000_000, times) // S for at in (40, 60, 90)]
    assert walls == [10_000 - 60 - 200, 10_000 - 40 - 100, 10_000 - 10]


@pytest.mark.parametrize("path", ["/nowhere/kmsg", "/proc/self/mem"])
def test_where_it_cannot_be_read_the_source_is_off(tmp_path, path):
    registry = CollectorRegistry()
    settings = Agent(kmsg=Kmsg(path=path))
    collector = KmsgCollector(settings, {}, CollectMetrics(registry), "b")
    assert collector.poll() is None
    assert collector.poll() is None
    value = registry.get_sample_value
    assert value("kelp_agent_source_up", {"source": "kmsg"}) == 0
    reason = "absent" if path == "/nowhere/kmsg" else "denied"
    name = "kelp_agent_source_failures_total"
    assert value(name, {"source": "kmsg", "reason": reason}) == 1
    collector.close()


@pytest.mark.skipif(not os.access("/dev/kmsg", os.W_OK), reason="needs to write to /dev/kmsg")
def test_the_real_device():
    word = f"kelp test {secrets.token_hex(8)} ä"
    collector = KmsgCollector(
        Agent(node="n1"), {}, CollectMetrics(CollectorRegistry()), read_boot_id()
    )
    collector.poll()
    while collector.backlog_bytes():
        collector.poll()
    Path("/dev/kmsg").write_text(f"<3>{word}\n")
    batch = collector.poll()
    assert batch is not None
    row = next(r for r in batch.rows if r.record.text == word.encode())
    assert row.record.level == 3
    assert abs(system_times().wall_ns - row.wall_ns) < 60 * S
    collector.close()
