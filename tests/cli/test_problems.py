"""`kelp problems` and `kelp oom` against a real server, with what a real agent made of a node."""

from __future__ import annotations

import fcntl
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from kelp.agent.main import Agent
from kelp.base.config import load_config
from kelp.base.oom import kills_in
from kelp.base.settings import Server, Settings
from kelp.cli.main import run
from kelp.node.oom.stored import stored_kill
from tests.agent.assemble.oom.lines import Joining, kernel_lines
from tests.api.running import Api, Running, running
from tests.base.oom.found import calendar
from tests.base.oom.reports import CONTAINER, POD, group_6, memcg_6
from tests.waiting import wait_until

WEB = f"shop_web-5c4f55fcc-v8mpk_{POD}"
KUBELET = (
    'I1120 10:11:12.131415    8996 prober.go:122] "Probe failed" probeType="Readiness" '
    'pod="shop/web-5c4f55fcc-v8mpk" containerName="app" probeResult="failure"\n'
    'E1120 10:11:13.131415    8996 pod_workers.go:1324] "Error syncing pod, skipping" err="failed '
    'to \\"StartContainer\\" for \\"app\\" with CrashLoopBackOff: \\"back-off 10s restarting\\"" '
    'pod="shop/web-5c4f55fcc-v8mpk"\n'
)


def cri(seconds: float, stream: str, text: str) -> str:
    stamp = datetime.fromtimestamp(time.time() + seconds, UTC).isoformat(timespec="microseconds")
    return f"{stamp.replace('+00:00', 'Z')} {stream} F {text}\n"


class Node:
    """Files and a kernel's device, and an agent that reads them once."""

    def __init__(self, server: Running, folder: Path) -> None:
        self.folder = folder
        self.api = Api(server, None)
        self.device, self._kernel = os.pipe2(os.O_DIRECT | os.O_NONBLOCK)
        fcntl.fcntl(self._kernel, fcntl.F_SETPIPE_SZ, 1 << 20)  # a page a record
        self._seq = 0
        log = folder / "pods" / WEB / "app"
        log.mkdir(parents=True)
        lines = [cri(-60 + i, "stdout", f"order {i}") for i in range(7)]
        refused = cri(-50, "stderr", "dial tcp 10.96.14.2:5432: connect: connection refused")
        (log / "0.log").write_text("".join([*lines, refused]))
        (log / "1.log").write_text(cri(+30, "stdout", "starting"))
        links = folder / "containers"
        links.mkdir()
        link = links / f"web-5c4f55fcc-v8mpk_shop_app-{CONTAINER}.log"
        link.symlink_to(log / "1.log")
        (folder / "kubelet.log").write_text(KUBELET)
        self.kernel([*memcg_6(4242, "orders"), "EXT4-fs (sda1): Remounting filesystem read-only"])

    def kernel(self, lines: list[str]) -> None:
        """Lines of the kernel's, now."""
        for line in lines:
            stamp = int(time.clock_gettime(time.CLOCK_MONOTONIC) * 1e6)
            os.write(self._kernel, f"4,{self._seq},{stamp},-;{line}\n".encode())
            self._seq += 1

    def settings(self, url: str) -> dict[str, object]:
        (self.folder / "data").mkdir()
        return {
            "data_dir": str(self.folder / "data"),
            "agent": {
                "pods_dir": str(self.folder / "pods"),
                "containers_dir": str(self.folder / "containers"),
                "listen": "127.0.0.1:0", "node": "n1",
                "poll_interval_s": 0.02, "scan_interval_s": 0.2, "trace_timeout_s": 0.1,
                "node_metrics": False, "journal": {"enabled": False},
                "kmsg": {"path": f"/proc/self/fd/{self.device}"},
                "oom_count_interval_s": 0,
                "files": [{"path": str(self.folder / "kubelet.log")}],
                "spool": {"flush_interval_s": 0.05, "fsync": "never"},
                "ship": {"url": url},
            },
        }  # fmt: skip

    def collect(self, server: Running) -> None:
        config = self.folder / "kelp.yaml"
        config.write_text(yaml.safe_dump(self.settings(server.url)))
        (self.folder / "data" / "token").write_text(server.token)
        agent = Agent(load_config(config, {}).settings)
        thread = threading.Thread(target=agent.run)
        thread.start()
        try:
            wait_until(lambda: self.count() >= 13, 30)
        finally:
            agent.stop()
            thread.join(10)

    def count(self) -> int:
        answer = self.api.http.post("/kelp/v1/sql", json={"query": "select count() from logs"})
        return int(answer.json()["rows"][0][0])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    settings = Settings(
        data_dir=str(tmp_path_factory.mktemp("kelp")),
        server=Server(listen="127.0.0.1:0", insert_interval_s=0.02),
    )
    with running(settings) as server:
        node = Node(server, tmp_path_factory.mktemp("node"))
        node.collect(server)
        yield server
        node.api.close()


