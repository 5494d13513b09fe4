"""`kelp node logs`, against an API server and kubelets in memory; once against real ones."""

from __future__ import annotations

import gzip
import json
import os
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kelp.cli import node_logs_show
from kelp.cli.main import run
from kelp.cli.node_logs import logs
from kelp.kube.access import find_access
from kelp.kube.client import KubeClient
from kelp.kube.errors import KelpError
from tests.doubles.kube_api import US, KubeApi, Written

NOW_US = time.time_ns() // 1000
KLOG = 'E1121 10:00:00.000000    4242 kubelet.go:1] "Failed"'


def written(seconds_ago: float, message: str, unit: str = "kubelet", **more: object) -> Written:
    at = NOW_US - int(seconds_ago * US)
    return Written(at, f"{unit}.service", message, identifier=unit, **more)  # type: ignore[arg-type]


@pytest.fixture
def api(no_machine, monkeypatch):
    with KubeApi() as double:
        config = double.kubeconfig(no_machine / "kubeconfig")
        monkeypatch.setenv("KUBECONFIG", str(config))
        node = double.node("n1", no_machine / "log")
        node.write(
            written(7200, "old"), written(3000, KLOG), written(1500, "two\nlines"),
            written(1200, "pulled", "containerd"), written(300, "new"),
        )  # fmt: skip
        (no_machine / "log" / "pods").mkdir(parents=True)
        (no_machine / "log" / "syslog").write_bytes(b"first\nERROR second\nthird")
        with gzip.open(no_machine / "log" / "syslog.2.gz", "wb") as file:
            file.write(b"packed\nlines\n")
        yield double


@pytest.fixture
def kelp(api, capsys):
    def call(*arguments: str, status: int = 0) -> list[str]:
        assert status == run(["node", "logs", *arguments])
        out, err = capsys.readouterr()
        assert "" == err or status or "note:" in err
        return (err if status else out).splitlines()

    return call


def ends(lines: list[str]) -> list[str]:
    return [line.rsplit("]: ", 1)[-1].strip() for line in lines]


def test_a_services_journal_as_the_node_has_it(kelp, api):
    lines = kelp("n1", "-u", "kubelet")
    assert ["old", KLOG.rsplit("] ", 1)[-1], "two", "lines", "new"] == [
        e.rsplit("] ", 1)[-1] for e in ends(lines)
    ]
    assert lines[0].split()[3:5] == ["host", "kubelet[4242]:"]
    assert ["/api/v1/nodes/n1/proxy/logs/?query=kubelet"] == api.requests
    assert "gzip" == api.headers[0]["accept-encoding"]


def test_several_services_in_one_order(kelp):
    assert ["lines", "pulled", "new"] == ends(kelp("n1", "-u", "kubelet", "-u", "containerd"))[-3:]


def test_times(kelp, api):
    assert ["two", "lines", "new"] == ends(kelp("n1", "-u", "kubelet", "--since", "40m"))
    assert ["old"] == ends(kelp("n1", "-u", "kubelet", "--until", "1h"))
    assert ["two", "lines"] == ends(
        kelp("n1", "-u", "kubelet", "--since", "40m", "--until", "10m")
    )  # fmt: skip
    assert not any("untilTime" in r for r in api.requests)


def test_the_last_ones(kelp, api):
    assert ["two", "lines", "new"] == ends(kelp("n1", "-u", "kubelet", "--tail", "2"))
    assert "tailLines=2" in api.requests[-1]
    assert ["two", "lines"] == ends(
        kelp("n1", "-u", "kubelet", "--tail", "1", "--until", "10m")
    )  # fmt: skip
    assert "tailLines" not in api.requests[-1]


def test_a_pattern_and_a_boot(kelp, api):
    api.nodes["n1"].write(written(5, "of the boot before", boot=-1))
    assert ["new"] == ends(kelp("n1", "-u", "kubelet", "-g", "ne[w]"))
    assert ["of the boot before"] == ends(kelp("n1", "-u", "kubelet", "-b", "-1"))
    assert "boot=-1" in api.requests[-1]


def test_json(kelp):
    records = [json.loads(line) for line in kelp("n1", "-u", "kubelet", "-o", "json")]
    assert {
        "time": records[1]["time"],
        "node": "n1",
        "unit": "kubelet",
        "host": "host",
        "identifier": "kubelet",
        "pid": 4242,
        "severity": "error",
        "message": KLOG,
    } == records[1]
    assert "two\nlines" == records[2]["message"]
    assert time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(NOW_US / US - 3000)) in records[1]["time"]
    both = kelp("n1", "-u", "kubelet", "-u", "containerd", "-o", "json")
    assert {None} == {json.loads(line)["unit"] for line in both}


