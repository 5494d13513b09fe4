"""What the server costs to receive and store the corpus, merges included, and its queries."""

from __future__ import annotations

import math
import random
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2

from kelp.wire.segment import read_header
from process import Process, wait_for
from queries import Query
from table import Row

SECOND = 10**9
FIRST_NS = 1_795_132_800 * SECOND  # 2026-11-20T00:00:00Z, the corpus's first line
SPAN_NS = 2500 * SECOND  # a line a millisecond


class Client:
    """The server's HTTP API, as Grafana would call it."""

    def __init__(self, url: str, token: str) -> None:
        self._http = httpx2.Client(
            base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=120
        )

    def get(self, path: str, **parameters: Any) -> Any:
        """JSON of a GET; raises RuntimeError with the server's text otherwise."""
        answer = self._http.get(path, params=parameters)
        if answer.status_code != 200:
            raise RuntimeError(f"GET {path}: {answer.status_code} {answer.text[:500]}")
        return answer.json()

    def sql(self, query: str) -> list[dict[str, Any]]:
        """Rows of a statement over the read-only views."""
        answer = self._http.post("/kelp/v1/sql", json={"query": query})
        answer.raise_for_status()
        rows: list[dict[str, Any]] = answer.json()["rows"]
        return rows

    def send(self, segment: bytes) -> None:
        """One segment, as an agent sends it; waits and tries again where the server says so."""
        header = read_header(segment)
        headers = {
            "Content-Type": "application/vnd.apache.arrow.stream",
            "Kelp-Agent-Id": header.agent_id,
            "Kelp-Segment-Seq": str(header.seq),
        }
        while True:
            answer = self._http.post("/kelp/v1/segments", content=segment, headers=headers)
            if answer.status_code != 429:
                break
            time.sleep(float(answer.headers["Retry-After"]))
        answer.raise_for_status()

    def reachable(self) -> bool:
        """Whether the server answers already."""
        try:
            return self._http.get("/ready").status_code == 200
        except httpx2.TransportError:
            return False


def some_needle(corpus: Path) -> str:
    """A trace id from the middle of the corpus."""
    rng = random.Random(7)
    files = sorted(corpus.rglob("*.log"))
    while True:
        path = rng.choice(files)
        with path.open("rb") as f:
            f.seek(path.stat().st_size // 2)
            found = re.search(rb'"trace_id":"([0-9a-f]{32})"', f.read(1 << 16))
        if found:
            return found[1].decode()


def run_query(client: Client, q: Query) -> float:
    """Milliseconds, the best of three."""
    end = FIRST_NS + SPAN_NS + SECOND
    best = math.inf
    for _ in range(3):
        start = time.monotonic()
        if q.instant:
            client.get("/loki/api/v1/query", query=q.query, time=str(end))
        else:
            client.get(
                "/loki/api/v1/query_range", query=q.query, start=str(FIRST_NS), end=str(end),
                step=q.step, limit=str(q.limit), direction="backward",
            )  # fmt: skip
        best = min(best, time.monotonic() - start)
    return best * 1000


def disk_bytes(folder: Path) -> int:
    """What lies below a folder."""
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())


def settled(server: Process, quiet_s: float = 5.0) -> Callable[[], bool]:
    """True once the server has used no CPU to speak of for a while: merges are done."""
    state = {"cpu": -1.0, "since": time.monotonic()}

    def check() -> bool:
        cpu = server.cpu_seconds()
        if cpu - state["cpu"] > 0.25:
            state.update(cpu=cpu, since=time.monotonic())
        return time.monotonic() - state["since"] > quiet_s

    return check


def ingest(corpus: Path, segments: Path, work: Path, zu: float, queries: list[Query]) -> list[Row]:
    """Receive what the agent shipped, wait for the merges, ask the queries."""
    work.mkdir(parents=True)
    with Process(
        "server", "--data-dir", str(work), "--listen", "127.0.0.1:3199", log=work / "server.log"
    ) as server:
        token = work / "token"
        wait_for("the token", token.exists, server, 60)
        client = Client("http://127.0.0.1:3199", token.read_text().strip())
        wait_for("the server", client.reachable, server, 60)
        idle, started = server.cpu_seconds(), time.monotonic()
        for path in sorted(segments.iterdir()):
            client.send(path.read_bytes())
        received = time.monotonic() - started
        wait_for("the merges", settled(server), server, 300)
        cpu = server.cpu_seconds() - idle
        rows = [
            Row("server: receive and store, merges included: CPU", cpu / zu, "zu", 6),
            Row("server: wall time to acknowledge all", received, "s"),
            Row(
                "server: on disk, all indexes included", disk_bytes(work / "store") / 1e6, "MB", 110
            ),
            Row("server: peak memory", server.peak_rss_mib(), "MiB"),
        ]
        return rows + [Row(q.name, run_query(client, q), "ms", q.target_ms) for q in queries]