Kelp = Callable[..., str]


@pytest.fixture
def kelp(
    server: Running,
    no_machine: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Kelp:
    monkeypatch.setenv("KELP_URL", server.url)
    monkeypatch.setenv("KELP_TOKEN", server.token)
    # This machine's own kernel is no node's of the test.
    monkeypatch.setattr("kelp.cli.oom._from_kernel", lambda boot, clock: iter(()))

    def output(*arguments: str) -> str:
        assert 0 == run(arguments)
        return capsys.readouterr().out

    return output


def objects(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


def test_all_that_is_broken(kelp: Kelp) -> None:
    found = {
        (p["namespace"], p["workload"], p["reason"], p["severity"], p["count"])
        for p in objects(kelp("problems", "--since", "3000d", "-o", "json"))
    }
    assert {
        ("", "", "FilesystemIsReadOnly", "critical", 1),
        ("shop", "web", "OOMKilling", "error", 1),
        ("shop", "web", "ConnectionRefused", "error", 1),
        ("shop", "web", "CrashLoopBackOff", "error", 1),
        ("shop", "web", "Unhealthy", "warn", 1),
    } == found


def test_one_of_them_in_full(kelp: Kelp) -> None:
    (found,) = objects(
        kelp("problems", "--since", "1d", "--reason", "ConnectionRefused", "-o", "json")
    )
    assert found.pop("first") == found.pop("last")
    assert found == {
        "node": "n1", "namespace": "shop", "workload": "web", "reason": "ConnectionRefused",
        "severity": "error", "count": 1, "pods": ["web-5c4f55fcc-v8mpk"], "containers": ["app"],
        "details": ["10.96.14.2:5432"],
        "example": "dial tcp 10.96.14.2:5432: connect: connection refused",
    }  # fmt: skip


def test_the_gravest_stands_first(kelp: Kelp) -> None:
    head, first, *_ = kelp("problems", "--since", "3000d").splitlines()
    assert ["NODE", "NAMESPACE", "WORKLOAD", "REASON", "SEVERITY"] == head.split()[:5]
    assert ["n1", "-", "-", "FilesystemIsReadOnly", "critical", "1"] == first.split()[:6]


def test_a_wide_table_names_pods_and_what_it_is_about(kelp: Kelp) -> None:
    text = kelp("problems", "-o", "wide", "--reason", "FilesystemIsReadOnly")
    assert "PODS" in text and "sda1" in text
    assert "web-5c4f55fcc-v8mpk" in kelp("problems", "-o", "wide", "-n", "shop")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("-n", "shop", "--since", "3000d"), 4),
        (("-n", "other"), 0),
        (("--node", "n1", "--since", "3000d"), 5),
        (("--node", "n2"), 0),
        (("--reason", "Unhealthy", "--since", "3000d"), 1),
        (("--reason", "x' OR 1=1 --"), 0),
    ],
)
def test_what_is_asked_for(kelp: Kelp, arguments: tuple[str, ...], expected: int) -> None:
    assert expected == len(objects(kelp("problems", "-o", "json", *arguments)))


def test_none_is_told(kelp: Kelp) -> None:
    text = kelp("problems", "--node", "n2", "--since", "2h")
    assert "No problem was told of in the last 2h.\n" == text