def test_a_file_and_its_end(kelp, api):
    assert ["first", "ERROR second", "third"] == kelp("n1", "/var/log/syslog")
    assert ["third"] == kelp("n1", "syslog", "--tail", "1")
    assert ["ERROR second"] == kelp("n1", "/var/log/syslog", "-g", "ERR.R")
    assert ["packed", "lines"] == kelp("n1", "/var/log/syslog.2.gz")
    record = json.loads(kelp("n1", "/var/log/syslog", "-o", "json")[1])
    assert {
        "node": "n1",
        "file": "/var/log/syslog",
        "severity": "error",
        "message": "ERROR second",
    } == record


@pytest.mark.parametrize("path", ["/var/log", "/var/log/"])
def test_a_folder(kelp, path):
    assert ["pods/", "syslog", "syslog.2.gz"] == kelp("n1", path)


def test_a_folder_without_its_slash(kelp):
    assert [] == kelp("n1", "/var/log/pods")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["n1"], "expected -u UNIT for a service's journal, or a path below /var/log; got neither"),
        (["n1", "syslog", "-u", "kubelet"], "got both"),
        (["n1", "syslog", "-f"], "expected --tail and -g alone with a path"),
        (["n1", "/etc/passwd"], 'expected a path below /var/log/; got "/etc/passwd"'),
        (["n1", "../x"], 'got "../x"'),
        (["n1", "none.log"], "expected a file /var/log/none.log on n1; there is none"),
        (["n1", "syslog", "-g", "("], "expected a regular expression of RE2"),
        (["n1", "-u", "kube*"], 'expected a service such as kubelet; got "kube*"'),
        (["n1", "-u", "none"], "n1 has no such log: log not found for none"),
        (["n2", "-u", "kubelet"], 'expected the name of a node of the cluster; nodes "n2" not'),
        (["n1", *["-u", "kubelet"] * 5], "expected 1 to 4 units at once; got 5"),
        (["n1", "-u", "kubelet", "--since", "1h", "--until", "2h"], "expected --until to be after"),
        (["n1", "-u", "kubelet", "-f", "--until", "now"], "expected --until or -f; got both"),
        (["n1", "-u", "kubelet", "--since", "soon"], "expected a time such as"),
        (["n1", "-u", "kubelet", "--context", "x"], 'expected a context "x"'),
    ],
)
def test_what_cannot_be_asked_is_told(kelp, arguments, said):
    assert said in "\n".join(kelp(*arguments, status=1))


@pytest.mark.parametrize("options", [[], ["--tail", "5"], ["-f"]])
def test_a_service_that_writes_to_a_file_is_told_with_its_path(kelp, no_machine, options):
    (no_machine / "log" / "kube-proxy.log").write_text("I1121 10:00:00.000000  1 a.go:1] started\n")
    told = "\n".join(kelp("n1", "-u", "kube-proxy", *options, status=1))
    assert "kelp node logs n1 /var/log/kube-proxy.log" in told


def test_what_the_kubelet_does_not_do_is_told_with_its_setting(kelp, api):
    api.nodes["n1"].query = False
    told = kelp("n1", "-u", "kubelet", status=1)[0]
    assert "`enableSystemLogQuery: true`" in told
    assert ["first"] == kelp("n1", "syslog")[:1]
    api.nodes["n1"].handler = False
    told = kelp("n1", "-u", "kubelet", status=1)[0]
    assert "logs endpoint is disabled.: its configuration needs `enableSystemLogHandler" in told


def test_a_missing_right_is_named(kelp, api):
    api.rights.clear()
    assert "expected credentials that the API server knows" in kelp("n1", "syslog", status=1)[0]
    from tests.doubles.kube_api import TOKEN

    api.rights[TOKEN] = set()
    assert 'expected the right to "get nodes/proxy"' in kelp("n1", "syslog", status=1)[0]


def test_no_cluster(no_machine, monkeypatch, capsys):
    monkeypatch.delenv("KUBECONFIG", raising=False)
    assert 1 == run(["node", "logs", "n1", "-u", "kubelet"])
    assert "name a kubeconfig" in capsys.readouterr().err


def test_a_kubelet_that_cannot_be_reached(kelp, api):
    api.fault("proxy/logs", status=500)
    assert "got 500 (made to fail)" in kelp("n1", "-u", "kubelet", status=1)[0]


