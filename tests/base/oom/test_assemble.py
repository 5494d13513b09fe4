"""Which lines make which kills: generations of kernels, missing lines, several reports at once."""

import random

import pytest

from kelp.base.oom.kill import Reaped, Usage

from .found import kills, only
from .reports import (
    CGROUPFS,
    CGROUPFS_POD,
    CONTAINER,
    POD,
    SYSTEMD,
    SYSTEMD_POD,
    global_6,
    group_6,
    memcg_3_10,
    memcg_4_19,
    memcg_6,
)

K = 1024


def test_a_memcg_kill_of_3_10():
    kill = only(memcg_3_10())
    assert (kill.constraint, kill.global_, kill.score) == ("CONSTRAINT_MEMCG", False, 1990)
    assert (kill.task_cgroup, kill.oom_cgroup) == (CGROUPFS, CGROUPFS_POD)
    assert (kill.limit_scope, kill.qos_class, kill.runtime) == ("pod", "Burstable", None)
    assert (kill.uid, kill.oom_score_adj, kill.kernel) == (1000, 993, "3.10.0-1160.el7.x86_64")
    assert (kill.total_vm_bytes, kill.file_rss_bytes) == (100000 * K, 12 * K)
    assert (kill.shmem_rss_bytes, kill.pgtables_bytes) == (None, None)
    assert kill.memory == Usage(65536 * K, 65536 * K, 17)
    assert (kill.memory_swap, kill.swap) == (Usage(65536 * K, None, 0), None)
    assert kill.cgroup_stats == {
        CGROUPFS_POD: {"cache": 0, "rss": 0},
        CGROUPFS: {"cache": 4 * K, "rss": 65000 * K},
    }
    assert (kill.task_table[0].nr_ptes, kill.task_table[0].oom_score_adj) == (48, 993)
    trigger = kill.trigger
    assert trigger is not None
    assert (trigger.process, trigger.pid, trigger.gfp_mask) == ("ab (cd) e", 4242, "0xd0")
    assert (trigger.order, trigger.oom_score_adj, trigger.cpuset) == (0, 993, CONTAINER)


def test_a_memcg_kill_of_4_19():
    kill = only(memcg_4_19())
    assert (kill.task_cgroup, kill.oom_cgroup, kill.runtime) == (SYSTEMD, SYSTEMD_POD, "containerd")
    assert (kill.pod_uid, kill.container_id) == (POD, CONTAINER)
    assert kill.reaped == Reaped(True, 0, 0, 0)
    assert kill.task_table[0].pgtables_bytes == 196608 == kill.pgtables_bytes


def test_a_memcg_kill_of_6():
    kill = only(memcg_6())
    assert (kill.constraint, kill.oom_score_adj, kill.pgtables_bytes) == (
        "CONSTRAINT_MEMCG",
        993,
        192 * K,
    )
    assert (kill.nodemask, kill.mems_allowed) == (None, "0-1")
    assert kill.swap == Usage(0, 0, 0)
    assert kill.cgroup_stats == {SYSTEMD_POD: {"anon": 65536000, "file": 0, "pgfault": 12345}}
    pause, victim = kill.task_table
    assert (pause.name, pause.oom_score_adj, pause.rss_file) == ("pause", -998, 1)
    assert (victim.pid, victim.rss_anon, victim.rss_file) == (4242, 16000, 3)


def test_a_global_kill():
    kill = only(global_6())
    assert (kill.constraint, kill.global_, kill.oom_cgroup) == ("CONSTRAINT_NONE", True, None)
    assert (kill.unit, kill.pod_uid, kill.memory) == ("db.service", None, None)
    assert kill.trigger is not None
    assert (kill.trigger.process, kill.trigger.order) == ("kworker", 2)


def test_a_global_kill_of_a_containers_process():
    kill = only(global_6(task=CGROUPFS))
    assert (kill.global_, kill.pod_uid, kill.container_id, kill.unit) == (
        True,
        POD,
        CONTAINER,
        None,
    )


