import gzip
import io
import json
import os
import sys

import pytest

from kelp.cli.main import run

from ..base.oom.reports import CONTAINER, POD, group_6, memcg_6

SYSLOG = [f"Nov  3 10:11:12 node-7 kernel: [  123.456789] {x}" for x in memcg_6()]
WRITTEN_S = 1_795_000_000  # 2026-11-18


@pytest.fixture
def saved(tmp_path):
    """Put lines in a file that was last written on 2026-11-18; its path."""

    def put(lines, name="kern.log"):
        path = tmp_path / name
        data = "".join(f"{x}\n" for x in lines).encode()
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        os.utime(path, (WRITTEN_S, WRITTEN_S))
        return str(path)

    return put


def objects(capsys):
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


FIELDS = [
    "time",
    "boot_s",
    "node",
    "outcome",
    "constraint",
    "global",
    "pid",
    "process",
    "uid",
    "oom_score_adj",
    "score",
    "total_vm_bytes",
    "anon_rss_bytes",
    "file_rss_bytes",
    "shmem_rss_bytes",
    "pgtables_bytes",
    "task_cgroup",
    "oom_cgroup",
    "limit_scope",
    "pod_uid",
    "container_id",
    "qos_class",
    "runtime",
    "unit",
    "oom_group",
    "group_cgroup",
    "shares_memory_with",
    "trigger",
    "memory",
    "memory_swap",
    "kmem",
    "swap",
    "nodemask",
    "cpuset",
    "mems_allowed",
    "kernel",
    "reaped",
    "complete",
    "report",
    "file",
    "cgroup_stats",
    "task_table",
]


def test_one_json_object_a_kill(saved, capsys):
    path = saved(SYSLOG)
    assert run(["oom", "--file", path, "-o", "json", "--timezone", "UTC"]) == 0
    (kill,) = objects(capsys)
    assert list(kill) == FIELDS
    assert (kill["time"], kill["boot_s"], kill["node"]) == (
        "2026-11-03T10:11:12Z",
        123.456789,
        "node-7",
    )
    assert (kill["pod_uid"], kill["container_id"], kill["runtime"]) == (
        POD,
        CONTAINER,
        "containerd",
    )
    assert (kill["global"], kill["kmem"], kill["file"]) == (False, None, path)
    assert kill["trigger"] == {
        "process": "ab (cd) e",
        "pid": 4242,
        "gfp_mask": "0xcc0(GFP_KERNEL)",
        "order": 0,
        "oom_score_adj": 993,
        "cpuset": None,
    }
    assert kill["memory"] == {"usage_bytes": 67108864, "limit_bytes": 67108864, "failcnt": 17}
    assert kill["task_table"][0] == {
        "pid": 4000,
        "uid": 65535,
        "tgid": 4000,
        "total_vm": 243,
        "rss": 1,
        "rss_anon": 0,
        "rss_file": 1,
        "rss_shmem": 0,
        "pgtables_bytes": 28672,
        "swapents": 0,
        "oom_score_adj": -998,
        "name": "pause",
    }


def test_lines_for_people(saved, capsys):
    path = saved(SYSLOG)
    assert run(["oom", "--file", path, "--timezone", "Europe/Berlin", "--tasks"]) == 0
    line, *table = capsys.readouterr().out.splitlines()
    assert line.startswith("2026-11-03T09:11:12Z  node-7  OOM at the pod's limit")
    assert [row.split()[-1] for row in table] == ["name", "pause", "e"]
    assert run(["oom", "--file", path, "--details"]) == 0
    assert f"    container    {CONTAINER} (containerd)\n" in capsys.readouterr().out


def test_standard_input(saved, capsys, monkeypatch):
    class Stdin:
        buffer = io.BufferedReader(io.BytesIO("\n".join(memcg_6()).encode()))

    monkeypatch.setattr(sys, "stdin", Stdin)
    assert run(["oom", "--file", "-", "-o", "json"]) == 0
    (kill,) = objects(capsys)
    assert (kill["pid"], kill["file"], kill["time"]) == (4242, None, None)


def test_a_kill_in_two_files_is_told_once(saved, capsys):
    kern, other = saved(SYSLOG, "kern.log.1.gz"), saved([*SYSLOG, *SYSLOG[:0]], "syslog")
    last = saved([x.replace("4242", "5252") for x in SYSLOG], "messages")
    arguments = ["--file", kern, "--file", other, "--file", last]
    assert run(["oom", *arguments, "-o", "json"]) == 0
    assert [(k["pid"], k["file"]) for k in objects(capsys)] == [(4242, kern), (5252, last)]


def test_a_group_is_an_object_for_each_process(saved, capsys):
    assert run(["oom", "--file", saved(group_6()), "-o", "json"]) == 0
    assert [(k["pid"], k["oom_group"], k["report"]) for k in objects(capsys)] == [
        (4242, True, 1),
        (4243, True, 1),
        (4244, True, 1),
    ]


def test_a_boot_time_makes_times(saved, capsys):
    path = saved([f"[  123.500000] {x}" for x in memcg_6()])
    boot = ["--boot-time", "2026-11-01T00:00:00+01:00"]
    assert run(["oom", "--file", path, "-o", "json", *boot]) == 0
    assert objects(capsys)[0]["time"] == "2026-10-31T23:02:03.500000Z"


def test_no_kill_is_said_to_people_only(saved, capsys):
    path = saved(["nothing", "here"])
    assert run(["oom", "--file", path]) == 0
    assert capsys.readouterr().out == f"No kill by the kernel in {path}.\n"
    assert run(["oom", "--file", path, "-o", "json"]) == 0
    assert capsys.readouterr().out == ""


def test_a_file_that_is_not_there(tmp_path, capsys):
    assert run(["oom", "--file", str(tmp_path / "no")]) == 1
    assert "no: cannot read: No such file or directory. Expected a log" in capsys.readouterr().err
    assert run(["oom", "--file", str(tmp_path)]) == 1
    assert "cannot read: Is a directory" in capsys.readouterr().err


def test_a_damaged_file_gives_its_kills_and_an_error_and_the_others_are_read(
    saved, tmp_path, capsys
):
    noise = [f"{n * 2654435761:x}" for n in range(300_000)]
    damaged = tmp_path / "cut.gz"
    whole = gzip.compress("\n".join([*SYSLOG, *noise]).encode())
    damaged.write_bytes(whole[: len(whole) // 2])
    other = saved([x.replace("4242", "5252") for x in SYSLOG])
    assert run(["oom", "--file", str(damaged), "--file", other, "-o", "json"]) == 1
    out, err = capsys.readouterr()
    assert [json.loads(line)["pid"] for line in out.splitlines()] == [4242, 5252]
    assert "cut.gz: expected a whole compressed file; got one that is cut off or damaged" in err


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--timezone", "Moon/Sea", "expected a name like UTC or Europe/Berlin; got 'Moon/Sea'"),
        ("--timezone", "../etc/passwd", "expected a name like UTC"),
        ("--boot-time", "noon", "expected a time like 2026-11-20T10:11:12Z; got 'noon'"),
        ("-o", "xml", "'xml' is not one of 'table', 'json'"),
    ],
)
def test_a_wrong_option_is_a_usage_error(saved, capsys, option, value, said):
    assert run(["oom", "--file", saved(SYSLOG), option, value]) == 2
    assert said in capsys.readouterr().err
