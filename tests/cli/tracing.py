"""A node with a real agent and a real server in this process, for the tests of `kelp trace`."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from kelp.agent.main import Agent
from kelp.base.config import load_config
from kelp.cli.main import run
from tests.api.running import Api, Running
from tests.kubelet import ContainerLog, Kubelet
from tests.waiting import wait_until


class Scene:
    """One node; `run` is `kelp trace` with its configuration."""

    def __init__(self, server: Running, folder: Path, capture: Callable[[], Any], pod: str) -> None:
        self.pod = pod
        self.folder = folder
        self.pods = folder / "pods"
        self.data = folder / "data"
        self.containers = folder / "containers"
        self.config = folder / "kelp.yaml"
        self.api = Api(server, None)
        self._capture = capture
        self.kubelet = Kubelet(self.pods)
        self.data.mkdir()
        (self.data / "token").write_text(server.token)
        self.plain = folder / "plain"
        self.plain.mkdir()
        self.settings: dict[str, Any] = {
            "data_dir": str(self.data),
            "agent": {
                "pods_dir": str(self.pods), "containers_dir": str(self.containers),
                "listen": "127.0.0.1:0", "node": "n1", "poll_interval_s": 0.02,
                "scan_interval_s": 0.2, "trace_timeout_s": 0.1, "partial_timeout_s": 0.2,
                "node_metrics": False, "journal": {"enabled": False}, "kmsg": {"enabled": False},
                "files": [{"path": f"{self.plain}/kubelet.log"}],
                "spool": {"flush_interval_s": 0.05, "fsync": "never"},
                "ship": {"url": server.url},
            },
        }  # fmt: skip

    def start(self, container: str = "app") -> ContainerLog:
        return self.kubelet.start(self.pod, container)

    def write_config(self) -> None:
        self.config.write_text(yaml.safe_dump(self.settings))

    @contextmanager
    def agent(self) -> Iterator[Agent]:
        """An agent that collects within the block."""
        self.write_config()
        agent = Agent(load_config(self.config, {}).settings)
        thread = threading.Thread(target=agent.run)
        thread.start()
        try:
            yield agent
        finally:
            agent.stop()
            thread.join(10)
        assert not thread.is_alive()

    def collect(self, records: int) -> None:
        """Let an agent read until so many records are stored; then it is stopped."""
        with self.agent():
            # Where records lie is stored a moment after them.
            wait_until(lambda: min(self.stored(), self.placed()) >= records, 20)
        assert (records, records) == (self.stored(), self.placed())

    def stored(self, query: str = "") -> int:
        return sum(s["records"] for i in self.instances(query) for s in i["streams"])

    def placed(self, query: str = "") -> int:
        """Records whose file is stored."""
        return sum(f["records"] for i in self.instances(query) for f in i["files"])

    def instances(self, query: str = "") -> list[dict[str, Any]]:
        query = query or f'{{pod="{self.pod}"}}'
        found: list[dict[str, Any]] = self.api.get("/kelp/v1/trace", query=query).json()[
            "instances"
        ]
        return found

    def run(self, *arguments: object) -> tuple[int, str, str]:
        if not self.config.exists():
            self.write_config()
        status = run(["trace", *map(str, arguments), "--config", str(self.config),
                      "--root", str(self.folder)])  # fmt: skip
        captured = self._capture()
        return status, captured.out, captured.err

    def json(self, *arguments: object) -> dict[str, Any]:
        status, out, err = self.run(*arguments, "-o", "json")
        assert out, err
        found: dict[str, Any] = json.loads(out)
        found["status"] = status
        return found

    def verified(self, *arguments: object) -> tuple[int, dict[str, Any]]:
        """(exit status, the only verdict)."""
        found = self.json(*(arguments or (f"pod/{self.pod}",)), "--verify")
        (verdict,) = found["verified"]
        return found["status"], verdict