@pytest.mark.parametrize(
    "line",
    [
        # RHEL 7 and 6, and 2.6.18's
        "Killed process 12 (x y), UID 99, total-vm:4kB, anon-rss:8kB, file-rss:0kB, shmem-rss:0kB",
        "Killed process 12, UID 99, (x y) total-vm:4kB, anon-rss:8kB, file-rss:0kB",
        "Out of memory (oom_kill_allocating_task): Killed process 12 (x y) total-vm:4kB, "
        "anon-rss:8kB, file-rss:0kB, shmem-rss:0kB, UID:99 pgtables:4kB oom_score_adj:0",
    ],
)
def test_other_wordings(line):
    kill = only(["[    1.000000] " + line])
    assert (kill.pid, kill.process, kill.uid, kill.anon_rss_bytes) == (12, "x y", 99, 8 * K)


def test_a_child_is_sacrificed():
    lines = memcg_3_10()
    lines[-1] = "Killed process 4300 (child) total-vm:4kB, anon-rss:8kB, file-rss:0kB"
    kill = only(lines)
    assert (kill.pid, kill.process, kill.score) == (4300, "child", 1990)
    assert kill.pod_uid == POD


def test_processes_that_share_the_victims_memory():
    lines = [*memcg_3_10(), "Kill process 4300 (sharer) sharing same memory"]
    victim, sharer = kills(lines)
    assert (victim.pid, victim.shares_memory_with) == (4242, None)
    assert (sharer.pid, sharer.process, sharer.shares_memory_with) == (4300, "sharer", 4242)


def test_every_process_of_a_group():
    found = kills(group_6())
    assert [(k.pid, k.oom_group, k.report) for k in found] == [
        (4242, True, 1),
        (4243, True, 1),
        (4244, True, 1),
    ]
    assert {(k.pod_uid, k.container_id, k.group_cgroup) for k in found} == {
        (POD, CONTAINER, SYSTEMD)
    }
    assert [len(k.task_table) for k in found] == [2, 0, 0]


def test_members_of_a_group_that_were_exiting_were_not_killed():
    lines = [
        *group_6((4242, 4243)),
        "Memory cgroup out of memory: OOM victim 4250 (z) is already exiting. Skip killing the "
        "task",
    ]
    assert [k.pid for k in kills(lines)] == [4242, 4243]


def test_a_group_and_then_another_kill():
    lines = [*group_6((1, 2)), *memcg_6(50, "other")]
    assert [(k.pid, k.oom_group) for k in kills(lines)] == [(1, True), (2, True), (50, False)]


def test_a_victim_that_was_exiting_anyway():
    lines = [
        *memcg_6()[:-1],
        "Memory cgroup out of memory: OOM victim 4242 (ab (cd) e) is already exiting. Skip "
        "killing the task",
    ]
    kill = only(lines)
    assert (kill.outcome, kill.pid, kill.pod_uid) == ("exiting", 4242, POD)


def test_the_thread_that_holds_the_memory_is_named_in_the_last_line():
    lines = memcg_6()
    lines[-1] = lines[-1].replace("process 4242", "process 4245")
    kill = only(lines)
    assert (kill.pid, kill.container_id, kill.uid) == (4245, CONTAINER, 1000)


NO_VICTIM = "Out of memory and no killable processes..."


def test_no_victim():
    kill = only([*memcg_6()[:15], NO_VICTIM])
    assert (kill.outcome, kill.pid, kill.constraint) == ("no_victim", None, "CONSTRAINT_MEMCG")
    assert (kill.complete, kill.oom_cgroup, kill.pod_uid) == (True, SYSTEMD_POD, POD)
    assert kill.memory == Usage(65536 * K, 65536 * K, 17)


def test_no_victim_again_and_again_is_told_each_time():
    assert [k.outcome for k in kills([*memcg_6()[:15], NO_VICTIM] * 3)] == ["no_victim"] * 3


@pytest.mark.parametrize(
    "text",
    [
        "Out of memory and no killable processes...",
        "Out of memory: compulsory panic_on_oom is enabled",
        "Out of memory: system-wide panic_on_oom is enabled",
        "System is deadlocked on memory",
    ],
)
def test_a_panic_instead_of_a_kill(text):
    kill = only([*global_6()[:10], f"Kernel panic - not syncing: {text}"])
    assert (kill.outcome, kill.global_, kill.pid) == ("panic", True, None)


