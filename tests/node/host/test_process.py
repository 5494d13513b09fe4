import os
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import gettempdir

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kelp.base.clock import SystemClock
from kelp.node.host import process as process_module
from kelp.node.host.process import parse_stat, parse_status
from kelp.node.host.processes import list_processes
from kelp.node.host.ps import PsSampler, as_tree
from kelp.node.host.reading import Folder, Notes, Roots
from kelp.node.host.selection import Selection

from ...waiting import wait_until
from .tree import CONTAINER_V1, CONTAINER_V2, ID, POD_V2, UID, stat_line


@pytest.mark.parametrize("name", ["a b", ")", "x) R 1", "(((", "", "a\nb", "ü"])
def test_any_name_is_read(name):
    found = parse_stat(stat_line(42, name, "S", 7, 150, 900).encode())
    assert (found.pid, found.name, found.state, found.ppid) == (42, name, "S", 7)
    assert (found.cpu_ticks, found.start_ticks, found.threads) == (150, 900, 2)
    assert (found.virtual_bytes, found.rss_pages) == (3145728, 10)


def test_a_name_that_is_no_text_is_shown():
    assert (
        parse_stat(stat_line(1, "?", "S", 0, 0, 0).encode().replace(b"?", b"\xff")).name == "\\xff"
    )


@pytest.mark.parametrize(
    "data", [b"", b"1 (x", b"1 (x) S 1", b"x (y) S " + b"1 " * 40, b"1 (x) S " + b"a " * 40]
)
def test_a_line_of_another_form_is_none(data):
    assert parse_stat(data) is None


@given(st.binary(max_size=400))
def test_no_input_is_an_exception(data):
    parse_stat(data)
    parse_status(data)


def test_cpu_time_is_the_users_and_the_systems():
    line = stat_line(1, "x", "S", 0, 150, 900).replace(" 150 0 0 0 20 ", " 150 70 9 9 20 ")
    assert parse_stat(line.encode()).cpu_ticks == 220


def of(tree, pid):
    return next(p for p in list_processes(tree.roots, Notes()) if p.pid == pid)


def test_everything_of_a_process_in_a_pod(tree):
    tree.pod()
    tree.container("nginx")
    tree.process(7, "nginx", cgroup=f"0::{CONTAINER_V2}\n", command="nginx -g x", ticks=250)
    p = of(tree, 7)
    assert (p.namespace, p.pod, p.pod_uid) == ("shop", "web-0", UID)
    assert (p.container, p.container_id, p.runtime) == ("nginx", ID, "containerd")
    assert (p.qos_class, p.user, p.command) == ("Burstable", "root", "nginx -g x")
    assert (p.cpu_s, p.shared_bytes, p.started) == (2.5, 12288, "2026-11-18T11:06:41.000Z")


def test_a_pod_without_a_folder_goes_by_its_uid_and_that_is_told(tree):
    tree.process(7, cgroup=f"4:memory:{CONTAINER_V1}\n0::/\n")
    tree.process(8, cgroup=f"4:memory:{CONTAINER_V1}\n0::/\n")
    notes = Notes()
    found = list_processes(tree.roots, notes)
    assert [(p.pod, p.pod_uid, p.container) for p in found] == [(None, UID, None)] * 2
    assert notes.texts() == ["1 pods go by their uid: no folder of --pods-dir names them"]


def test_a_zombie_is_its_parents(tree):
    tree.pod()
    tree.process(7, "parent", cgroup=f"0::{CONTAINER_V2}\n")
    tree.process(8, "dead", ppid=7, state="Z", cgroup="4:memory:/\n")
    tree.process(9, "dead", ppid=7, state="Z", cgroup=f"0::{POD_V2}/x (deleted)\n")
    dead, with_path = of(tree, 8), of(tree, 9)
    assert (dead.zombie, dead.pod, dead.command) == (True, "web-0", "[dead]")
    assert (with_path.pod, with_path.cgroup) == ("web-0", f"{POD_V2}/x")


