"""OOM reports out of the kernel's lines: a record a kill, however they are read."""

import json
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kelp.model.raw import Instance

from ....base.oom.reports import (
    CONTAINER,
    POD,
    SYSTEMD,
    global_6,
    group_6,
    memcg_3_10,
    memcg_4_19,
    memcg_6,
)
from .lines import KMSG, START_NS, SYSLOG, Joining, kernel_lines

SHARED = Path(__file__).parents[4].parent / "shared" / "data" / "oom"
REAPED = "oom_reaper: reaped process {} (x), now anon-rss:0kB, file-rss:0kB, shmem-rss:0kB"
LINK = "ixgbe 0000:03:00.0 eth0: NIC Link is Down"


def kills(found):
    return [r for r in found if r[2].get("problem") == "OOMKilling"]


@pytest.mark.parametrize("report", [memcg_3_10, memcg_4_19, memcg_6, global_6])
def test_a_report_is_one_record(report):
    texts = report()
    joining = Joining()
    first = joining.join(kernel_lines(["usb 1-1: new device", *texts, "eth0: renamed"]))
    assert [(0, "usb 1-1: new device", {}, 13)] == first[:1]
    ((position, body, marks, told),) = kills(joining.expire())
    assert (1, "\n".join(texts), 17) == (position, body, told)
    assert ("killed", "4242", "ab (cd) e") == (
        marks["oom_outcome"], marks["oom_pid"], marks["oom_process"],
    )  # fmt: skip


def test_whose_it_was():
    joining = Joining()
    joining.join(kernel_lines(memcg_6()))
    ((_, _, marks, _),) = joining.expire()
    assert marks | {} == marks | {
        "oom_constraint": "CONSTRAINT_MEMCG",
        "oom_global": "false",
        "oom_pod_uid": POD,
        "oom_container_id": CONTAINER,
        "oom_qos_class": "Burstable",
        "oom_runtime": "containerd",
        "oom_limit_scope": "pod",
        "oom_limit_bytes": str(64 << 20),
        "oom_usage_bytes": str(64 << 20),
        "oom_anon_rss_bytes": str(64000 << 10),
        "oom_score_adj": "993",
        "oom_task_cgroup": SYSTEMD,
        "oom_namespace": "shop",
        "oom_pod": "web-1",
        "oom_container": "app",
    }


def test_lines_behind_the_decision_go_on_as_they_came():
    joining = Joining()
    found = joining.join(kernel_lines([*memcg_6(), LINK, "eth0: renamed", REAPED.format(4242)]))
    assert [LINK, "eth0: renamed"] == [r[1] for r in found]
    ((_, body, _, _),) = joining.expire()
    assert body.endswith(REAPED.format(4242))


def test_another_problem_within_a_report_stays_a_record():
    texts = memcg_6()
    joining = Joining()
    found = joining.join(kernel_lines([*texts[:4], LINK, *texts[4:]]))
    assert [(4, LINK)] == [r[:2] for r in found]
    assert ["\n".join(texts)] == [r[1] for r in joining.expire()]


def test_what_user_space_writes_to_the_device_stays_a_record():
    texts = memcg_6()
    marks = {4: {"syslog.facility": "daemon"}}
    joining = Joining()
    found = joining.join(kernel_lines([*texts[:4], "systemd[1]: hi", *texts[4:]], marks=marks))
    assert ["systemd[1]: hi"] == [r[1] for r in found]


def test_the_next_report_ends_the_one_before():
    joining = Joining()
    found = joining.join(kernel_lines([*memcg_6(1), *memcg_6(2)]))
    assert ["1"] == [r[2]["oom_pid"] for r in found]
    assert ["2"] == [r[2]["oom_pid"] for r in joining.expire()]


def test_a_pause_ends_it():
    joining = Joining()
    joining.join(kernel_lines(memcg_6()))
    later = kernel_lines(["eth0: renamed"], first=5_000)
    assert ["4242", None] == [r[2].get("oom_pid") for r in joining.join(later)]


def test_a_report_whose_end_was_lost_does_not_swallow_what_comes():
    joining = Joining()
    begun = kernel_lines(memcg_6()[:3], apart_ns=30_000_000_000)
    found = joining.join(begun)
    others = [f"audit: type={i}" for i in range(10)]
    found += joining.join(kernel_lines(others, first=3, apart_ns=30_000_000_000))
    assert others[4:] == [r[1] for r in found if r[0] > 6]


