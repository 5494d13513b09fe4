"""A real node's files through `kelp agent` and `kelp server`: each record comes out, byte for byte.

The truth is made by a reader of a few lines that shares nothing with the agent: it joins the files
of an instance from oldest to newest, and the fragments of each stream.
"""

from __future__ import annotations

import base64
import gzip
import json
import shutil
import sys
import urllib.parse
import urllib.request
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.process import Restartable, free_port, get
from tests.waiting import wait_until

PODS = Path(__file__).parents[3] / "shared" / "data" / "real-k8s" / "pods"

Instance = tuple[str, str, str, str]  # namespace, pod, container, restart
Record = tuple[str, bytes]  # stream, body

pytestmark = pytest.mark.skipif(not PODS.is_dir(), reason=f"no real files at {PODS}")


def test_every_record_byte_for_byte(answers: dict[Instance, list[Record]]):
    expected = dict(truth())
    assert answers.keys() == expected.keys()
    for instance, records in expected.items():
        assert by_stream(answers[instance]) == by_stream(records), instance


def test_orders_api_counts_on_without_gap_or_repeat(answers: dict[Instance, list[Record]]):
    [records] = [r for (_, pod, _, _), r in answers.items() if pod.startswith("orders-api")]
    seqs = [json.loads(body)["seq"] for _, body in records]
    assert seqs == list(range(seqs[0], seqs[0] + len(seqs)))


def by_stream(records: list[Record]) -> dict[str, list[bytes]]:
    """Records are compared a stream at a time: across streams, time orders and not the file."""
    found: dict[str, list[bytes]] = defaultdict(list)
    for stream, body in records:
        found[stream].append(body)
    return dict(found)


def truth() -> Iterator[tuple[Instance, list[Record]]]:
    for folder in sorted(PODS.glob("*_*_*/*")):
        namespace, pod, _ = folder.parent.name.split("_")
        for live in folder.glob("[0-9]*.log"):
            files = [*sorted(folder.glob(f"{live.name}.*")), live]
            text = b"".join(map(read, files))
            yield (namespace, pod, folder.name, live.stem), list(joined(text))


def read(path: Path) -> bytes:
    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()


def joined(text: bytes) -> Iterator[Record]:
    """A record has the place of its first fragment."""
    records: list[list[bytes]] = []
    streams: list[str] = []
    unfinished: dict[str, int] = {}
    for line in text.split(b"\n")[:-1]:
        _, stream, tag, body = line.split(b" ", 3)
        name = stream.decode()
        at = unfinished.pop(name, len(records))
        if at == len(records):
            records.append([])
            streams.append(name)
        records[at].append(body)
        if tag == b"P":
            unfinished[name] = at
    for stream, parts in zip(streams, records, strict=True):
        yield stream, b"".join(parts)


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[Instance, list[Record]]]:
    """What a running Kelp says that the instances wrote."""
    work = tmp_path_factory.mktemp("real-node")
    pods = work / "pods"
    shutil.copytree(PODS, pods)
    url = f"http://127.0.0.1:{free_port()}"
    listen = ["--listen", url.removeprefix("http://")]
    kelp = [sys.executable, "-m", "kelp"]
    data = ["--data-dir", str(work / "data")]
    server = Restartable([*kelp, "server", *data, *listen], work / "server.log")
    agent = Restartable(
        [*kelp, "agent", *data, "--pods-dir", str(pods), "--url", url, "--listen", "127.0.0.1:0"],
        work / "agent.log",
        # The truth is line by line; that stack traces are joined is shown elsewhere.
        {"KELP_AGENT_JOIN_TRACES": "false"},
    )
    expected = sum(len(records) for _, records in truth())
    try:
        server.start()
        wait_until(lambda: get(f"{url}/ready")[0] == 200, 60)
        token = (work / "data" / "token").read_text().strip()
        agent.start()
        wait_until(lambda: len(ask(url, token)) >= expected, 60)
        yield grouped(ask(url, token))
    finally:
        agent.end()
        server.end()


def ask(url: str, token: str) -> list[dict[str, object]]:
    query = urllib.parse.urlencode({"query": '{namespace=~".+"}', "losses": "false"})
    request = urllib.request.Request(
        f"{url}/kelp/v1/logs?{query}", headers={"Authorization": f"Bearer {token}"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        lines = [json.loads(line) for line in answer if line.strip()]
    return [line["record"] for line in lines if "record" in line]


def grouped(records: list[dict[str, object]]) -> dict[Instance, list[Record]]:
    found: dict[Instance, list[tuple[int, Record]]] = defaultdict(list)
    for r in records:
        labels = r["labels"]
        assert isinstance(labels, dict)
        instance = (labels["namespace"], labels["pod"], labels["container"], labels["restart"])
        found[instance].append((int(str(r["position"])), (labels["stream"], body_of(r))))
    return {instance: [r for _, r in sorted(rows)] for instance, rows in found.items()}


def body_of(record: dict[str, object]) -> bytes:
    if "line_base64" in record:
        return base64.b64decode(str(record["line_base64"]))
    return str(record["line"]).encode()
