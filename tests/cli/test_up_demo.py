"""What a newcomer does: `kelp up --demo`, and `kelp logs` beside it. Everything here is real."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.waiting import wait_until

KELP = [sys.executable, "-m", "kelp"]


class Demo:
    """A running `kelp up --demo` and the shell of its user."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
        self.folder = folder
        self.environ = {k: v for k, v in os.environ.items() if not k.startswith("KELP_")}
        for name in ("TMPDIR", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "HOME"):
            self.environ[name] = str(folder)
        self.output = (folder / "output").open("w+")
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            [*KELP, "up", "--demo", "--listen", f"127.0.0.1:{port}"],
            env=self.environ, stdout=self.output, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*KELP, *arguments], env=self.environ, capture_output=True, text=True, timeout=60,
            check=False,
        )  # fmt: skip

    def said(self) -> str:
        return (self.folder / "output").read_text()

    def child(self, name: str) -> int:
        """The process id of a child, by the end of its command line."""
        for path in Path("/proc").iterdir():
            try:
                arguments = (path / "cmdline").read_bytes().split(b"\0")
                parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, ValueError, IndexError):
                continue
            if parent == self.process.pid and name.encode() in arguments:
                return int(path.name)
        return 0

    def stop(self, number: int = signal.SIGTERM) -> float:
        """Tell it to end; the seconds that took."""
        before = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(30)
        return time.monotonic() - before


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    demo = Demo(tmp_path_factory.mktemp("demo"))
    try:
        wait_until(lambda: "is up at" in demo.said() or demo.process.poll() is not None, 90)
        assert "is up at" in demo.said(), demo.said()
        yield demo
    finally:
        if demo.process.poll() is None:
            demo.stop()
        demo.output.close()


@pytest.fixture(scope="module", autouse=True)
def with_logs(demo):
    """The tests below want the first lines, and most of the demo's past."""
    wait_until(lambda: demo.run("logs", "--limit", "5").stdout.count("\n") == 5, 30)
    wait_until(lambda: "certificate" in demo.run("logs", "pod/web-0", "--previous").stdout, 60)


def test_the_greeting_says_where_it_is(demo):
    said = demo.said()
    assert "Kelp 0.1.0 is up at http://127.0.0.1:" in said
    assert "of a simulated node, as --demo asks" in said
    assert "Traceback" not in said


def test_the_run_before_the_restart_ends_with_its_reason(demo):
    done = demo.run("logs", "-n", "payments", "web-0", "-c", "app", "--previous", "--tail", "3")
    assert done.stderr == ""
    assert done.stdout.splitlines()[-1] == (
        "web-0 app provider.client.ProviderError: TLS handshake with psp.example.com failed: "
        "certificate has expired"
    )


def test_an_order_is_found_by_its_trace_id_in_five_containers(demo):
    line = demo.run("logs", "-n", "payments", "-i", "payment accepted", "--limit", "1", "-o", "raw")
    trace_id = json.loads(line.stdout)["trace_id"]
    found = [
        json.loads(r) for r in demo.run("logs", "-i", trace_id, "-o", "jsonl").stdout.splitlines()
    ]
    assert {r["labels"]["container"] for r in found} == {"cart", "api", "app", "ledger"}
    assert {r["labels"]["namespace"] for r in found} == {"checkout", "payments"}
    assert [r["timestamp"] for r in found] == sorted(r["timestamp"] for r in found)


def test_long_lines_are_whole(demo):
    done = demo.run("logs", "deployment/search-indexer", "-o", "raw", "-i", "document indexed")
    lines = done.stdout.splitlines()
    assert lines
    assert max(map(len, lines)) > 16 * 1024
    assert all(json.loads(line)["msg"] == "document indexed" for line in lines)


def test_severities_are_known(demo):
    done = demo.run("logs", "deployment/ledger", "-i", "failed", "-o", "jsonl", "--limit", "5")
    severities = {json.loads(line)["severity"] for line in done.stdout.splitlines()}
    assert severities == {"error"}


