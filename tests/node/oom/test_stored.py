"""Stored records back as kills."""

import pytest

from kelp.base.oom.kill import Usage
from kelp.node.oom.stored import stored_kill

from ...agent.assemble.oom.lines import SYSLOG, Joining, kernel_lines
from ...base.oom.found import only
from ...base.oom.reports import CONTAINER, POD, SYSTEMD, global_6, memcg_3_10, memcg_4_19, memcg_6

TIME_NS = 1_795_169_472_123_456_789
LABELS = {"node": "n1"}


def record_of(texts, **options):
    joining = Joining(**options)
    joining.join(kernel_lines(texts, **({"instance": SYSLOG} if options else {})))
    ((_, body, marks, _),) = joining.expire()
    return body, marks


@pytest.mark.parametrize("report", [memcg_3_10, memcg_4_19, memcg_6, global_6])
def test_what_the_kernel_said_is_what_is_stored(report):
    found = stored_kill(*record_of(report()), TIME_NS, LABELS)
    expected = only(report())
    expected.time, expected.node = "2026-11-20T10:11:12.123456Z", "n1"
    assert expected == found.kill
    assert (TIME_NS, False) == (found.time_ns, found.counted_only)


def test_a_report_out_of_a_file_with_heads():
    texts = [f"Nov 20 10:11:12 host7 kernel: [12.5] {text}" for text in memcg_6()]
    body, marks = record_of(texts, in_file=True)
    found = stored_kill(body, marks, TIME_NS, {**LABELS, "filename": "/var/log/syslog"})
    assert (4242, "host7", 2) == (found.kill.pid, found.kill.node, len(found.kill.task_table))


def test_names_are_the_agents():
    found = stored_kill(*record_of(memcg_6()), TIME_NS, LABELS)
    assert ("shop", "web-1", "app") == (found.namespace, found.pod, found.container)


def test_what_the_body_does_not_say_the_attributes_do():
    _, marks = record_of(memcg_6())
    kill = stored_kill("Killed process 4242 (ab (cd) e)", marks, TIME_NS, LABELS).kill
    assert (SYSTEMD, POD, CONTAINER, False) == (
        kill.task_cgroup, kill.pod_uid, kill.container_id, kill.global_,
    )  # fmt: skip
    assert Usage(64 << 20, 64 << 20, 17) == kill.memory


def test_a_kill_that_only_a_counter_told_of():
    marks = {
        "problem": "OOMKilling", "oom_source": "memory.events", "oom_outcome": "killed",
        "oom_pod_uid": POD, "oom_container_id": CONTAINER,
    }  # fmt: skip
    found = stored_kill("memory.events: Killed process 7 (x)", marks, TIME_NS, LABELS)
    assert (True, None, "killed", POD) == (
        found.counted_only, found.kill.pid, found.kill.outcome, found.kill.pod_uid,
    )  # fmt: skip


def test_what_anyone_may_have_pushed():
    marks = {"oom_pid": "x", "oom_usage_bytes": "", "oom_limit_bytes": "-", "oom_global": "?"}
    found = stored_kill("\x00\nnothing", marks, 0, {})
    assert (None, None, False, None) == (
        found.kill.pid, found.kill.memory, found.kill.global_, found.kill.node,
    )  # fmt: skip
