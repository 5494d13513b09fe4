"""21 Nodes: which there are, reports by their agents, who may ask, and what becomes of errors."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest
import yaml

from kelp.base.redact import REDACTED
from kelp.base.settings import Settings
from tests.api.running import Api, Running
from tests.cli.nodes import ByHand, agent_settings, answering, waits
from tests.node.host.tree import Tree
from tests.waiting import wait_until

NODES = "/kelp/v1/nodes"


@pytest.fixture(scope="module")
def node(server: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a made node `n1` whose agent answers."""
    folder = tmp_path_factory.mktemp("n1")
    settings = agent_settings(folder, server, "n1")
    tree = Tree(folder)
    tree.process(7, "web", command="web --password hunter2 --port 80")
    with answering(settings):
        waits(server, "n1")
        yield folder


@pytest.fixture
def mine(server: Running) -> Iterator[Api]:
    """The tenant that Kelp's agents belong to."""
    api = Api(server, tenant=None)
    yield api
    api.close()


def error(response: httpx2.Response) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["message"]


def test_nodes_are_listed(node: Path, mine: Api) -> None:
    (found,) = (n for n in mine.get(NODES).json()["nodes"] if n["node"] == "n1")
    assert found["connected"] is True
    assert found["reports"][-1] == "support-bundle"
    assert found["last_seen"].endswith("Z")


@pytest.mark.parametrize(
    "report", ["top", "ps", "iostat", "vmstat", "ss", "route", "pressure", "cgroups"]
)
def test_each_report(node: Path, mine: Api, report: str) -> None:
    response = mine.get(f"{NODES}/n1/{report}")
    assert response.status_code == 200, response.text
    assert {"time", "interval_s", "notes"} <= response.json().keys()


def test_parameters_and_secrets(node: Path, mine: Api) -> None:
    found = mine.get(f"{NODES}/n1/ps", sort="pid", tree="true").json()["processes"]
    assert found[1]["command"] == f"web --password {REDACTED} --port 80"
    assert found[1]["depth"] == 1


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("vmstat?sort=x", 'vmstat: expected a parameter of none; got "sort"'),
        ("top?sort=size", "top: expected sort to be one of cpu"),
        ("ss?protocols=sctp", "expected protocols to be of tcp,udp,unix"),
        ("top?interval_s=11", "expected interval_s from 0 to 10; got 11"),
        ("top?interval_s=x", "the parameter 'interval_s' cannot be read"),
        ("top?colour=red", "unknown parameter"),
        ("dance", "the parameter 'report' cannot be read"),
        ("support-bundle?sort=x", "support-bundle takes no parameters; got sort"),
    ],
)
def test_a_wrong_question_is_400(node: Path, mine: Api, query: str, said: str) -> None:
    status, message = error(mine.http.get(f"{NODES}/n1/{query}"))
    assert status == 400
    assert said in message


def test_another_tenant_sees_nothing(node: Path, api: Api) -> None:
    assert api.get(NODES).json() == {"nodes": []}
    status, message = error(api.get(f"{NODES}/n1/top"))
    assert (status, message) == (404, 'there is no node "n1" whose agent asks for questions here')


def test_without_the_token_nobody_asks(node: Path, server: Running) -> None:
    assert httpx2.get(f"{server.url}{NODES}/n1/top").status_code == 401
    assert httpx2.post(f"{server.url}/kelp/v1/asks", content=b"{}").status_code == 401


def test_an_unknown_node(node: Path, mine: Api) -> None:
    assert error(mine.get(f"{NODES}/nowhere/top"))[0] == 404


def test_many_callers_at_once(node: Path, server: Running) -> None:
    def ask(number: int) -> int:
        api = Api(server, tenant=None)
        try:
            return api.get(f"{NODES}/n1/{('ps', 'ss')[number % 2]}").status_code
        finally:
            api.close()

    with ThreadPoolExecutor(8) as threads:
        assert [200] * 16 == list(threads.map(ask, range(16)))


def test_an_agent_that_does_not_answer(server: Running, mine: Api) -> None:
    agent = ByHand(server, "silent")
    assert agent.ask() is None
    status, message = error(mine.get(f"{NODES}/silent/top", timeout_s=1))
    assert status == 504
    assert 'the agent of the node "silent" did not take the question within 1 s' in message


def test_a_late_answer_is_unwanted(server: Running, mine: Api) -> None:
    agent = ByHand(server, "late")
    agent.ask()
    with ThreadPoolExecutor(1) as thread:
        asked = thread.submit(mine.get, f"{NODES}/late/top", timeout_s=1)
        ask = agent.ask(10)
        assert error(asked.result())[0] == 504
    assert agent.answer(ask, b"{}").status_code in (404, 410)


def test_a_huge_answer_passes_in_parts(server: Running, mine: Api) -> None:
    agent = ByHand(server, "huge")
    agent.ask()
    part = bytes(range(256)) * 1024

    def send() -> list[int]:
        ask = agent.ask(10)
        return [
            agent.answer(ask, part, part=i, last=str(i == 79).lower()).status_code
            for i in range(80)
        ]

    with ThreadPoolExecutor(1) as thread:
        sent = thread.submit(send)
        with mine.http.stream("GET", f"{NODES}/huge/support-bundle") as response:
            assert response.headers["content-type"] == "application/gzip"
            size = sum(map(len, response.iter_bytes()))
        assert (size, [204] * 80) == (80 * len(part), sent.result())


