"""What both crash tests play: a node that writes, an agent and a server that are killed.

The scene, in order: random kills; the server away until the spool is full, with kills of the
waiting agent; the spool's disk filled to the last byte, with a start of the agent on it; random
kills again; then all may come to rest, and what the server holds is compared with what was written.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.crash.node_writer import environ
from tests.crash.process import Killer, Restartable, free_port, get
from tests.waiting import wait_until

LINES_PER_S = 1500
SPOOL_MAX_BYTES = 600_000
MAX_BYTES = "KELP_AGENT_SPOOL_MAX_BYTES"

# Record: (instance, stream position, body).
Record = tuple[str, int, str]


@dataclass
class Scene:
    """The parts of a run."""

    agent: Restartable
    server: Restartable
    agent_url: str
    spool: Path
    rng: random.Random

    def ready(self) -> str:
        return get(f"{self.agent_url}/readyz")[1]

    def random_kills(self, kills: int, agent_s: tuple[float, float], server_s: tuple[float, float]):
        """Until both together were killed so often more."""
        before = self.agent.kills + self.server.kills
        # Random numbers of their own: how two threads take turns is no seed's to decide.
        with (
            Killer(self.agent, random.Random(self.rng.random()), *agent_s) as one,
            Killer(self.server, random.Random(self.rng.random()), *server_s) as two,
        ):
            wait_until(
                lambda: (
                    one.failure
                    or two.failure
                    or self.agent.kills + self.server.kills - before >= kills
                ),
                110,
            )

    def server_away_until_the_spool_is_full(self) -> None:
        self.server.kill()
        for _ in range(2):
            wait_until(lambda: "spool: full" in self.ready(), 30)
            self.agent.kill()
            self.agent.start()
        wait_until(lambda: "spool: full" in self.ready(), 30)
        self.server.start()
        wait_until(lambda: self.ready().strip() == "ok", 30)

    def disk_filled(self) -> None:
        # From now on the disk is the limit, and not a setting.
        self.agent.kill()
        self.agent.environ[MAX_BYTES] = str(1 << 30)
        self.agent.start()
        # With the server there, the agent would do with the space of what it has delivered.
        self.server.kill()
        filler = self.spool / "filler"
        fill(filler)
        wait_until(lambda: "spool: disk_full" in self.ready(), 30)
        self.agent.kill()
        fill(filler)  # what the kill gave back
        self.agent.start()
        wait_until(lambda: self.ready().strip() not in ("", "ok"), 30)
        filler.unlink()
        self.server.start()
        wait_until(lambda: self.ready().strip() == "ok", 30)


def fill(path: Path) -> None:
    with path.open("ab", buffering=0) as f, suppress(OSError):
        while True:
            f.write(bytes(512))


@contextmanager
def writing(pods: Path, node: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The writer; `finish` it to learn what it wrote."""
    writer = subprocess.Popen(
        [sys.executable, "-m", "tests.crash.writer", str(pods), str(LINES_PER_S), str(node)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    try:
        yield writer
    finally:
        writer.kill()
        writer.wait()


def finish(writer: subprocess.Popen[bytes]) -> dict[str, int]:
    """Stop writing; how many records each instance has. What it holds in itself can be read on."""
    assert writer.stdin is not None
    assert writer.stdout is not None
    writer.stdin.write(b"stop\n")
    writer.stdin.flush()
    said = json.loads(writer.stdout.readline())
    for manner, count in said["rotations"].items():
        assert count >= 5, f"too few rotations to mean anything: {manner}: {count}"
    return said["counts"]


def compare(written: dict[str, int], records: Iterable[Record]) -> None:
    """Each written record is there exactly once, in the order of positions."""
    found: dict[str, list[tuple[int, int]]] = {}
    for instance, position, body in records:
        name, number, filler = body.split(" ")
        assert name == instance
        assert 20 <= len(filler) <= 120
        found.setdefault(instance, []).append((position, int(number)))
    wrong = []
    for instance, count in written.items():
        numbers = [number for _, number in sorted(found.get(instance, []))]
        if numbers != list(range(count)):
            wrong.append(f"{instance}: {difference(count, numbers)}")
    assert wrong == []
    assert set(found) == set(written)


def difference(count: int, numbers: list[int]) -> str:
    seen = set(numbers)
    missing = sorted(set(range(count)) - seen)
    repeated = sorted(n for n in seen if numbers.count(n) > 1) if len(numbers) > len(seen) else []
    return (
        f"{count} written, {len(numbers)} found; "
        f"missing {len(missing)}: {missing[:5]}…{missing[-5:]}; "
        f"repeated {len(repeated)}: {repeated[:5]}…; in order: {numbers == sorted(numbers)}"
    )


def agent_command(data: Path, pods: Path, node: Path, server_url: str) -> tuple[Restartable, str]:
    """A real agent with a small spool, and the address of its own listener."""
    port = free_port()
    command = [sys.executable, "-m", "kelp.cli.main", "agent", "--data-dir", str(data)]
    command += ["--pods-dir", str(pods), "--url", server_url, "--listen", f"127.0.0.1:{port}"]
    settings = {
        MAX_BYTES: str(SPOOL_MAX_BYTES),
        "KELP_AGENT_SPOOL_SEGMENT_BYTES": "200000",
        "KELP_AGENT_SPOOL_FLUSH_INTERVAL_S": "0.1",
        "KELP_AGENT_POLL_INTERVAL_S": "0.05",
        "KELP_AGENT_SCAN_INTERVAL_S": "1",
        "KELP_AGENT_SHIP_BACKOFF_MAX_S": "0.5",
        **environ(node),
    }
    agent = Restartable(command, data.parent / "agent.log", settings)
    return agent, f"http://127.0.0.1:{port}"