def test_an_answer_that_breaks_off_shows_what_came(api, capsys):
    api.nodes["n1"].write(*(written(5, "x" * 1000) for _ in range(100)))
    fault = api.fault("proxy/logs", cut=200)
    assert 1 == run(["node", "logs", "n1", "-u", "kubelet"])
    assert "broke off" in capsys.readouterr().err
    assert fault not in api.faults


def test_a_kubelet_that_stops_in_the_middle_is_told(api, capsys):
    api.nodes["n1"].cut_after = 2
    assert 0 == run(["node", "logs", "n1", "-u", "kubelet"])
    out, err = capsys.readouterr()
    assert ["old"] == ends(out.splitlines())
    assert "the kubelet stopped after 30 s" in err


def test_a_node_whose_clock_is_behind_utc_has_its_lines_nevertheless(kelp, api):
    api.nodes["n1"].zone_s = -8 * 3600
    assert ["two", "lines", "new"] == ends(kelp("n1", "-u", "kubelet", "--since", "40m"))


def test_what_the_page_tells_to_type_can_be_typed():
    page = Path(__file__).parents[2] / "docs" / "how-to" / "managed-clusters.md"
    found = re.findall(r"^kelp node logs (.*)$", page.read_text(), re.MULTILINE)
    assert len(found) > 5
    for line in found:
        logs.make_context("logs", shlex.split(line, comments=True))


def test_help(capsys):
    assert 0 == run(["node", "logs", "--help"])
    assert "nodes/proxy" in capsys.readouterr().out


class InterruptedHereError(Exception):
    pass


class Clock:
    """Turns when it is slept on; between two looks something happens."""

    def __init__(self, *steps) -> None:
        self.steps = list(steps)
        self.slept = 0.0

    def now_ns(self) -> int:
        return NOW_US * 1000

    def monotonic(self) -> float:
        return self.slept

    def sleep(self, seconds: float) -> None:
        self.slept += seconds
        if not self.steps:
            raise InterruptedHereError
        self.steps.pop(0)()


def follow(steps, **options) -> None:
    wanted = node_logs_show.Wanted("n1", units=("kubelet",), follow=True, **options)
    with pytest.raises(InterruptedHereError):
        node_logs_show.show(wanted, clock=Clock(*steps))


def test_following(api, capsys):
    node = api.nodes["n1"]
    steps = [
        lambda: None,
        lambda: node.write(written(9, "a")),
        lambda: api.fault("proxy/logs", status=503),
        lambda: node.write(written(8, "b"), written(8, "b")),
        lambda: None,
    ]
    follow(steps, tail=1)
    out, err = capsys.readouterr()
    assert ["new", "a", "b", "b"] == ends(out.splitlines())
    assert "got 503 (made to fail); trying again" in err


def test_following_what_is_silent_begins_now(api, capsys):
    node = api.nodes["n1"]
    follow([lambda: node.write(written(-1, "a")), lambda: None], tail=0, output="json")
    assert ["a"] == [json.loads(x)["message"] for x in capsys.readouterr().out.splitlines()]


def test_following_ends_where_it_cannot_go_on(api):
    wanted = node_logs_show.Wanted("n1", units=("kubelet",), follow=True)
    with pytest.raises(KelpError, match="get nodes/proxy"):
        node_logs_show.show(wanted, clock=Clock(lambda: api.rights.update({"the-right-token": {}})))


def test_a_terminal_is_left_alone_by_what_is_shown(api):
    """Through a pseudo-terminal, as a person would."""
    import pty

    api.nodes["n1"].write(written(1, "clear\x1b[2Jscreen"))
    main, side = pty.openpty()
    command = [sys.executable, "-m", "kelp", "node", "logs", "n1", "-u", "kubelet", "--tail", "1"]
    subprocess.run(command, stdout=side, check=True, env=os.environ)
    os.close(side)
    text = os.read(main, 65536)
    os.close(main)
    assert b"\x1b" not in text
    assert "clear␛[2Jscreen".encode() in text


def test_a_real_cluster():
    """Where a kubeconfig leads to one: a node's logs, or in so many words why not."""
    if not os.environ.get("KUBECONFIG"):
        pytest.skip("no KUBECONFIG: no real API server to ask")
    try:
        client = KubeClient(find_access(os.environ))
        listed = client.read("/api/v1/nodes", right="list nodes", limit=64 << 20)
    except KelpError as e:
        pytest.skip(f"no real API server to ask: {e}")
    name = json.loads(listed)["items"][0]["metadata"]["name"]
    done = subprocess.run(
        [sys.executable, "-m", "kelp", "node", "logs", name, "/var/log/"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode == 0 and done.stdout) or done.stderr.startswith("kelp: expected")
