"""A real kill by this machine's kernel, in a small cgroup that is named as a kubelet names it."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from kelp.agent.collect.metrics import CollectMetrics
from kelp.agent.sources import node_sources
from kelp.base.settings import Agent, Journal, Kmsg
from kelp.node.oom.kmsg import KMSG, records

from ...agent.collect.harness import TurnableClock
from ...waiting import wait_until

ROOT = Path("/sys/fs/cgroup")
LIMIT = 16 << 20
# Joins the cgroup, makes itself the first to go, and fills its memory.
HOG = """
import os, sys
open(sys.argv[1] + "/cgroup.procs", "w").write(str(os.getpid()))
open("/proc/self/oom_score_adj", "w").write("999")
open("/proc/self/comm", "w").write("kelp hog)")
held = []
while True:
    held.append(bytearray(os.urandom(1 << 20)))
"""


def make(path, made):
    """Make a cgroup and its missing parents, noting which."""
    for folder in [*reversed(path.parents), path]:
        if not folder.exists():
            folder.mkdir()
            made.append(folder)


def limit_v1(pod):
    (pod / "memory.limit_in_bytes").write_text(str(LIMIT))
    with contextlib.suppress(OSError):  # a kernel without swap accounting has no such file
        (pod / "memory.memsw.limit_in_bytes").write_text(str(LIMIT))


def limit_v2(pod):
    for folder in reversed([p for p in pod.parents if ROOT in (p, *p.parents)]):
        (folder / "cgroup.subtree_control").write_text("+memory")
    (pod / "memory.max").write_text(str(LIMIT))
    with contextlib.suppress(OSError):
        (pod / "memory.swap.max").write_text("0")


@pytest.fixture
def pod():
    """A pod's cgroup with a limit and a container's in it: (pod uid, container id, folder)."""
    uid, container = str(uuid.uuid4()), uuid.uuid4().hex * 2
    v1 = (ROOT / "memory" / "memory.limit_in_bytes").exists()
    root = ROOT / "memory" if v1 else ROOT
    folder = root / "kubepods" / "burstable" / f"pod{uid}"
    made = []
    try:
        if not os.access(KMSG, os.R_OK):
            pytest.skip(f"{KMSG} cannot be read here")
        try:
            make(folder, made)
            (limit_v1 if v1 else limit_v2)(folder)
            make(folder / container, made)
        except OSError as e:
            pytest.skip(f"memory cgroups cannot be written here: {e}")
        yield uid, container, folder / container
    finally:
        for path in reversed(made):
            with contextlib.suppress(OSError):
                path.rmdir()


def test_a_real_kill_is_found_in_the_kernels_buffer(pod):
    uid, container, folder = pod
    kill_in(folder)
    command = [sys.executable, "-m", "kelp", "oom", "-o", "json"]

    found = []

    def printed():
        done = subprocess.run(command, capture_output=True, check=True)
        kills = map(json.loads, done.stdout.splitlines())
        found[:] = [k for k in kills if k["pod_uid"] == uid]
        return found

    wait_until(printed)
    (kill,) = found
    assert (kill["container_id"], kill["qos_class"]) == (container, "Burstable")
    assert (kill["process"], kill["oom_score_adj"]) == ("kelp hog)", 999)
    assert (kill["constraint"], kill["global"]) == ("CONSTRAINT_MEMCG", False)
    assert (kill["outcome"], kill["complete"], kill["limit_scope"]) == ("killed", True, "pod")
    assert kill["memory"]["limit_bytes"] == LIMIT
    # More than the limit: what it had before it joined is not charged to the cgroup.
    assert LIMIT // 2 < kill["anon_rss_bytes"] < 4 * LIMIT
    assert kill["pid"] in [row["pid"] for row in kill["task_table"]]
    assert kill["time"] is not None


def test_the_kernels_buffer_is_read_to_its_end():
    if not os.access(KMSG, os.R_OK):
        pytest.skip(f"{KMSG} cannot be read here")
    assert all(record.endswith(b"\n") for record in records())


class Reader:
    """A node's sources without what comes behind them; `records` is what they gave."""

    def __init__(self, **settings):
        self.clock = TurnableClock()
        agent = Agent(node="n1", files=[], journal=Journal(enabled=False), **settings)
        metrics = CollectMetrics(CollectorRegistry())
        self.sources = node_sources(agent, self.clock, lambda _stage: {}, metrics)
        self.records = []
        self.read()

    def read(self):
        for source in self.sources:
            _, lines = source.read()
            late = source.assembler.expire(self.clock.now_ns())
            for some in (lines, late):
                if some is not None:
                    self.records += [
                        (some.body[i].as_py(), some.marks.get(i, {})) for i in range(len(some))
                    ]

    def of_pod(self, uid):
        self.read()
        return [(body, m) for body, m in self.records if m.get("oom_pod_uid") == uid]

    def close(self):
        for source in self.sources:
            source.collector.close()


def kill_in(folder):
    hog = subprocess.run([sys.executable, "-c", HOG, str(folder)], check=False, timeout=60)
    assert hog.returncode == -signal.SIGKILL


def test_a_real_kill_becomes_one_record_of_the_agent(pod):
    uid, container, folder = pod
    reader = Reader(oom_count_interval_s=0.1)
    kill_in(folder)
    wait_until(lambda: reader.of_pod(uid))
    for _ in range(10):  # the counter has risen too, and is told of already
        reader.clock.sleep(10)
        reader.read()
    reader.close()
    ((body, marks),) = reader.of_pod(uid)
    assert b"invoked oom-killer" in body and b"Killed process" in body
    assert ("OOMKilling", "killed", "kelp hog)", container) == (
        marks["problem"], marks["oom_outcome"], marks["oom_process"], marks["oom_container_id"],
    )  # fmt: skip
    assert "oom_source" not in marks


def test_a_real_kill_whose_lines_nobody_reads_is_counted(pod):
    uid, container, folder = pod
    reader = Reader(oom_count_interval_s=0.1, kmsg=Kmsg(enabled=False))
    kill_in(folder)

    def told():
        reader.clock.sleep(5)
        return reader.of_pod(uid)

    wait_until(told)
    reader.close()
    ((body, marks),) = reader.of_pod(uid)
    assert b"no line of the kernel's told of it" in body
    assert ("OOMKilling", "memory.events", container) == (
        marks["problem"], marks["oom_source"], marks["oom_container_id"],
    )  # fmt: skip
