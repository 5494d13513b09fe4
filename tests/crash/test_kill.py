"""Agent and server killed again and again: each line is there exactly once at the end, in order."""

from __future__ import annotations

import json
import os
import random
import sys
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.crash.node_writer import instance_of
from tests.crash.process import Restartable, free_port, get
from tests.crash.scene import (
    Record,
    Scene,
    agent_command,
    compare,
    finish,
    writing,
)
from tests.doubles import segment_server
from tests.tmpfs import small_tmpfs
from tests.waiting import wait_until

Counts = dict[str, int]

pytestmark = [pytest.mark.crash, pytest.mark.timeout(180)]


@pytest.fixture
def spool_disk(tmp_path: Path) -> Iterator[Path]:
    """The agent's data folder, on a disk that can be filled where that is allowed."""
    data = tmp_path / "data"
    if os.geteuid() != 0:
        data.mkdir()
        yield data
        return
    with small_tmpfs(data, "4m") as path:
        yield path


def stored_by_double(folder: Path) -> Iterator[Record]:
    for segment in segment_server.segments(folder):
        assert segment.header.losses == []  # nothing is lost, so nothing may be said to be
        for batch in segment.log_batches():
            rows = batch.records.select(["stream_id", "position", "body"]).to_pylist()
            for row in rows:
                labels = batch.streams[row["stream_id"]].labels
                yield instance_of(labels), row["position"], row["body"].decode()


@contextmanager
def play(scene: Scene, folder: Path, kills: int, server_s: tuple[float, float]) -> Iterator[Counts]:
    """The whole scene with so many kills at random; what was written."""
    with writing(folder / "pods", folder / "node") as writer:
        scene.server.start()
        scene.agent.start()
        wait_until(lambda: scene.ready().strip() == "ok", 30)
        scene.random_kills(kills // 2, (0.2, 2.5), server_s)
        scene.server_away_until_the_spool_is_full()
        if os.geteuid() == 0:
            scene.disk_filled()
        scene.random_kills(kills // 2, (0.2, 2.5), server_s)
        yield finish(writer)


def test_the_agent_against_a_durable_endpoint(tmp_path: Path, spool_disk: Path) -> None:
    port, received = free_port(), tmp_path / "received"
    received.mkdir()
    (spool_disk / "token").write_text("token\n")
    server = Restartable(
        [sys.executable, "-m", "tests.doubles.segment_server", str(received), str(port)],
        tmp_path / "server.log",
    )
    agent, agent_url = agent_command(
        spool_disk, tmp_path / "pods", tmp_path / "node", f"http://127.0.0.1:{port}"
    )
    scene = Scene(agent, server, agent_url, spool_disk, random.Random(11))
    try:
        with play(scene, tmp_path, 24, server_s=(0.1, 2.0)) as written:
            total = sum(written.values())

            def arrived() -> bool:
                return sum(s.header.records for s in segment_server.segments(received)) >= total

            wait_until(arrived, 60)
            assert agent.terminate(5) == 0
        compare(written, stored_by_double(received))
    finally:
        agent.end()
        server.end()
    assert get(agent_url + "/healthz") == (0, "")


def test_the_whole_way_from_file_to_answer(tmp_path: Path, spool_disk: Path) -> None:
    port, server_data = free_port(), tmp_path / "server"
    command = [sys.executable, "-m", "kelp.cli.main", "server", "--data-dir", str(server_data)]
    server = Restartable([*command, "--listen", f"127.0.0.1:{port}"], tmp_path / "server.log")
    url = f"http://127.0.0.1:{port}"
    agent, agent_url = agent_command(spool_disk, tmp_path / "pods", tmp_path / "node", url)
    agent.environ["KELP_AGENT_SHIP_TOKEN_FILE"] = str(server_data / "token")
    scene = Scene(agent, server, agent_url, spool_disk, random.Random(12))
    try:
        with play(scene, tmp_path, 50, server_s=(0.3, 4.0)) as written:
            total = sum(written.values())
            assert agent.kills + server.kills >= 50

            def answer() -> list[Record]:
                return list(stored_by_server(url, server_data / "token"))

            wait_until(lambda: get(url + "/readyz")[0] == 200, 60)
            wait_until(lambda: len(answer()) >= total, 60)
            assert agent.terminate(5) == 0
        compare(written, answer())
        assert server.terminate(10) == 0
    finally:
        agent.end()
        server.end()


def stored_by_server(url: str, token: Path) -> Iterator[Record]:
    """All records, by the API; a claimed loss fails, for nothing is lost."""
    query = urllib.parse.urlencode({"query": '{node=~".+"}'})
    headers = {"Authorization": f"Bearer {token.read_text().strip()}"}
    request = urllib.request.Request(f"{url}/kelp/v1/logs?{query}", headers=headers)
    with urllib.request.urlopen(request, timeout=60) as lines:
        for line in lines:
            item = json.loads(line)
            assert "loss" not in item, json.dumps(item)
            if record := item.get("record"):
                labels = record["labels"]
                yield instance_of(labels), record["position"], record["line"]
