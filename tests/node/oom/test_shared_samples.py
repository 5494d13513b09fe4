"""Real reports of other machines, with the kills that are known to be in them."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kelp.base.oom import scan
from kelp.node.oom.source import blocks, unpacked

from ...base.oom.found import calendar, kills

DATA = Path(__file__).parents[3].parent / "shared" / "data"
OOM = DATA / "oom"
CASES = sorted(p for p in OOM.glob("*/*.json") if '"lines"' in p.read_text())

pytestmark = pytest.mark.skipif(not OOM.exists(), reason="no ../shared/data/oom here")

# What the truth calls it, and what it is in a kill.
FIELDS = {
    "Pid": lambda k: k.pid,
    "ProcessName": lambda k: k.process,
    "ContainerName": lambda k: k.task_cgroup,
    "VictimContainerName": lambda k: k.oom_cgroup,
    "victim": lambda k: k.process,
    "victim_pid": lambda k: k.pid,
    "uid": lambda k: k.uid,
    "score": lambda k: k.score,
    "oom_score_adj": lambda k: k.oom_score_adj,
    "pod_uid": lambda k: k.pod_uid,
    "container_id": lambda k: k.container_id,
    "qos": lambda k: k.qos_class and k.qos_class.lower(),
    "runtime": lambda k: k.runtime,
    "hostname": lambda k: k.node,
    "timestamp": lambda k: k.time and datetime.fromisoformat(k.time).timestamp(),
    "trigger": lambda k: k.trigger and k.trigger.process,
    "trigger_pid": lambda k: k.trigger and k.trigger.pid,
    "level": lambda k: k.limit_scope,
    "limit_cgroup": lambda k: k.oom_cgroup,
    "oom_memcg": lambda k: k.oom_cgroup,
    "task_memcg": lambda k: k.task_cgroup,
    "is_pod_limit": lambda k: k.limit_scope == "pod",
    "limit_kb": lambda k: k.memory.limit_bytes // 1024,
    "usage_kb": lambda k: k.memory.usage_bytes // 1024,
    "failcnt": lambda k: k.memory.failcnt,
    "anon_rss_kb": lambda k: k.anon_rss_bytes // 1024,
    "cgroup_rss_bytes": lambda k: k.cgroup_stats[k.task_cgroup]["rss"],
    "rss_pages": lambda k: row(k).rss,
    "rss_anon_pages": lambda k: row(k).rss_anon,
    "rss_file_pages": lambda k: row(k).rss_file,
    "rss_shmem_pages": lambda k: row(k).rss_shmem,
    "nodemask": lambda k: k.nodemask,
    "mems_allowed": lambda k: k.mems_allowed,
    "kernel": lambda k: k.kernel,
    "unit": lambda k: k.unit,
    "oom_group": lambda k: k.oom_group,
    "complete": lambda k: k.complete,
    "no_killable": lambda k: k.outcome == "no_victim",
    "kills": lambda k: int(k.outcome == "killed"),
    "cgroup_driver": lambda k: "systemd" if ".slice" in k.task_cgroup else "cgroupfs",
    "scope": lambda k: SCOPES.get(k.constraint) or ("global" if k.global_ else None),
}
SCOPES = {
    "CONSTRAINT_MEMCG": "memcg",
    "CONSTRAINT_NONE": "global",
    "CONSTRAINT_CPUSET": "cpuset",
    "CONSTRAINT_MEMORY_POLICY": "mempolicy",
}


def row(kill):
    return next(r for r in kill.task_table if r.pid == kill.pid)


def process(kill, expected):
    """One set of truths calls the triggering process "process", and "" one that is unknown."""
    trigger = kill.trigger.process if kill.trigger else ""
    return expected in (trigger, kill.process)


@pytest.mark.parametrize("path", CASES, ids=lambda p: p.stem)
def test_every_expected_kill_and_no_other(path):
    case = json.loads(path.read_text())
    found = kills(case["lines"])
    assert len(found) == len(case["expected"])
    for kill, expected in zip(found, case["expected"], strict=True):
        if "process" in expected:
            assert process(kill, expected.pop("process"))
        assert {name: FIELDS[name](kill) for name in expected} == expected


def kills_in_file(path):
    with path.open("rb") as raw:
        log = blocks(unpacked(raw, str(path)), str(path))
        return list(scan(log, calendar(not_after=datetime(2026, 11, 21, tzinfo=UTC))))


def test_none_in_any_other_file():
    known = {"dmesg-oom.txt": 6, "kmsg-oom.raw.txt": 2, "oom_kill.log": 1}
    files = [p for p in DATA.rglob("*") if p.is_file()]
    found = {p.name: len(kills_in_file(p)) for p in files}
    assert {name: n for name, n in found.items() if n} == known


def test_the_real_nodes_kernel_log():
    found = kills_in_file(DATA / "real-k8s" / "dmesg-oom.txt")
    assert {(k.process, k.qos_class, k.limit_scope, k.complete) for k in found} == {
        ("logtool", "Burstable", "pod", True)
    }
    assert len({k.container_id for k in found}) == 6
