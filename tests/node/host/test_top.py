import subprocess
import sys

import pytest

from kelp.base.clock import SystemClock
from kelp.node.host.cpu import CpuTimes, parse_kernel_stat, split
from kelp.node.host.memory import parse_meminfo, summarise
from kelp.node.host.reading import Roots
from kelp.node.host.selection import Selection
from kelp.node.host.show import top as show_top
from kelp.node.host.top import TopSampler

from ...waiting import wait_until
from .tree import CONTAINER_V2, STAT, stat_line


def later(tree, clock, stat):
    clock.sleep(2.0)
    tree.write("proc/stat", stat)


def test_the_first_look_has_no_rates_and_the_second_has(tree, clock):
    tree.process(7, ticks=500)
    sampler = TopSampler(tree.roots, clock)
    first = sampler.sample()
    assert (first.interval_s, first.processes[0].cpu_percent) == (None, None)
    later(tree, clock, "cpu  450 10 230 1500 5 1 4 0 0 0\n")
    tree.process(7, ticks=630)
    second = sampler.sample()
    assert (second.interval_s, second.processes[0].cpu_percent) == (2.0, 65.0)
    cpu = second.cpu
    assert (cpu.us, cpu.sy, cpu.ni, cpu.id) == (25.0, 15.0, 5.0, 50.0)
    assert (cpu.wa, cpu.hi, cpu.si, cpu.st) == (2.5, 0.5, 2.0, 0.0)


def test_a_pid_that_was_given_again_starts_from_nothing(tree, clock):
    tree.process(7, ticks=500, start=100)
    sampler = TopSampler(tree.roots, clock)
    sampler.sample()
    clock.sleep(2.0)
    tree.process(7, "new", ticks=100, start=2000)
    assert sampler.sample().processes[0].cpu_percent == 50.0


def test_the_header_counts_all_and_the_list_what_is_chosen(tree, clock):
    tree.pod()
    for pid, state in ((2, "R"), (3, "D"), (4, "T"), (5, "Z"), (6, "I")):
        tree.process(pid, state=state)
    tree.process(7, cgroup=f"0::{CONTAINER_V2}\n")
    report = TopSampler(tree.roots, clock, Selection(namespace="shop")).sample()
    tasks = report.tasks
    assert (tasks.total, tasks.running, tasks.sleeping, tasks.stopped, tasks.zombie) == (
        6,
        1,
        3,
        1,
        1,
    )
    assert [p.pid for p in report.processes] == [7]


@pytest.mark.parametrize(
    ("sort", "order"), [("cpu", [3, 2, 4]), ("memory", [4, 2, 3]), ("pid", [2, 3, 4])]
)
def test_sorted(tree, clock, sort, order):
    for pid in (2, 3, 4):
        tree.process(pid)
    tree.write("proc/4/stat", stat_line(4, "x", "S", 1, 0, 100).replace(" 10 ", " 99 "))
    sampler = TopSampler(tree.roots, clock, sort=sort)
    sampler.sample()
    clock.sleep(1.0)
    tree.write("proc/3/stat", stat_line(3, "x", "S", 1, 50, 100))
    assert [p.pid for p in sampler.sample().processes] == order


def test_the_screen(tree, clock):
    tree.pod()
    tree.container("nginx")
    tree.process(7, cgroup=f"0::{CONTAINER_V2}\n", command="nginx \x1b[2J")
    tree.process(8, "dead", state="Z")
    sampler = TopSampler(tree.roots, clock, sort="pid")
    sampler.sample()
    clock.sleep(1.0)
    lines = list(show_top.lines(sampler.sample()))
    assert lines[:6] == [
        "2026-11-18T11:07:01.000Z  up 0:20.00, 1 CPUs, load average: 0.50, 0.40, 0.30",
        "Tasks: 2 total, 0 running, 1 sleeping, 0 stopped, 1 zombie",
        "%Cpu: 0.0 us, 0.0 sy, 0.0 ni, 100.0 id, 0.0 wa, 0.0 hi, 0.0 si, 0.0 st",
        "Mem: 1.0M total, 300K free, 400K used, 400K buff/cache, 600K available",
        "Swap: 80K total, 60K free, 20K used",
        "",
    ]
    assert lines[7].split() == [
        "7", "root", "S", "0.0", "4.0", "40K", "2", "0:00.00", "shop/web-0", "nginx", "nginx",
        "\\x1b[2J",
    ]  # fmt: skip
    assert lines[8].endswith("[dead] <defunct>")


def test_idle_that_goes_back_and_no_time_at_all():
    before = CpuTimes(idle=10.0, user=1.0)
    assert split(CpuTimes(idle=9.0, user=2.0).since(before)).us == 100.0
    assert split(before.since(before)).id == 100.0


def test_an_old_kernels_stat_and_meminfo():
    old = parse_kernel_stat("cpu 100 0 0 300\nbroken\ncpu0 x\n\nbtime\n")
    assert (old.cpu.user, old.cpu.idle, old.cpu.steal, old.boot_time_s) == (1.0, 3.0, 0.0, None)
    memory = summarise(parse_meminfo("MemTotal: 100 kB\nMemFree: 20 kB\nCached: 30 kB\nx\ny: z\n"))
    assert (memory.used_bytes, memory.available_bytes) == (50 * 1024, None)


def test_guests_are_within_user():
    found = parse_kernel_stat(STAT).cpu
    assert found.total == 20.0
    assert CpuTimes(user=5.0, guest=3.0, idle=5.0).total == 10.0


def test_a_busy_process_of_this_machine_is_seen_to_be_busy():
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        sampler = TopSampler(Roots(), SystemClock())
        sampler.sample()

        def percent():
            report = sampler.sample()
            return next(p.cpu_percent for p in report.processes if p.pid == busy.pid) or 0.0

        wait_until(lambda: percent() > 5.0)
    finally:
        busy.kill()
        busy.wait()