def test_labels_series_query_and_sql_answer(demo):
    namespaces = demo.run("labels", "namespace").stdout.split()
    assert {"checkout", "kube-system", "monitoring", "payments"} <= set(namespaces)
    series = demo.run("series", '{namespace="payments", container="ledger"}').stdout
    assert 'namespace="payments"' in series
    vector = demo.run(
        "query", "--instant", 'sum by (namespace) (count_over_time({pod=~".+"}[10m]))'
    )
    assert "payments" in vector.stdout, vector.stderr
    matrix = demo.run("query", 'sum(rate({namespace="payments"}[1m]))', "--since", "10m")
    assert "█" in matrix.stdout, matrix.stderr
    table = demo.run("sql", "select namespace, count() as n from logs group by namespace")
    assert "payments" in table.stdout, table.stderr


def test_an_unknown_pod_is_told_with_those_that_come_near(demo):
    done = demo.run("logs", "-n", "payments", "web-7")
    assert done.returncode == 1
    assert "near it: " in done.stderr
    assert "web-0" in done.stderr


def test_following_rides_over_the_death_of_the_server(demo):
    path = demo.folder / "followed"
    with path.open("w") as out:
        follower = subprocess.Popen(
            [*KELP, "logs", "-n", "payments", "-f", "--tail", "0", "-o", "jsonl"],
            env=demo.environ, stdout=out, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        wait_until(lambda: path.read_text().count("\n") > 30, 30)
        server = demo.child("server")
        os.kill(server, signal.SIGKILL)
        wait_until(lambda: "the server is back" in path.read_text(), 60)
        size = path.read_text().count("\n")
        wait_until(lambda: path.read_text().count("\n") > size + 60, 60)
    finally:
        follower.terminate()
        follower.wait(10)
    assert "kelp: the server was killed by SIGKILL; starting it again in" in demo.said()
    lines = path.read_text().splitlines()
    records = [json.loads(line) for line in lines if line.startswith("{")]
    keys = [(tuple(sorted(r["labels"].items())), r["position"]) for r in records]
    assert len(keys) == len(set(keys)), "a line was shown twice"
    first, last = records[0]["timestamp"], records[-100]["timestamp"]
    stored = demo.run(
        "logs", "-n", "payments", "--since-time", first, "-o", "jsonl", "--limit", "0"
    )
    expected = {
        (tuple(sorted(r["labels"].items())), r["position"])
        for r in map(json.loads, stored.stdout.splitlines())
        if r["timestamp"] < last
    }
    assert not expected - set(keys), "a line was left out"


def test_a_child_that_dies_is_started_again(demo):
    agent = demo.child("agent")
    os.kill(agent, signal.SIGKILL)
    wait_until(lambda: demo.child("agent") not in (0, agent), 30)
    assert "kelp: the agent was killed by SIGKILL; starting it again in" in demo.said()


def test_a_second_one_on_its_port_is_told(demo):
    url = demo.said().partition(" is up at ")[2].split()[0]
    done = demo.run("up", "--demo", "--listen", url.removeprefix("http://"))
    assert done.returncode == 1
    assert "Address already in use; is another Kelp running?" in done.stderr
    assert demo.run("logs", "--limit", "1").returncode == 0


def test_it_ends_in_time_and_leaves_nothing(demo):
    names = ("server", "agent", "kelp.demo")
    wait_until(lambda: all(map(demo.child, names)), 30)
    children = [demo.child(name) for name in names]
    assert demo.stop(signal.SIGINT) < 5
    assert demo.process.returncode == 0
    assert not any(Path("/proc", str(pid)).exists() for pid in children)
    assert not list(demo.folder.glob("kelp-demo-*"))
    assert "Traceback" not in demo.said()
    done = demo.run("logs")
    assert done.returncode == 1
    assert "no Kelp server answers at http://127.0.0.1:3170" in done.stderr
