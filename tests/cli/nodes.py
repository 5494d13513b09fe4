"""A server and the agent of a made node beside it, in this process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import msgspec

from kelp.agent.main import Agent
from kelp.base.settings import Agent as AgentSettings
from kelp.base.settings import Journal, Kmsg, Server, Settings, Ship
from kelp.cli.answers import answers
from kelp.wire.asks import Presence
from tests.api.running import Running
from tests.node.host.tree import Tree
from tests.waiting import wait_until


def server_settings(folder: Path) -> Settings:
    return Settings(data_dir=str(folder), server=Server(listen="127.0.0.1:0"))


def agent_settings(folder: Path, server: Running, node: str, **changes: object) -> Settings:
    """Of an agent that sees the made node in `folder`, and has the server's token."""
    tree = Tree(folder)
    tree.roots.pods.mkdir(parents=True, exist_ok=True)
    tree.process(1, "init", ppid=0)
    data = folder / "data"
    data.mkdir(exist_ok=True)
    (data / "token").write_text(server.token)
    values: dict[str, object] = {
        "listen": "127.0.0.1:0",
        "node": node,
        "pods_dir": str(tree.roots.pods),
        "proc_dir": str(tree.roots.proc),
        "sys_dir": str(tree.roots.sys),
        "journal": Journal(enabled=False, command="no-such-journalctl"),
        "kmsg": Kmsg(enabled=False, path=str(folder / "kmsg")),
        "files": [],
        "ship": Ship(url=server.url),
    }
    return Settings(data_dir=str(data), agent=AgentSettings(**{**values, **changes}))


@contextmanager
def answering(settings: Settings) -> Iterator[Agent]:
    """The agent within the block."""
    agent = Agent(settings, answers=answers())
    thread = threading.Thread(target=agent.run)
    thread.start()
    try:
        yield agent
    finally:
        agent.stop()
        thread.join(10)
    assert not thread.is_alive()


def waits(server: Running, node: str) -> None:
    """Wait until the server knows that the node's agent waits."""
    headers = {"Authorization": f"Bearer {server.token}"}

    def connected() -> bool:
        found = httpx2.get(f"{server.url}/kelp/v1/nodes", headers=headers).json()["nodes"]
        return any(n["node"] == node and n["connected"] for n in found)

    wait_until(connected, 20)


class ByHand:
    """An agent that does what a test says."""

    def __init__(self, server: Running, node: str) -> None:
        self.node = node
        self.http = httpx2.Client(
            base_url=server.url,
            headers={"Authorization": f"Bearer {server.token}", "Kelp-Agent-Id": "by-hand"},
            timeout=30,
        )

    def ask(self, wait_s: int = 0) -> Any:
        body = msgspec.json.encode(Presence(node=self.node))
        response = self.http.post(f"/kelp/v1/asks?wait_s={wait_s}", content=body)
        assert response.status_code == 200, response.text
        return response.json()["ask"]

    def answer(self, ask: Any, data: bytes, **query: Any) -> httpx2.Response:
        params = {"ask": ask["id"], "part": 0, "last": "true", **query}
        headers = {"Content-Type": "application/octet-stream"}
        return self.http.post("/kelp/v1/answers", params=params, content=data, headers=headers)