def test_a_part_that_is_too_large_is_refused(server: Running, mine: Api) -> None:
    agent = ByHand(server, "large")
    assert agent.answer({"id": "x"}, bytes((1 << 20) + 1)).status_code == 413


def test_what_the_agent_cannot_do_is_told(server: Running, mine: Api) -> None:
    agent = ByHand(server, "broken")
    agent.ask()
    with ThreadPoolExecutor(1) as thread:
        asked = thread.submit(mine.get, f"{NODES}/broken/top")
        assert agent.answer(agent.ask(10), b"no right", outcome="failed").status_code == 204
        expected = (502, 'the agent of the node "broken" cannot do this: no right')
        assert expected == error(asked.result())


def test_an_answer_that_breaks_off_is_seen_to(server: Running, mine: Api) -> None:
    agent = ByHand(server, "half")
    agent.ask()

    def send() -> None:
        ask = agent.ask(10)
        agent.answer(ask, b"the begin", last="false")
        agent.answer(ask, b"the disk is gone", part=1, outcome="failed")

    with ThreadPoolExecutor(1) as thread:
        thread.submit(send)
        with pytest.raises(httpx2.RemoteProtocolError):
            mine.get(f"{NODES}/half/support-bundle")


def test_a_caller_that_leaves_lets_the_agent_go(server: Running) -> None:
    agent = ByHand(server, "left")
    agent.ask()
    impatient = Api(server, tenant=None)
    with ThreadPoolExecutor(1) as thread:
        asked = thread.submit(impatient.http.get, f"{NODES}/left/top", timeout=0.5)
        ask = agent.ask(10)
        with pytest.raises(httpx2.TimeoutException):
            asked.result()
    impatient.close()
    deadline = time.monotonic() + 10
    while agent.answer(ask, b"", part=0, last="false").status_code == 204:
        assert time.monotonic() < deadline


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "the body cannot be read"),
        (b"\xff\xfe", "the body cannot be read"),
        (b'{"node": 7}', "the body cannot be read"),
        (b'{"node": ""}', "the node's name cannot be used"),
        (b'{"node": "a/b"}', "the node's name cannot be used"),
        (json.dumps({"node": "x" * 300}).encode(), "the node's name cannot be used"),
        (b'{"node": "' + b"x" * (1 << 17) + b'"}', "too large"),
    ],
)
def test_a_presence_that_is_none(server: Running, body: bytes, said: str) -> None:
    response = ByHand(server, "n").http.post("/kelp/v1/asks", content=body)
    assert response.status_code in (400, 413)
    assert said in response.json()["error"]["message"]


def test_an_agent_without_a_name(server: Running) -> None:
    agent = ByHand(server, "n")
    del agent.http.headers["Kelp-Agent-Id"]
    response = agent.http.post("/kelp/v1/asks", content=b'{"node": "n"}')
    assert error(response) == (400, "the parameter 'Kelp-Agent-Id' is missing")


def test_the_support_bundle(node: Path, mine: Api, server: Running) -> None:
    response = mine.get(f"{NODES}/n1/support-bundle")
    assert response.status_code == 200
    with tarfile.open(fileobj=io.BytesIO(response.content), mode="r:gz") as tar:
        files = {m.name.partition("/")[2]: tar.extractfile(m).read() for m in tar}  # type: ignore[union-attr]
    assert {"MANIFEST.json", "agent/settings.yaml", "agent/state.json", "node/ps.txt"} <= set(files)
    assert yaml.safe_load(files["agent/settings.yaml"])["agent"]["node"] == "n1"
    assert b"kelp_agent_ask_up 1.0" in files["agent/metrics.txt"]
    everything = b"".join(files.values())
    assert b"hunter2" not in everything
    assert server.token.encode() not in everything


def test_an_agent_told_not_to_answer_is_no_node(server: Running, mine: Api, tmp_path: Path) -> None:
    settings = agent_settings(tmp_path, server, "quiet", answer_asks=False)
    with answering(settings) as agent:
        wait_until(lambda: not agent.unready())
        assert b"kelp_agent_ask_up" not in agent.metrics()
    assert "quiet" not in [n["node"] for n in mine.get(NODES).json()["nodes"]]


def test_an_agent_that_is_killed_while_it_answers(
    server: Running, mine: Api, tmp_path: Path
) -> None:
    settings = agent_settings(tmp_path, server, "killed")
    config = tmp_path / "kelp.yaml"
    config.write_text(yaml.safe_dump(_changed(settings)))
    command = [sys.executable, "-m", "kelp", "agent", "--config", str(config)]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("KELP_")}
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as process:
        try:
            waits(server, "killed")
            with ThreadPoolExecutor(1) as thread:
                asked = thread.submit(mine.get, f"{NODES}/killed/top", interval_s="10", timeout_s=3)
                wait_for_ask(mine)
                process.send_signal(signal.SIGKILL)
                status, message = error(asked.result())
        finally:
            process.kill()
    assert status == 504
    assert "took the question and did not answer within 3 s" in message


def wait_for_ask(api: Api) -> None:
    """The agent needs a moment to take the question; a second report passes it on the way."""
    assert api.get(f"{NODES}/killed/vmstat").status_code == 200


def _changed(settings: Settings) -> Any:
    agent = msgspec.to_builtins(settings)["agent"]
    return {"data_dir": settings.data_dir, "agent": agent}