def test_no_victim_and_then_a_panic_is_one_event():
    lines = [
        *global_6()[:10],
        NO_VICTIM,
        "Kernel panic - not syncing: System is deadlocked on memory",
    ]
    assert only(lines).outcome == "panic"


def test_a_limit_that_was_reached_without_a_victim():
    lines = memcg_4_19()
    lines[5:6] = [f"Memory limit reached of cgroup {CGROUPFS_POD}"]
    kill = only(lines[:12])
    assert (kill.outcome, kill.oom_cgroup, kill.pid) == ("unknown", CGROUPFS_POD, None)


# Reports that are not whole


@pytest.mark.parametrize("first", range(1, len(memcg_6())))
def test_a_report_without_its_beginning(first):
    kill = only(memcg_6()[first:])
    assert (kill.pid, kill.outcome, kill.complete) == (4242, "killed", False)


@pytest.mark.parametrize("first", range(1, len(memcg_3_10())))
def test_an_old_report_without_its_beginning(first):
    kill = only(memcg_3_10()[first:])
    assert (kill.pid, kill.outcome, kill.complete) == (4242, "killed", False)


def test_a_report_without_its_end():
    whole = memcg_6()
    outcomes = [[k.outcome for k in kills(whole[:n])] for n in range(len(whole) + 1)]
    named = next(i for i, line in enumerate(whole) if "stats for" in line)
    summary = len(whole) - 2
    assert outcomes[: named + 1] == [[]] * (named + 1)
    assert outcomes[named + 1 : summary + 1] == [["unknown"]] * (summary - named)
    assert outcomes[summary + 1 :] == [["killed"]] * 2


def test_every_single_line_may_be_missing():
    for report in (memcg_3_10, memcg_4_19, memcg_6, global_6):
        for gap in range(len(report())):
            lines = report()
            del lines[gap]
            kill = only(lines)
            assert (kill.pid, kill.outcome) == (4242, "killed")


def test_a_report_that_is_cut_within_a_line_makes_nothing_up():
    for report in (memcg_3_10, memcg_4_19, memcg_6, global_6):
        whole = "\n".join(report())
        truth = only(report())
        for end in range(len(whole)):
            for kill in kills(whole[:end].split("\n")):
                if kill.pid is not None and kill.pid != truth.pid:
                    assert str(truth.pid).startswith(str(kill.pid))
                    continue
                for name in ("anon_rss_bytes", "total_vm_bytes", "shmem_rss_bytes"):
                    assert getattr(kill, name) in (None, getattr(truth, name))


def test_a_kill_of_which_only_the_last_line_was_printed():
    # The report itself is rate-limited, the last line is not.
    lines = [*memcg_6(1, "one"), *(memcg_6(n, "more")[-1] for n in (2, 3))]
    found = kills(lines)
    assert [(k.pid, k.pod_uid, len(k.task_table)) for k in found] == [
        (1, POD, 2),
        (2, None, 0),
        (3, None, 0),
    ]
    assert {k.constraint for k in found} == {"CONSTRAINT_MEMCG"}


def test_a_kill_long_after_a_report_that_has_no_end():
    lines = [f"[  100.000000] {x}" for x in memcg_6(1, "one")[:-1]]
    lines += [f"[ 9000.000000] {memcg_6(2, 'two')[-1]}"]
    assert [(k.pid, k.pod_uid) for k in kills(lines)] == [(1, POD), (2, None)]


def test_wall_times_tell_it_where_nothing_else_does():
    lines = [f"Nov  3 10:00:00 n kernel: {x}" for x in memcg_3_10(1)[:11]]
    lines += [f"Nov  3 13:00:00 n kernel: {x}" for x in memcg_3_10(2)[-2:]]
    assert [(k.pid, k.pod_uid) for k in kills(lines)] == [(None, POD), (2, None)]


