"""What a bundle has of a node: made nodes, and this machine."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import msgspec
import pytest

from kelp.base.clock import SystemClock
from kelp.base.errors import KelpError
from kelp.base.redact import Redactor
from kelp.base.settings import Agent, Journal, Kmsg
from kelp.node.bundle.collected import node_entries
from kelp.node.bundle.commands import journal_entries, run, version_entries
from kelp.node.bundle.disks import disk_entries
from kelp.node.bundle.entry import AbsentError
from kelp.node.bundle.folders import listing
from kelp.node.bundle.kernel import kernel_entries
from kelp.node.bundle.problems import problem_entries, summarise
from kelp.node.bundle.reports import QUESTIONS
from kelp.node.host.question import KINDS
from kelp.node.host.reading import Roots
from tests.node.host.tree import FakeClock, Tree

# A kill, as /dev/kmsg gives its records, one a line: a file stands for the device.
KILL = (
    "3,900,12000000,-;Memory cgroup out of memory: Killed process 4242 (java) total-vm:900000kB, "
    "anon-rss:800000kB, file-rss:0kB, shmem-rss:0kB, UID:0 pgtables:100kB oom_score_adj:900\n"
)


def test_each_report_of_the_node_is_there():
    assert set(KINDS) == {q.report for q in QUESTIONS}


def test_names_are_told_apart(tmp_path):
    tree = Tree(tmp_path)
    entries = list(node_entries(Agent(), tree.roots, FakeClock(), Redactor()))
    names = [e.name for e in entries]
    assert sorted(set(names)) == sorted(names)
    assert {"versions.json", "node/ps.txt", "kernel/oom.jsonl", "journal/kubelet.txt"} < set(names)
    assert {"problems.jsonl", "problems.txt"} < set(names)


def test_a_made_node_is_told_whole_and_secretless(tmp_path):
    tree = Tree(tmp_path)
    tree.process(1, "init", ppid=0)
    tree.process(7, "web", command="web --password hunter2 --url http://bob:hunter2@host/")
    agent = Agent(
        kmsg=Kmsg(path=os.devnull),
        pods_dir=str(tree.roots.pods),
        journal=Journal(command="no-such-journalctl"),
    )
    made = {}
    for entry in node_entries(agent, tree.roots, FakeClock(), Redactor()):
        try:
            made[entry.name] = entry.make()
        except AbsentError:
            continue
    assert {f"node/{name}.{end}" for name in KINDS for end in ("json", "txt")} < set(made)
    assert b"web --password" in made["node/ps.txt"]
    assert not [name for name, data in made.items() if b"hunter2" in data]
    assert json.loads(made["node/ps.json"])["processes"][1]["name"] == "web"


def test_the_kernels_log_and_its_kills(tmp_path):
    kmsg = tmp_path / "kmsg"
    kmsg.write_text(KILL)
    made = {e.name: e.make() for e in kernel_entries(kmsg, SystemClock())}
    assert made["kernel/kmsg.txt"].startswith(b"[   12.000000] err     Memory cgroup out of memory")
    assert json.loads(made["kernel/oom.jsonl"])["pid"] == 4242
    assert b"java" in made["kernel/oom.txt"]


def test_a_kernels_log_that_may_not_be_read_is_a_reason(tmp_path):
    for entry in kernel_entries(tmp_path / "none", SystemClock()):
        with pytest.raises(KelpError, match="cannot read the kernel's log"):
            entry.make()


def test_what_is_broken_is_summed_up(tmp_path):
    kmsg = tmp_path / "kmsg"
    kmsg.write_text(KILL)
    journalctl = tmp_path / "journalctl"
    journalctl.write_text(
        '#!/bin/sh\ncase "$1" in *kubelet*) echo "Nov 21 05:12:50.938123 n1 kubelet[9]: '
        'E1121 05:12:50.9 9 kuberuntime_manager.go:1] Failed to pull image \\"x:1\\": '
        'rpc error: not found";; esac\n'
    )
    journalctl.chmod(0o755)
    made = {e.name: e.make() for e in problem_entries(kmsg, Journal(command=str(journalctl)))}
    kernel, *rest = [json.loads(x) for x in made["problems.jsonl"].splitlines()]
    assert (kernel["source"], kernel["reason"], kernel["first"]) == (
        "kernel", "OOMKilling", "12.000000",
    )  # fmt: skip
    assert [r["source"] for r in rest] == ["kubelet"]
    assert rest[0]["first"] == "Nov 21 05:12:50.938123"
    assert b"OOMKilling" in made["problems.txt"]
    assert b"not looked at: containerd: the journal has nothing of" in made["problems.txt"]


def test_a_reason_stands_once_with_its_first_and_last_time():
    kill = KILL.partition(";")[2].encode()
    lines = [("1", kill), ("2", b"all is well"), ("3", kill)]
    (found,) = summarise("kernel", "kernel", lines)
    assert (found.count, found.first, found.last) == (2, "1", "3")


def test_nothing_broken_is_told_too():
    entries = problem_entries(Path(os.devnull), Journal(command="no-such-journalctl"))
    made = {e.name: e.make() for e in entries}
    assert made["problems.jsonl"] == b""
    assert made["problems.txt"].startswith(b"Nothing is known to be broken.\nnot looked at")


def test_no_kill_is_told_too():
    made = {e.name: e.make() for e in kernel_entries(Path(os.devnull), SystemClock())}
    assert made["kernel/oom.txt"] == b"No kill by the kernel in its log.\n"


def test_folders_are_listed_without_contents(tmp_path):
    pods = tmp_path / "pods"
    (pods / "shop_web_uid" / "app").mkdir(parents=True)
    (pods / "shop_web_uid" / "app" / "0.log").write_text("the body of a log")
    (pods / "link").symlink_to("/var/lib/docker/containers/x")
    (pods / "bad\x1b[2J").mkdir()
    text = listing(pods).decode()
    assert "the body" not in text
    assert "          17  " in text
    assert "shop_web_uid/app/0.log" in text
    assert "link -> /var/lib/docker/containers/x" in text
    assert "\x1b" not in text


def test_a_long_listing_is_cut(tmp_path, monkeypatch):
    monkeypatch.setattr("kelp.node.bundle.folders.MAX_NAMES", 3)
    for i in range(9):
        (tmp_path / f"f{i}").touch()
    lines = listing(tmp_path).decode().splitlines()
    assert (len(lines), lines[-1]) == (4, "only 3 are listed")


def test_no_folder_is_no_failure(tmp_path):
    with pytest.raises(AbsentError, match="there is no folder"):
        listing(tmp_path / "none")


def test_commands_are_bounded_in_time_and_size(monkeypatch):
    with pytest.raises(AbsentError, match="there is no command no-such-command"):
        run(["no-such-command"])
    with pytest.raises(KelpError, match=r"did not end within 0\.1 s"):
        run([sys.executable, "-c", "import time; time.sleep(60)"], 0.1)
    with pytest.raises(KelpError, match="ended with status 3: why"):
        run([sys.executable, "-c", "import sys; sys.stderr.write('why'); sys.exit(3)"])
    monkeypatch.setattr("kelp.node.bundle.commands.MAX_FILE_BYTES", 100)
    assert run([sys.executable, "-c", "print('x' * 1000)"]) == b"x" * 100 + b"\n"


def test_the_last_lines_of_units(tmp_path):
    journalctl = tmp_path / "journalctl"
    journalctl.write_text('#!/bin/sh\ncase "$1" in *kubelet*) echo "$@";; esac\n')
    journalctl.chmod(0o755)
    settings = Journal(command=str(journalctl), directory="/j")
    made = {}
    for entry in journal_entries(settings):
        try:
            made[entry.name] = entry.make().decode()
        except AbsentError as e:
            assert "the journal has nothing of" in str(e)
    assert ["journal/kubelet.txt"] == list(made)
    assert "--unit=kubelet.service --lines=5000" in made["journal/kubelet.txt"]
    assert "--directory=/j" in made["journal/kubelet.txt"]


def test_versions_and_disks_of_this_machine():
    (versions,) = version_entries(Roots())
    found = msgspec.json.decode(versions.make())
    assert found["kernel"].startswith("Linux version")
    assert found["kelp"]
    as_json, as_text = disk_entries(Roots())
    disks = msgspec.json.decode(as_json.make())
    assert all(d["size_bytes"] >= d["available_bytes"] for d in disks)
    assert as_text.make().startswith(b"MOUNTED ON")