def test_each_of_a_group_is_a_record():
    joining = Joining()
    joining.join(kernel_lines(group_6((7, 8, 9))))
    found = joining.expire()
    assert ["7", "8", "9"] == [r[2]["oom_pid"] for r in found]
    assert [POD] * 3 == [r[2]["oom_pod_uid"] for r in found]
    assert "leader invoked oom-killer" in found[0][1]
    assert 1 == len(found[1][1].splitlines())
    assert len({r[0] for r in found}) == 3


def test_a_line_whose_report_was_lost():
    line = memcg_6()[-1]
    joining = Joining()
    joining.join(kernel_lines([line]))
    assert [(0, line, "4242")] == [(r[0], r[1], r[2]["oom_pid"]) for r in joining.expire()]


def test_a_report_without_a_decision_tells_of_no_kill():
    joining = Joining()
    joining.join(kernel_lines(memcg_6()[:6]))
    ((_, body, marks, _),) = joining.expire()
    assert ("\n".join(memcg_6()[:6]), {}) == (body, marks)


def test_no_victim_is_told():
    texts = [*global_6()[:-2], "Out of memory and no killable processes..."]
    joining = Joining()
    joining.join(kernel_lines(texts))
    ((_, _, marks, _),) = joining.expire()
    assert "no_victim" == marks["oom_outcome"]


def test_batches_without_a_word_are_passed_on_as_they_are():
    lines = kernel_lines(["eth0: renamed", LINK])
    assert Joining().joiner.join(lines) is lines


def test_a_record_is_bounded():
    texts = memcg_6()
    joining = Joining(max_bytes=500)
    found = joining.join(kernel_lines(texts)) + joining.expire()
    assert "\n".join(texts) == "\n".join(r[1] for r in sorted(found))
    assert ["4242"] == [r[2]["oom_pid"] for r in kills(found)]


NOISE = ["eth0: renamed from veth1", LINK, "audit: type=1400", "x: Killed process 7 quoted"]
pieces = st.one_of(
    st.sampled_from([memcg_3_10, memcg_4_19, memcg_6, global_6]).map(lambda report: report()),
    st.just(group_6()),
    st.sampled_from(NOISE).map(lambda line: [line]),
    st.just([REAPED.format(4242)]),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(pieces, max_size=5), st.data())
def test_how_the_lines_are_read_does_not_matter(parts, data):
    texts = [line for part in parts for line in part]
    whole = Joining()
    expected = sorted(whole.join(kernel_lines(texts)) + whole.expire())
    cuts = sorted(data.draw(st.lists(st.integers(0, len(texts)), max_size=4)))
    cut = Joining()
    found = []
    for begin, end in zip([0, *cuts], [*cuts, len(texts)], strict=True):
        found += cut.join(kernel_lines(texts[begin:end], first=begin))
        cut.commit()
        if data.draw(st.booleans()):
            cut.start()
    cut.expire(START_NS)  # after a start the wait begins anew
    assert expected == sorted(found + cut.expire())
    bodies = "\n".join(body for _, body, _, _ in expected)
    assert sorted(texts) == sorted(bodies.split("\n") if texts else [])
    assert {} == cut.checkpoints or (cut.commit() is None and {} == cut.checkpoints)


WORDS = [b"invoked oom-killer", b"oom-kill:constraint=CONSTRAINT_MEMCG", b"Killed process 7 (x)",
         b"Task in /a killed as a result of limit of /b", b"Out of memory", b"[  7]", b"\xff\x00",
         b"kernel: ", b"Nov 20 10:11:12 n1 ", b"total-vm:1kB", b"\n", b"{"]  # fmt: skip
bodies = st.lists(st.one_of(st.sampled_from(WORDS), st.binary(max_size=8)), max_size=5)


@settings(max_examples=1000, deadline=None)
@given(st.lists(bodies.map(b"".join), max_size=8), st.booleans())
def test_whatever_comes_no_line_is_lost(lines, in_file):
    joining = Joining(in_file=in_file)
    made = kernel_lines([""] * len(lines), instance=SYSLOG if in_file else KMSG)
    made = replace(made, body=pa.array(lines, pa.binary()))
    out = [joining.joiner.join(made), joining.joiner.expire(START_NS + 10**12)]
    found = b"\n".join(body for part in out if part is not None for body in part.body.to_pylist())
    assert sorted(b"\n".join(lines).split(b"\n")) == sorted(found.split(b"\n"))


