import pytest

from kelp.base.oom.events import Cpu, Cpuset, Invoked, Killed, Row, Summary, TableHead
from kelp.base.oom.grammar import event_of, is_unfinished, stat_of


@pytest.mark.parametrize(
    ("text", "nodemask", "order"),
    [
        ("gfp_mask=0x201da, order=0, oom_adj=0, oom_score_adj=5", None, 0),
        ("gfp_mask=0x26000c0(GFP_KERNEL|__GFP_X), order=1, oom_score_adj=5", None, 1),
        ("gfp_mask=0x14000c0(GFP_KERNEL), nodemask=(null),  order=0, oom_score_adj=5", None, 0),
        ("gfp_mask=0x14000c0(GFP_KERNEL), nodemask=0-1,3, order=3, oom_score_adj=5", "0-1,3", 3),
    ],
)
def test_invoked(text, nodemask, order):
    event = event_of(f"a: b c invoked oom-killer: {text}")
    assert isinstance(event, Invoked)
    assert (event.process, event.nodemask, event.order, event.oom_score_adj) == (
        "a: b c",
        nodemask,
        order,
        5,
    )


@pytest.mark.parametrize("name", ["(", ")", "()", ") total-vm:1kB", "a,pid=1,uid=2", "", "x" * 15])
def test_any_name(name):
    killed = event_of(f"Killed process 1 ({name}) total-vm:4kB, anon-rss:0kB, file-rss:0kB")
    assert isinstance(killed, Killed)
    assert (killed.process, killed.total_vm_bytes) == (name, 4096)
    summary = event_of(
        "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,"
        f"oom_memcg=/a,task_memcg=/a/b,task={name},pid=1,uid=2"
    )
    assert isinstance(summary, Summary)
    assert (summary.process, summary.pid, summary.uid) == (name, 1, 2)


def test_lists_and_paths_with_commas():
    event = event_of(
        "oom-kill:constraint=CONSTRAINT_MEMORY_POLICY,nodemask=0-2,4,cpuset=a,b,mems_allowed=0,2-4,"
        "global_oom,task_memcg=/a,b/c,task=x,pid=3,uid=4294967294"
    )
    assert event == Summary(
        constraint="CONSTRAINT_MEMORY_POLICY",
        nodemask="0-2,4",
        cpuset="a,b",
        mems_allowed="0,2-4",
        global_oom=True,
        oom_cgroup=None,
        task_cgroup="/a,b/c",
        process="x",
        pid=3,
        uid=4294967294,
    )


def test_a_kernel_without_memory_cgroups():
    event = event_of(
        "oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0,task=x,pid=3,"
        "uid=0"
    )
    assert isinstance(event, Summary)
    assert (event.global_oom, event.oom_cgroup, event.pid) == (True, None, 3)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "CPU: 1 PID: 7 Comm: a b Tainted: P           OX 3.13.0-43-generic #72-Ubuntu",
            Cpu(7, "a b", "3.13.0-43-generic"),
        ),
        (
            "CPU: 0 PID: 7 Comm: x Kdump: loaded Tainted: G    OE  3.10.0-957.el7.x86_64 #1",
            Cpu(7, "x", "3.10.0-957.el7.x86_64"),
        ),
        (
            "CPU: 9 UID: 0 PID: 7 Comm: x Tainted: [E]=UNSIGNED_MODULE 6.18.2 #1 PREEMPT(none)",
            Cpu(7, "x", "6.18.2"),
        ),
        ("CPU: 4 PID: 7 Comm: x Not tainted 5.8.0-rc4-next #1", Cpu(7, "x", "5.8.0-rc4-next")),
        (
            "Pid: 7, comm: x Not tainted 2.6.32-754.el6.x86_64 #1",
            Cpu(7, "x", "2.6.32-754.el6.x86_64"),
        ),
        ("x cpuset=/ mems_allowed=0-1", Cpuset("x", "/", "0-1")),
        (
            "[ pid ]   uid  tgid total_vm      rss cpu oom_adj oom_score_adj name",
            TableHead(("uid", "tgid", "total_vm", "rss", "cpu", "oom_adj", "oom_score_adj")),
        ),
        ("[12345]     0 12345 1 2 3 4 5 x", Row(12345, "0 12345 1 2 3 4 5 x")),
        ("CPU: features", None),
        ("Pid: x", None),
        ("", None),
        ("[", None),
    ],
)
def test_a_line(text, expected):
    assert event_of(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null)", True),
        ("oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),task=x,pid=1", False),
        ("Task in ", True),
        ("Task in /a", True),
        ("Task in /a killed as a result of limit of ", True),
        ("Task in /a killed as a result of limit of /b", False),
        ("Tasks state (memory values in pages):", False),
    ],
)
def test_a_sentence_without_its_end(text, expected):
    assert is_unfinished(text) is expected


def test_numbers_without_end_are_no_numbers():
    assert stat_of("anon " + "9" * 20) is None
    assert event_of("memory: usage 99999999999999999999kB, limit 1kB, failcnt 1") is None
    killed = event_of("Killed process 1 (x) total-vm:99999999999999999999kB, anon-rss:1kB")
    assert isinstance(killed, Killed)
    assert (killed.total_vm_bytes, killed.anon_rss_bytes) == (None, 1024)