def test_a_sentence_that_was_printed_in_pieces():
    lines = memcg_6()
    at = next(i for i, line in enumerate(lines) if line.startswith("oom-kill:"))
    a, b = lines[at].split(",task_memcg=")
    lines[at : at + 1] = [a, ",task_memcg=" + b]
    kill = only(lines[:-1])
    assert (kill.pid, kill.task_cgroup, kill.oom_cgroup) == (4242, SYSTEMD, SYSTEMD_POD)


def test_an_old_sentence_that_was_printed_in_pieces():
    lines = memcg_3_10()
    at = next(i for i, line in enumerate(lines) if line.startswith("Task in"))
    lines[at : at + 1] = ["Task in ", CGROUPFS, " killed as a result of limit of ", CGROUPFS_POD]
    kill = only(lines)
    assert (kill.task_cgroup, kill.oom_cgroup) == (CGROUPFS, CGROUPFS_POD)


def test_pieces_marked_by_the_kernel():
    text = memcg_3_10()
    at = next(i for i, line in enumerate(text) if line.startswith("Task in"))
    lines = [f"6,{i},1000,-;{line}" for i, line in enumerate(text)]
    lines[at : at + 1] = [
        "6,90,1000,c;Task in ",
        f"6,91,1000,+;{CGROUPFS}",
        "6,92,1000,+; killed as a result of limit of ",
        f"6,93,1000,+;{CGROUPFS_POD}",
    ]
    assert only(lines).oom_cgroup == CGROUPFS_POD


def test_a_sentence_that_never_goes_on_is_taken_as_it_is():
    lines = memcg_6()
    at = next(i for i, line in enumerate(lines) if line.startswith("oom-kill:"))
    lines[at] = lines[at][: lines[at].index(",task=")]
    kill = only(lines)
    assert (kill.pid, kill.task_cgroup) == (4242, SYSTEMD)


# Several at once


def test_reports_one_after_the_other():
    lines = [line for n in range(40) for line in memcg_6(100 + n, f"p{n}")]
    assert [(k.pid, k.process, k.report) for k in kills(lines)] == [
        (100 + n, f"p{n}", n + 1) for n in range(40)
    ]


def test_other_lines_in_between():
    noise = ["eth0: link up", "[UFW BLOCK] IN=eth0 OUT=", "foo 12", "", "audit: type=1400 x=y"]
    lines = [piece for line in memcg_6() for piece in (*noise, line)]
    kill = only(lines)
    assert (kill.pid, len(kill.task_table), kill.complete) == (4242, 2, True)


@pytest.mark.parametrize("seed", range(20))
def test_threads_that_print_at_once_are_told_apart_by_the_caller_id(seed):
    one = [f"[  100.00000{0}][ T{11}] {x}" for x in memcg_6(11, "one")]
    two = [f"[  100.00000{0}][ T{22}] {x}" for x in global_6(22, "two")]
    lines = shuffled(random.Random(seed), one, two)
    found = sorted(kills(lines), key=lambda k: k.pid)
    assert [(k.pid, k.process, k.global_, k.complete) for k in found] == [
        (11, "one", False, True),
        (22, "two", True, True),
    ]
    assert [len(k.task_table) for k in found] == [2, 1]


@pytest.mark.parametrize("seed", range(20))
def test_machines_in_one_file_are_told_apart_by_the_host(seed):
    one = [f"Nov  3 10:11:12 a kernel: {x}" for x in memcg_6(11, "same")]
    two = [f"Nov  3 10:11:12 b kernel: {x}" for x in memcg_6(11, "same")]
    found = kills(shuffled(random.Random(seed), one, two))
    assert sorted((k.node, k.pid, len(k.task_table), k.complete) for k in found) == [
        ("a", 11, 2, True),
        ("b", 11, 2, True),
    ]


@pytest.mark.parametrize("seed", range(50))
def test_two_old_reports_at_once_without_a_caller_id(seed):
    # Two memory cgroups ran out at once. Whose usage is whose cannot be known, the victims can.
    other = CGROUPFS.replace("c0ffee", "decade")
    lines = shuffled(
        random.Random(seed), memcg_3_10(11, name="one"), memcg_3_10(22, task=other, name="two")
    )
    found = sorted(kills(lines), key=lambda k: k.pid or 0)
    assert [(k.pid, k.process) for k in found] == [(11, "one"), (22, "two")]


