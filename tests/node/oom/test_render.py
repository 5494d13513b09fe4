from kelp.base.oom.kill import Kill
from kelp.node.oom.render import details, summary, tasks
from kelp.node.text import printable, size

from ...base.oom.found import only
from ...base.oom.reports import CONTAINER, POD, global_6, memcg_6


def test_a_kill_at_a_pods_limit():
    kill = only(f"Nov  3 10:11:12 node-7 kernel: {x}" for x in memcg_6())
    assert summary(kill) == (
        "2026-11-03T10:11:12Z  node-7  OOM at the pod's limit (64.0 MiB of 64.0 MiB)  "
        "killed ab (cd) e[4242], rss 62.5 MiB, oom_score_adj 993  "
        f"pod {POD} container {CONTAINER[:12]} Burstable"
    )


def test_a_global_kill():
    kill = only(f"[  123.456789] {x}" for x in global_6())
    assert summary(kill) == (
        "boot+123.457s  global OOM  killed ab (cd) e[4242], rss 62.5 MiB, oom_score_adj -42  "
        "db.service"
    )


def test_the_details_say_what_the_line_does_not():
    found = {line[:17].strip(): line[17:] for line in details(only(memcg_6()))}
    assert found["container"] == f"{CONTAINER} (containerd)"
    assert found["swap"] == "0 B of 0 B, refused 0 times"
    assert found["rss"] == "anon 62.5 MiB, file 12.0 KiB, shmem 0 B"
    assert found["uid"] == "1000"
    assert found["triggered by"] == "ab (cd) e[4242], 0xcc0(GFP_KERNEL)"
    assert found["kernel"] == "6.12.9-amd64"
    assert "kmem" not in found


def test_the_task_table_is_aligned():
    head, pause, victim = tasks(only(memcg_6()))
    assert head.split()[:3] == ["pid", "uid", "tgid"]
    assert pause.endswith("-998  pause")
    assert victim.endswith("993  ab (cd) e")
    assert head.index("name") == pause.index("pause") == victim.index("ab (cd)")


def test_what_is_not_known_is_not_shown():
    assert summary(Kill()) == "time unknown  OOM  the report's end is missing"
    assert list(details(Kill())) == []
    assert list(tasks(Kill())) == []


def test_outcomes_that_are_no_kill():
    assert "no process could be killed" in summary(Kill(outcome="no_victim"))
    assert "the kernel panicked" in summary(Kill(outcome="panic"))
    assert "x[1] was exiting, not killed" in summary(Kill(outcome="exiting", pid=1, process="x"))


def test_a_name_cannot_command_the_terminal():
    kill = only(memcg_6(name="\x1b]0;owned\x07"))
    assert kill.process == "\x1b]0;owned\x07"
    shown = [summary(kill), *details(kill), *tasks(kill)]
    assert all(line.isprintable() for line in shown)
    assert "\\x1b]0;owned\\x07" in shown[0]
    assert printable("Grün 漢字") == "Grün 漢字"


def test_sizes():
    sizes = [size(n) for n in (None, 0, 1023, 1024, 100 << 10, 1536 << 20, 1 << 60)]
    assert sizes == ["?", "0 B", "1023 B", "1.0 KiB", "100 KiB", "1.5 GiB", "1024 PiB"]
