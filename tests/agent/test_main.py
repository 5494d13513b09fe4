"""The agent as a real process: start, readiness, reload, stop."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.agent.ship.scripted import Scripted, serving
from tests.crash.process import free_port, get
from tests.kubelet import ContainerLog, Kubelet
from tests.waiting import wait_until

CONFIG = """\
data_dir: {data}
log_level: {level}
agent:
  pods_dir: {pods}
  listen: 127.0.0.1:{port}
  node: {node}
  poll_interval_s: 0.05
  spool:
    flush_interval_s: 0.1
  ship:
    url: {url}
    backoff_max_s: 0.2
"""


@dataclass
class Running:
    folder: Path
    port: int
    url: str

    def __post_init__(self) -> None:
        self.log = ContainerLog(Kubelet(self.folder / "pods").pod_folder() / "app")
        (self.folder / "data").mkdir(exist_ok=True)
        (self.folder / "data" / "token").write_text("secret")
        self.configure()
        command = [sys.executable, "-m", "kelp.cli.main", "agent", "--config", str(self.config)]
        with (self.folder / "log").open("wb") as out:
            self.process = subprocess.Popen(command, stdout=out, stderr=out)

    @property
    def config(self) -> Path:
        return self.folder / "kelp.yaml"

    def configure(self, **changes: object) -> None:
        values = {
            "data": self.folder / "data", "pods": self.folder / "pods", "port": self.port,
            "url": self.url, "level": "info", "node": "n1",
        }  # fmt: skip
        self.config.write_text(CONFIG.format(**(values | changes)))

    def get(self, path: str) -> tuple[int, str]:
        return get(f"http://127.0.0.1:{self.port}{path}")

    def post_reload(self) -> tuple[int, str]:
        import urllib.error
        import urllib.request

        url = f"http://127.0.0.1:{self.port}/-/reload"
        try:
            with urllib.request.urlopen(urllib.request.Request(url, method="POST")) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as e:
            return e.code, e.read().decode()

    def logged(self) -> str:
        return (self.folder / "log").read_text()

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, float]:
        started = time.monotonic()
        self.process.send_signal(number)
        status = self.process.wait(10)
        return status, time.monotonic() - started


@pytest.fixture
def script() -> Scripted:
    return Scripted()


@pytest.fixture
def agent(tmp_path: Path, script: Scripted) -> Iterator[Running]:
    with serving(script) as url:
        running = Running(tmp_path, free_port(), url)
        try:
            wait_until(lambda: running.get("/readyz")[0] == 200, 20)
            yield running
        finally:
            running.process.kill()
            running.process.wait()


def test_lines_arrive_and_a_stop_delivers_what_was_read(agent, script):
    assert agent.get("/healthz") == (200, "ok\n")
    agent.log.lines(10)
    wait_until(lambda: script.seqs == [1])
    assert "kelp_agent_records_total 10.0" in agent.get("/metrics")[1]
    assert "process_resident_memory_bytes" in agent.get("/metrics")[1]
    agent.log.lines(10)
    wait_until(lambda: "kelp_agent_read_bytes_total" in agent.get("/metrics")[1])
    status, seconds = agent.stop()
    assert status == 0
    assert seconds < 5
    assert "agent stopped" in agent.logged()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_with_a_server_that_hangs_takes_less_than_five_seconds(agent, script, number):
    import threading

    let_go = threading.Event()
    script.replies.append(lambda _handler: let_go.wait(30))
    agent.log.lines(10)
    wait_until(lambda: script.seen)
    status, seconds = agent.stop(number)
    let_go.set()
    assert status == 0
    assert seconds < 5
    assert 'msg="agent stopped" waiting_segments=1' in agent.logged()


def test_reload_by_http(agent):
    assert agent.post_reload() == (200, "nothing changed\n")
    agent.configure(level="debug", node="n2")
    assert agent.post_reload() == (200, "changed: log_level; needs a restart: agent.node\n")
    assert agent.post_reload() == (200, "needs a restart: agent.node\n")
    agent.config.write_text("agent:\n  pods_dri: /x\n")
    status, text = agent.post_reload()
    assert status == 400
    assert text.startswith("the old settings stay: ")
    assert "pods_dri" in text
    agent.configure(url="ftp://nobody")
    assert agent.post_reload()[0] == 400
    assert agent.get("/readyz") == (200, "ok\n")


def test_reload_by_signal_moves_to_another_server(agent, script):
    other = Scripted()
    agent.log.lines(1)
    wait_until(lambda: script.seqs == [1])
    with serving(other) as url:
        agent.configure(url=url)
        agent.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "changed: agent.ship.url" in agent.logged())
        agent.log.lines(1)
        wait_until(lambda: other.seqs == [2])
        agent.config.write_text("nonsense: 1\n")
        agent.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "the old settings stay" in agent.logged())
        assert agent.stop()[0] == 0


def test_the_token_goes_along(agent, script):
    agent.log.lines(1)
    wait_until(lambda: script.seen)
    assert script.seen[0][1]["authorization"] == "Bearer secret"


def test_a_second_agent_on_the_same_spool_says_so(agent):
    command = [sys.executable, "-m", "kelp.cli.main", "agent", "--config", str(agent.config)]
    second = subprocess.run(
        [*command, "--listen", "127.0.0.1:0"], capture_output=True, text=True, check=False
    )
    assert second.returncode == 1
    assert f"another kelp agent (pid {agent.process.pid}) uses the spool" in second.stderr
    assert "Traceback" not in second.stderr


def test_an_address_in_use_says_so(agent):
    command = [sys.executable, "-m", "kelp.cli.main", "agent", "--config", str(agent.config)]
    second = subprocess.run(command, capture_output=True, text=True, check=False)
    assert second.returncode == 1
    assert "cannot listen on" in second.stderr
    assert "Traceback" not in second.stderr