def test_two_kills_in_one_message():
    joining = Joining()
    line = "Killed process 7 (x)\nKilled process 7 (y)\nKilled process 8 (z)"
    joining.join(kernel_lines([line]))
    assert [line] == [r[1] for r in joining.expire()]


def test_a_start_waits_its_full_time():
    joining = Joining()
    joining.join(kernel_lines(memcg_6()))
    joining.commit()
    joining.start()
    assert [] == joining.expire(START_NS + 10**15)
    assert 1 == len(joining.expire(START_NS + 10**15 + 4 * 10**9))


def test_a_checkpoint_that_cannot_be_read_is_left_out(caplog):
    joining = Joining()
    joining.checkpoints = {"kmsg:b1": b"\x00nonsense"}
    joining.start()
    assert [] == joining.expire()
    assert "left out" in caplog.text


def test_the_ledger_knows_of_each_kill_once():
    joining = Joining()
    for first in (0, 100):  # the same kills from two sources
        joining.join(kernel_lines(group_6((7, 8, 9)), first=first))
        joining.expire()
    assert [(POD, CONTAINER)] * 3 == [(pod, c or CONTAINER) for pod, c in joining.ledger.take()]
    assert [] == joining.ledger.take()


def in_syslog(texts, host="n1"):
    return [f"Nov 20 10:11:12 {host} kernel: [12.{i:06}] {t}" for i, t in enumerate(texts)]


OTHERS = [
    "Nov 20 10:11:12 n1 systemd[1]: Up.",
    "Nov 20 10:11:12 n1 app: Killed process 7 (x)",
]


def test_in_a_file_of_many_programs_only_the_kernels_lines_are_joined():
    texts = in_syslog(memcg_6())
    joining = Joining(in_file=True)
    found = joining.join(
        kernel_lines([OTHERS[0], *texts[:5], *OTHERS, *texts[5:], OTHERS[1]], instance=SYSLOG)
    )
    assert [OTHERS[0], *OTHERS, OTHERS[1]] == [r[1] for r in found]
    ((position, body, marks, _),) = joining.expire()
    assert (1, "\n".join(texts), "4242") == (position, body, marks["oom_pid"])


def test_it_is_of_the_kernel_wherever_it_stood():
    joining = Joining(in_file=True)
    joining.join(kernel_lines(in_syslog(memcg_6()), instance=SYSLOG))
    (instance,) = joining.joiner.expire(START_NS + 10**12).instances
    assert {**SYSLOG.labels, "dataset": "kernel"} == instance.labels
    assert SYSLOG.key != instance.key


def test_lines_of_another_machine_are_not_its():
    texts = in_syslog(memcg_6())
    joining = Joining(in_file=True)
    joining.join(kernel_lines(texts[:4] + in_syslog(["a"], "n2") + texts[4:], instance=SYSLOG))
    ((_, body, _, _),) = joining.expire()
    assert "\n".join(texts) == body


def test_containers_are_not_looked_at():
    lines = kernel_lines(memcg_6(), instance=Instance("app", {"dataset": "app"}))
    assert Joining(in_file=True).joiner.join(lines) is lines


def test_nor_are_files_of_one_service():
    labels = {"dataset": "node", "filename": "/var/log/kubelet.log"}
    lines = kernel_lines(in_syslog(memcg_6()), instance=Instance("kubelet.log", labels))
    assert Joining(in_file=True).joiner.join(lines) is lines


CASES = sorted(SHARED.glob("*/*.json")) if SHARED.exists() else []
IN_FILES = [p for p in CASES if '"lines"' in p.read_text()]


@pytest.mark.skipif(not SHARED.exists(), reason="no ../shared/data/oom here")
@pytest.mark.parametrize("path", IN_FILES, ids=lambda p: p.stem)
def test_every_expected_kill_of_the_samples_becomes_a_record(path):
    case = json.loads(path.read_text())
    kernel = Instance("kern.log", {"dataset": "kernel"})
    joining = Joining(in_file=True)
    found = joining.join(kernel_lines(case["lines"], instance=kernel)) + joining.expire()
    made = kills(found)
    # One excerpt ends with the beginning of another report, of which nobody knows how it ended.
    ended = [r for r in made if r[2]["oom_outcome"] != "unknown"] or made
    assert len(case["expected"]) == len(ended)