def test_a_kill_with_what_stands_around_it(kelp: Kelp) -> None:
    (kill,) = objects(kelp("oom", "-o", "json", "--lines", "3"))
    assert {
        "node": "n1", "pid": 4242, "process": "orders", "outcome": "killed",
        "constraint": "CONSTRAINT_MEMCG", "pod_uid": POD, "container_id": CONTAINER,
        "namespace": "shop", "pod": "web-5c4f55fcc-v8mpk", "container": "app",
        "counted_only": False, "complete": True,
    }.items() <= kill.items()  # fmt: skip
    assert kill["memory"] == {
        "usage_bytes": 64 << 20, "limit_bytes": 64 << 20, "failcnt": 17,
    }  # fmt: skip
    assert 2 == len(kill["task_table"])
    assert ["order 5", "order 6", "dial tcp 10.96.14.2:5432: connect: connection refused"] == [
        line["text"] for line in kill["lines_before"]
    ]
    assert [("1", "app")] == [(r["restart"], r["container"]) for r in kill["restarts"]]
    assert "events" not in kill


def test_on_the_screen(kelp: Kelp) -> None:
    first, *more = kelp("oom", "--lines", "1", "--events").splitlines()
    assert "n1  OOM at the pod's limit (64.0 MiB of 64.0 MiB)  killed orders[4242]" in first
    assert first.endswith("shop/web-5c4f55fcc-v8mpk/app")
    assert "    last lines before it:" == more[0]
    assert more[1].endswith("connect: connection refused")
    assert more[2].startswith("    restarted since: app#1 at ")
    assert "    events: no event about it is stored" == more[3]


def test_kills_of_a_node_and_since(kelp: Kelp) -> None:
    assert 1 == len(objects(kelp("oom", "--node", "n1", "--since", "1h", "-o", "json")))
    assert "No kill by the kernel is stored.\n" == kelp("oom", "--node", "n2")
    assert "" == kelp("oom", "--since", "2100-01-01", "-o", "json")


def test_what_this_kernel_knows_too_is_shown_once(
    kelp: Kelp, monkeypatch: pytest.MonkeyPatch
) -> None:
    (stored,) = objects(kelp("oom", "-o", "json"))
    moment = stored["time"]

    def own(_boot: object, _clock: object) -> Iterator[object]:
        texts = [*memcg_6(4242, "orders"), *memcg_6(7, "other")]
        lines = [f"{moment} n1 kernel: {text}".encode() for text in texts]
        return kills_in(lines, calendar())

    monkeypatch.setattr("kelp.cli.oom._from_kernel", own)
    assert [7, 4242] == sorted(k["pid"] for k in objects(kelp("oom", "-o", "json")))


def test_a_record_of_a_group_says_all_again() -> None:
    """The second victim's record has one line; what it leaves out stands in its attributes."""
    joining = Joining()
    joining.join(kernel_lines(group_6((7, 8))))
    _, (_, body, marks, _) = joining.expire()
    kill = stored_kill(body, marks, 10**18, {"node": "n1"}).kill
    assert (8, POD, CONTAINER, "pod", True) == (
        kill.pid, kill.pod_uid, kill.container_id and CONTAINER, kill.limit_scope, kill.oom_group,
    )  # fmt: skip


def test_options_that_go_with_no_file(no_machine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert 2 == run(["oom", "--file", "x", "--node", "n1"])
    assert "leave them out with --file" in capsys.readouterr().err


def test_a_server_that_was_named_must_answer(
    no_machine: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("kelp.cli.oom._from_kernel", lambda boot, clock: iter(()))
    assert 1 == run(["oom", "--url", "http://127.0.0.1:1"])
    assert "no Kelp server answers" in capsys.readouterr().err
    assert 0 == run(["oom"])
    assert "No kill by the kernel in /dev/kmsg.\n" == capsys.readouterr().out


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ('{dataset="kernel"} | problem="OOMKilling" | oom_namespace="shop"', "orders invoked oom"),
        ('{namespace="shop"} | problem="ConnectionRefused"', "connection refused"),
        ('sum by (node) (count_over_time({dataset="kernel"} | problem=~".+" [1h]))', "n1"),
    ],
)
def test_in_logql(kelp: Kelp, query: str, expected: str) -> None:
    assert expected in kelp("query", "--from", "1h", query)