def test_a_victim_that_no_report_names_is_not_given_to_one_that_names_another():
    other = CGROUPFS.replace("c0ffee", "decade")
    unnamed, named = memcg_3_10(22, task=other, name="two"), memcg_3_10(11, name="one")
    lines = [*unnamed[:9], *named[:-1], unnamed[-1], named[-1]]
    found = sorted(kills(lines), key=lambda k: k.pid)
    assert [(k.pid, k.task_cgroup) for k in found] == [(11, CGROUPFS), (22, other)]


def shuffled(chance, one, two):
    """Two sequences mixed, each in its order."""
    turns = [0] * len(one) + [1] * len(two)
    chance.shuffle(turns)
    sources = (iter(one), iter(two))
    return [next(sources[turn]) for turn in turns]


def test_the_reaper_comes_late_and_from_its_own_thread():
    reaper = "oom_reaper: reaped process 1 (one), now anon-rss:4kB, file-rss:8kB, shmem-rss:0kB"
    lines = [
        *(f"[  100.000000][  T11] {x}" for x in memcg_6(1, "one")),
        *(f"[  100.100000][  T22] {x}" for x in memcg_6(2, "two")),
        f"[  100.200000][  T30] {reaper}",
        "[  101.000000][  T30] oom_reaper: unable to reap pid:2 (two)",
        "[  101.000000][  T30] oom_reaper: unable to reap pid:3 (three)",
    ]
    one, two = kills(lines)
    assert (one.reaped, two.reaped) == (Reaped(True, 4 * K, 8 * K, 0), Reaped(False))


def test_5_4_called_bytes_kilobytes():
    lines = memcg_6()
    lines[-1] = lines[-1].replace("pgtables:192kB", "pgtables:196608kB")
    assert only(lines).pgtables_bytes == 196608


def test_a_kill_by_hand():
    lines = global_6()
    lines[0] = "kworker invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=-1, oom_score_adj=0"
    trigger = only(lines).trigger
    assert trigger is not None
    assert trigger.order == -1


@pytest.mark.parametrize(
    "line",
    [
        "OOM killer disabled.",
        "Out of memory: Killed process <pid> (python3) total-vm:1kB",
        "oom-kill:constraint=CONSTRAINT_MEMCG,oom_memcg=/a,...",
        "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null)",
        "Killed process 12 (worker)",
        "Killed process 12 (worker) after 30 s",
        "Task in progress killed as a result of limit of 10",
        "Tasks in /queue are going to be killed due to memory.oom.group set",
        "python invoked oom-killer: in a test",
        "x invoked oom-killer",
        "oom_reaper: reaped process 12 (x), now anon-rss:0kB, file-rss:0kB, shmem-rss:0kB",
        "memory: usage 1kB, limit 1kB, failcnt 1",
        "[    12]     0    12     4     4     4     0     0 init",
        "systemd-oomd[1]: Killed /system.slice/a.service due to memory pressure",
    ],
)
def test_no_kill(line):
    assert kills([line]) == []


@pytest.mark.parametrize("report", [memcg_4_19, memcg_6, global_6])
def test_a_log_with_its_newest_line_first(report):
    lines = [
        f"[ {1000 * n + 0.001 * i:11.6f}] {line}"
        for n, pid in ((1, 11), (2, 22))
        for i, line in enumerate(report(pid, "x"))
    ]
    newest, oldest = kills(reversed(lines))
    forward = kills(lines)
    assert [(k.pid, k.outcome, k.pod_uid) for k in (oldest, newest)] == [
        (k.pid, k.outcome, k.pod_uid) for k in forward
    ]
    assert [len(k.task_table) for k in (oldest, newest)] == [len(k.task_table) for k in forward]
    assert [k.memory for k in (oldest, newest)] == [k.memory for k in forward]
