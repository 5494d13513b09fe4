import random
import time

import pytest

from kelp.base.oom import scan
from kelp.base.oom.scan import _KeyWords
from kelp.node.oom.source import blocks

from .found import calendar, kills
from .reports import global_6, group_6, memcg_3_10, memcg_4_19, memcg_6
from .test_prefixes import STYLES

NOISE = b"[  100.000000] eth0: link is up at 1000 Mbps\n" * 20


def scanned(data, cut=997):
    """The kills in a log that comes in blocks of about `cut` bytes."""
    pieces = iter([data[i : i + cut] for i in range(0, len(data), cut)] + [b""])

    class Log:
        def read(self, _size):
            return next(pieces)

    return list(scan(blocks(Log(), "log"), calendar()))


@pytest.mark.parametrize("cut", [61, 997, 20_000, 1 << 20])
@pytest.mark.parametrize("report", [memcg_3_10, memcg_4_19, memcg_6, global_6, group_6])
def test_block_borders_change_nothing(report, cut):
    text = b"".join(f"[  101.000000] {line}\n".encode() for line in report())
    data = NOISE * 30 + text + NOISE * 30 + text.replace(b"4242", b"5252") + NOISE * 30
    assert scanned(data, cut) == kills(data.splitlines())


@pytest.mark.parametrize("style", STYLES)
def test_blocks_that_are_passed_over_change_nothing(style):
    put, _ = STYLES[style]
    noise = [f"usb 1-{n}: new device" for n in range(3000)]
    lines = put([*noise, *memcg_6(), *noise, *memcg_3_10(11), *noise])
    data = b"".join((x if isinstance(x, bytes) else x.encode()) + b"\n" for x in lines)
    found = scanned(data, 65_536)
    assert [k.pid for k in found] == [4242, 11]
    assert [k.complete for k in found] == [True, True]


def test_the_table_of_a_report_without_its_beginning_is_in_the_block_before():
    lines = memcg_6()
    at = next(i for i, line in enumerate(lines) if "pgtables_bytes" in line)
    rows = [
        f"[{n:7}]     0 {n:5}        1        1        1        0         0    28672        0"
        f"             0 p{n}"
        for n in range(5000, 5200)
    ]
    data = NOISE + "".join(f"{x}\n" for x in [*lines[at:-2], *rows, *lines[-2:]]).encode()
    (kill,) = scanned(data, 20_000)
    assert len(kill.task_table) == 202


@pytest.mark.parametrize("report", [memcg_3_10, memcg_4_19, memcg_6, global_6, group_6])
def test_each_report_has_a_key_word(report):
    assert _KeyWords("\n".join(report()).encode()).first_from(0) is not None


def test_key_words_are_found_in_order():
    words = _KeyWords(b"oom-kill ... ill process ... oom-kill")
    assert [words.first_from(at) for at in (0, 1, 13, 14, 29, 30)] == [0, 13, 13, 29, 29, None]


def test_a_log_about_something_else_is_passed_over_fast():
    data = (
        b"2026-11-03T10:11:12+00:00 node-7 app[1]: GET /things/12345 200 out of memory\n" * 13_000
    )
    before = time.process_time()
    for _ in range(20):
        assert scanned(data, 1 << 20) == []
    mib = 20 * len(data) / (1 << 20)
    # Some 500 MiB/s here; 20 is what looking at each line would at best do.
    assert mib / (time.process_time() - before) > 60


@pytest.mark.parametrize(
    "line",
    [
        b"Killed process 1 (" + b"(" * 60_000,
        b"[" * 60_000 + b" oom-kill",
        b"oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=" + b",task=" * 10_000,
        b"Task in /" + b" killed as a result of limit of /" * 2_000,
        b"Memory cgroup stats for /" + b": a:1KB" * 8_000 + b" ill process ",
        b"1 " * 30_000 + b"ill process ",
        b"[ 1] " + b"1 " * 30_000 + b"ill process ",
        b"<6>" * 20_000 + b"ill process ",
        b"{" * 60_000 + b"ill process ",
        b'{"a":' * 10_000 + b"ill process ",
        b"a:" * 30_000 + b"ill process ",
        b"Nov  3 10:11:12 " * 4_000 + b"ill process ",
        b"x cpuset=" * 7_000 + b"ill process ",
        b"__CURSOR=ill process ",
    ],
)
def test_no_line_is_slow(line):
    data = (line + b"\n") * 20
    before = time.process_time()
    scanned(data, 1 << 20)
    assert time.process_time() - before < 2.0


def test_twice_the_log_takes_twice_the_time():
    # The worst there is: report upon report, none of them with an end.
    report = [line for line in memcg_6() if not line.startswith(("oom-kill", "Memory cgroup out"))]
    chance = random.Random(1)

    def seconds(count):
        lines = [x for _ in range(count) for x in chance.sample(report, len(report))]
        data = "\n".join(lines).encode()
        before = time.process_time()
        scanned(data, 1 << 20)
        return time.process_time() - before

    seconds(50)
    few, many = min(seconds(200) for _ in range(3)), min(seconds(800) for _ in range(3))
    assert many < 8 * few


def test_memory_does_not_grow_with_the_log():
    report = "".join(f"{x}\n" for x in memcg_6()).encode()
    log = (report for _ in range(2000))
    count = 0
    for kill in scan(log, calendar()):
        count += 1
        assert kill.report == count
    assert count == 2000