def test_a_process_that_ends_while_it_is_read_is_left_out(tree, monkeypatch):
    tree.process(7)
    tree.process(8)
    real = process_module.parse_status

    def end_it(data):
        shutil.rmtree(tree.proc / "7", ignore_errors=True)
        return real(data)

    monkeypatch.setattr(process_module, "parse_status", end_it)
    notes = Notes()
    assert [p.pid for p in list_processes(tree.roots, notes)] == [8]
    assert notes.texts() == []


def test_a_pid_that_is_given_again_is_not_taken_for_the_one_that_was_opened(tree):
    folder = tree.process(7, "old")
    with Folder(folder) as opened:
        shutil.rmtree(folder)
        tree.process(7, "new")
        with pytest.raises(FileNotFoundError):
            opened.read("stat")


def test_a_kernel_without_cgroups(tree):
    tree.process(7)
    (tree.proc / "7" / "cgroup").unlink()
    assert (of(tree, 7).cgroup, of(tree, 7).known) == (None, False)


def test_a_damaged_status_is_read_as_far_as_it_goes(tree):
    tree.process(7)
    tree.write("proc/7/status", "Name\nUid:\tx\nRssFile:\t\n\x00")
    assert (of(tree, 7).uid, of(tree, 7).shared_bytes) == (None, None)


def test_hidden_processes_are_counted(tree, as_nobody):
    for path in [tree.proc, *tree.proc.parents]:
        if path.parent.is_relative_to(gettempdir()):
            path.chmod(0o755)
    tree.process(7)
    tree.process(8).chmod(0o700)
    (tree.process(9) / "stat").chmod(0o400)

    def look():
        notes = Notes()
        return [[p.pid for p in list_processes(tree.roots, notes)], notes.texts()]

    seen, notes = as_nobody(look)
    assert seen == [7]
    assert notes == ["2 processes are hidden from this user; run as root"]


def real_stat(pid):
    return parse_stat(Path(f"/proc/{pid}/stat").read_bytes())


def test_a_real_zombie_is_marked_with_its_parent():
    child = subprocess.Popen([sys.executable, "-c", ""])
    try:
        wait_until(lambda: real_stat(child.pid).state == "Z")
        report = PsSampler(Roots(), SystemClock(), zombies=True).sample()
        (found,) = [p for p in report.processes if p.pid == child.pid]
        assert (found.zombie, found.state, found.ppid) == (True, "Z", os.getpid())
        assert found.parent == real_stat(os.getpid()).name
    finally:
        child.wait()


def test_a_tree_has_children_behind_their_parents(tree, clock):
    for pid, ppid in ((1, 0), (2, 0), (5, 1), (6, 5), (9, 1), (4, 9)):
        tree.process(pid, ppid=ppid)
    report = PsSampler(tree.roots, clock, tree=True).sample()
    assert [(p.pid, p.depth) for p in report.processes] == [
        (1, 0),
        (5, 1),
        (6, 2),
        (9, 1),
        (4, 2),
        (2, 0),
    ]


def test_a_circle_of_parents_loses_nobody(tree, clock):
    for pid, ppid in ((5, 6), (6, 5), (7, 7), (8, 1)):
        tree.process(pid, ppid=ppid)
    report = PsSampler(tree.roots, clock, tree=True).sample()
    assert sorted(p.pid for p in report.processes) == [5, 6, 7, 8]


def test_a_chain_longer_than_the_stack_of_calls(tree, clock):
    tree.process(1, ppid=0)
    (first,) = PsSampler(tree.roots, clock).sample().processes
    chain = [type(first)(pid=n, ppid=n - 1, name="", state="S") for n in range(1, 5001)]
    assert as_tree(chain)[-1].depth == 4999


def test_processes_are_chosen_by_pod(tree, clock):
    tree.pod()
    tree.process(7, cgroup=f"0::{CONTAINER_V2}\n")
    tree.process(8)

    def pids(**asked):
        return [p.pid for p in PsSampler(tree.roots, clock, Selection(**asked)).sample().processes]

    assert pids() == [7, 8]
    assert pids(namespace="shop") == pids(pod="web-0") == pids(pod=UID) == pids(pod="web*") == [7]
    assert pids(namespace="other") == pids(pod="web") == pids(namespace="shop", pod="x*") == []
