"""Agent and server killed again and again: each line is there exactly once at the end, in order."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

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
        for batch in segment.log_batches():
            rows = batch.records.select(["stream_id", "position", "body"]).to_pylist()
            for row in rows:
                labels = batch.streams[row["stream_id"]].labels
                instance = f"{labels['pod']}/{labels['restart']}"
                yield instance, row["position"], row["body"].decode()


def test_the_agent_against_a_durable_endpoint(tmp_path: Path, spool_disk: Path) -> None:
    port, received = free_port(), tmp_path / "received"
    received.mkdir()
    (spool_disk / "token").write_text("token\n")
    server = Restartable(
        [sys.executable, "-m", "tests.doubles.segment_server", str(received), str(port)],
        tmp_path / "server.log",
    )
    agent, agent_url = agent_command(spool_disk, tmp_path / "pods", f"http://127.0.0.1:{port}")
    scene = Scene(agent, server, agent_url, spool_disk, random.Random(11))
    try:
        with writing(tmp_path / "pods") as writer:
            server.start()
            agent.start()
            wait_until(lambda: scene.ready().strip() == "ok", 30)
            scene.random_kills(20, (0.2, 2.5), (0.1, 2.0))
            scene.server_away_until_the_spool_is_full()
            if os.geteuid() == 0:
                scene.disk_filled()
            scene.random_kills(15, (0.2, 2.5), (0.1, 2.0))
            written = finish(writer)
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
