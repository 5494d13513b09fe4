"""A counter's rise as a record."""

from kelp.agent.assemble.oom import UntoldKillAssembler
from kelp.agent.collect.oomcounts import UntoldKill
from kelp.model.entries import Entries
from kelp.model.raw import Instance

from ....base.oom.reports import CONTAINER, POD, SYSTEMD
from .lines import records, who_is

INSTANCE = Instance("memory.events:b1", {"dataset": "kernel"})


def made(**changes):
    kill = {"pod_uid": POD, "container_id": CONTAINER, "cgroup": SYSTEMD, "count": 3, "seen_ns": 7}
    row = UntoldKill(**{**kill, **changes})
    lines = UntoldKillAssembler(who_is).assemble(Entries([row], [INSTANCE], [5], 1, 8))
    assert ([7], 8) == (lines.timestamp.tolist(), lines.observed_ns)
    return records(lines)


def test_a_record_of_whom():
    ((position, body, marks, told),) = made()
    assert (5, 17) == (position, told)
    assert f"in {SYSTEMD}: oom_kill is 3" in body
    assert marks == {
        "problem": "OOMKilling",
        "oom_source": "memory.events",
        "oom_outcome": "killed",
        "oom_task_cgroup": SYSTEMD,
        "oom_pod_uid": POD,
        "oom_container_id": CONTAINER,
        "oom_qos_class": "Burstable",
        "oom_runtime": "containerd",
        "oom_namespace": "shop",
        "oom_pod": "web-1",
        "oom_container": "app",
    }


def test_of_a_pod_that_is_gone():
    ((_, body, marks, _),) = made(pod_uid="", container_id="", cgroup="/kubepods.slice")
    assert "in a pod below /kubepods.slice that is gone" in body
    assert "oom_pod_uid" not in marks
