"""`kelp trace` on a node with a real agent and a real server: rotation, copies, tampering."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from kelp.base.clock import SystemClock
from kelp.base.config import load_config
from kelp.base.settings import Server, Settings
from kelp.cli.client import Client, find_connection
from kelp.cli.instance import Instance, announce, instance_path
from kelp.cli.logs_select import parse_target
from kelp.cli.trace_find import Search, Wanted
from kelp.cli.trace_report import gather
from kelp.cli.trace_store import TraceStore
from kelp.cli.trace_verify import verify
from tests.api.running import Running, running
from tests.cli.tracing import Scene
from tests.docker import DockerLog
from tests.kubelet import UID, ContainerLog, cri_line
from tests.waiting import wait_until

_pods = count()
COUNTS = ("equal", "differing", "repeated", "missing", "lost", "waiting", "unverified",
          "not_on_disk", "unreadable")  # fmt: skip


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    settings = Settings(
        data_dir=str(tmp_path_factory.mktemp("kelp")),
        server=Server(listen="127.0.0.1:0", insert_interval_s=0.02),
    )
    with running(settings) as server:
        yield server


@pytest.fixture
def scene(
    shared: Running, no_machine: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Scene]:  # fmt: skip
    for name in ("KELP_DATA_DIR", "KELP_AGENT_FILES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KELP_URL", shared.url)
    monkeypatch.setenv("KELP_TOKEN", shared.token)
    folder = no_machine / "node"
    folder.mkdir()
    scene = Scene(shared, folder, capsys.readouterr, f"web-{next(_pods)}")
    yield scene
    scene.api.close()


def counts(verdict: dict[str, int], **expected: int) -> None:
    """The verdict has these counts, and zero of all others."""
    found = {name: verdict[name] for name in COUNTS}
    assert dict.fromkeys(COUNTS, 0) | expected == found, verdict["findings"]


def rotated_log(scene: Scene) -> ContainerLog:
    """A compressed file, a renamed one and a live one: 300 + 200 + 100 lines."""
    log = scene.start()
    log.lines(300)
    first = log.rotate("20261120-101112")
    log.lines(200)
    log.compress(first)
    log.rotate("20261120-111112")
    log.lines(100)
    return log


# --- a pod to its files


def test_a_pods_files_with_their_positions_and_links(scene: Scene) -> None:
    log = rotated_log(scene)
    container_id = "c0ffee" + "0" * 58
    scene.containers.mkdir()
    link = scene.containers / f"{scene.pod}_shop_app-{container_id}.log"
    link.symlink_to(log.live)
    (scene.containers / f"other_shop_app-{container_id}.log").symlink_to(scene.pods / "x" / "0.log")
    kubelet = scene.folder / "var/lib/kubelet"
    kubelet.mkdir(parents=True)
    (kubelet / "config.yaml").write_text("containerLogMaxSize: 1Mi\n")
    scene.collect(600)
    found = scene.json(f"pod/{scene.pod}", "-n", "shop")
    (shown,) = found["logs"]
    sizes = [f["size"] for f in shown["files"]]
    assert len(log.written) == sum(sizes)
    assert ["0.log.20261120-101112.gz", "0.log.20261120-111112", "0.log"] == [
        Path(f["path"]).name for f in shown["files"]
    ]
    assert [0, sizes[0], sizes[0] + sizes[1]] == [f["base"] for f in shown["files"]]
    assert [300, 200, 100] == [f["stored"] for f in shown["files"]]
    assert sizes == [f["collected"] for f in shown["files"]]
    assert [[], [], []] == [f["missing"] for f in shown["files"]]
    assert [True, False, False] == [f["compressed"] for f in shown["files"]]
    assert [{"path": str(link), "target": str(log.live), "container_id": container_id}] == (
        shown["links"]
    )
    assert {
        "program": "kubelet",
        "key": "containerLogMaxSize",
        "value": "1Mi",
        "source": "/var/lib/kubelet/config.yaml",
    } in found["configuration"]["settings"]
    assert found["notes"] == []


def test_the_table_for_people(scene: Scene) -> None:
    rotated_log(scene)
    scene.collect(600)
    status, out, err = scene.run(scene.pod)
    assert (status, err) == (0, "")
    assert f"shop/{scene.pod}  container app  run 0  uid {UID}  node n1" in out
    assert "600 records (stdout " in out
    rows = [line.split() for line in out.splitlines() if line.startswith("  0.log")]
    assert [["300", "-"], ["200", "-"], ["100", "-"]] == [row[-2:] for row in rows]


def test_runs_of_a_container(scene: Scene) -> None:
    first = scene.start()
    first.lines(3)
    second = first.after_crash()
    second.lines(4)
    third = second.after_crash()
    third.lines(5)
    scene.collect(12)

    def runs(*arguments: str) -> list[str]:
        return [x["labels"]["restart"] for x in scene.json(scene.pod, *arguments)["logs"]]

    assert runs() == ["2"]
    assert runs("--previous") == ["1"]
    assert runs("--all-runs") == ["0", "1", "2"]


def test_a_workload_and_a_container_are_chosen_as_in_kelp_logs(scene: Scene) -> None:
    scene.pod = "shop-6d4cf56db6-x7x9p"
    for container in ("app", "proxy"):
        scene.start(container).lines(1)

    def chosen(*arguments: str) -> list[str]:
        return [x["labels"]["container"] for x in scene.json(*arguments, "--local")["logs"]]

    assert chosen("deployment/shop") == ["app", "proxy"]
    assert chosen("deploy/shop", "-c", "prox.*") == ["proxy"]
    assert chosen("-n", "shop") == ["app", "proxy"]


# --- with one side alone


def test_on_a_node_without_server_and_without_agent(scene: Scene) -> None:
    rotated_log(scene)
    found = scene.json(scene.pod, "--local")
    (shown,) = found["logs"]
    assert [None, None, None] == [f["base"] for f in shown["files"]]
    assert (shown["agent"], shown["records"]) == (None, None)
    assert [f"no agent keeps its state in {scene.data}/spool"] == found["notes"]


def test_without_server_the_agents_state_tells_positions(scene: Scene) -> None:
    log = rotated_log(scene)
    scene.collect(600)
    (shown,) = scene.json(scene.pod, "--local")["logs"]
    assert ["checkpoint"] * 3 == [f["base_from"] for f in shown["files"]]
    assert len(log.written) == shown["agent"]["collected"]
    last = shown["files"][-1]
    assert len(log.written) == last["base"] + last["collected"]


def test_the_running_kelp_says_where_its_node_is(scene: Scene) -> None:
    log = rotated_log(scene)
    scene.collect(600)
    folders = {"data_dir": str(scene.data), "pods_dir": str(scene.pods)}
    announce(Instance("http://127.0.0.1:9", "", os.getpid(), **folders), instance_path(os.environ))
    del scene.settings["data_dir"]
    del scene.settings["agent"]["pods_dir"]
    scene.write_config()
    (shown,) = scene.json(scene.pod, "--local")["logs"]
    assert len(log.written) == shown["agent"]["collected"]


def test_a_server_that_is_away_is_told_and_the_node_is_shown(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.start().lines(2)
    monkeypatch.setenv("KELP_URL", "http://127.0.0.1:1")
    status, out, err = scene.run(scene.pod)
    assert status == 0
    assert "  0.log" in out
    assert "note: the store was not asked: no Kelp server answers at http://127.0.0.1:1" in err
    status, out, err = scene.run(scene.pod, "--verify")
    assert (status, out) == (1, "")
    assert "no Kelp server answers" in err


def test_with_a_server_alone(scene: Scene) -> None:
    rotated_log(scene)
    scene.collect(600)
    scene.kubelet.remove_pod(scene.pod)
    found = scene.json(scene.pod)
    (shown,) = found["logs"]
    assert (shown["folder"], shown["records"]) == (None, 600)
    assert [False, False, False] == [f["on_disk"] for f in shown["files"]]
    assert [300, 200, 100] == [f["stored"] for f in shown["files"]]
    status, out, err = scene.run(scene.pod, "--verify")
    assert status == 0
    assert "600 records stored and no longer on the disk" in out
    assert "nothing was compared: the files are on node n1" in err


# --- what is on its way, lost, missing


def test_what_waits_in_the_spool_is_not_missing(scene: Scene, shared: Running) -> None:
    log = scene.start()
    log.lines(50)
    scene.collect(50)
    log.lines(30)
    scene.settings["agent"]["ship"]["url"] = "http://127.0.0.1:1"
    index = scene.data / "spool" / "segments"
    with scene.agent():
        wait_until(lambda: any(index.iterdir()))
        (shown,) = scene.json(scene.pod)["logs"]
    (shown,) = scene.json(scene.pod)["logs"]
    assert (30, 50) == (shown["agent"]["spooled_records"], shown["records"])
    assert [(30, 50, [])] == [(f["spooled"], f["stored"], f["missing"]) for f in shown["files"]]
    status, verdict = scene.verified()
    assert status == 0
    counts(verdict, equal=50, waiting=30)


def test_what_the_agent_has_not_read_is_not_missing(scene: Scene) -> None:
    log = scene.start()
    log.lines(50)
    scene.collect(50)
    log.lines(500)
    (shown,) = scene.json(scene.pod)["logs"]
    (file,) = shown["files"]
    assert (50, []) == (file["stored"], file["missing"])
    assert file["collected"] < file["size"]
    status, verdict = scene.verified()
    counts(verdict, equal=50)
    assert status == 0


def test_a_loss_is_shown_with_its_reason(scene: Scene) -> None:
    log = scene.start()
    log.lines(100)
    scene.collect(100)
    # While no agent runs: written, rotated and deleted.
    log.lines(100)
    rotated = log.rotate("20261120-101112")
    log.lines(10)
    rotated.unlink()
    with scene.agent():
        wait_until(lambda: scene.stored() >= 110, 20)
        wait_until(lambda: scene.json(scene.pod)["logs"][0]["losses"], 20)
    (shown,) = scene.json(scene.pod)["logs"]
    assert {"rotated_away"} == {x["reason"] for x in shown["losses"]}
    status, verdict = scene.verified()
    counts(verdict, equal=10, not_on_disk=100)
    assert status == 0


def test_lines_whose_segment_was_removed_from_the_spool_are_missing(scene: Scene) -> None:
    log = scene.start()
    log.lines(50)
    scene.collect(50)
    start = len(log.written)
    log.lines(30, "y" * 200)
    end = len(log.written)
    url = scene.settings["agent"]["ship"]["url"]
    segments = scene.data / "spool" / "segments"
    scene.settings["agent"]["ship"]["url"] = "http://127.0.0.1:1"
    with scene.agent():
        wait_until(lambda: scene.json(scene.pod)["logs"][0]["agent"]["collected"] == end)
    for segment in segments.iterdir():
        segment.unlink()
    scene.settings["agent"]["ship"]["url"] = url
    log.lines(20)
    scene.collect(70)
    (shown,) = scene.json(scene.pod)["logs"]
    assert [{"start": start, "end": end, "reason": "not stored"}] == shown["files"][0]["missing"]
    assert f"missing 0.log bytes {start}–{end}" in scene.run(scene.pod)[1]
    status, verdict = scene.verified()
    counts(verdict, equal=70, missing=30)
    (finding,) = verdict["findings"]
    assert ("missing", str(log.live), start, 30) == (
        finding["kind"], finding["path"], finding["offset"], finding["lines"],
    )  # fmt: skip
    assert finding["text"].startswith("seq=50 yyy")
    assert status == 1
    point = scene.json(f"{log.live}:{start + 300}")["point"]
    assert ("not stored", None) == (point["found"], point["record"])


# --- verify


def test_all_is_equal_through_rotations_and_compression(scene: Scene) -> None:
    rotated_log(scene)
    scene.collect(600)
    status, verdict = scene.verified()
    counts(verdict, equal=600)
    assert status == 0


def test_split_lines_traces_and_foreign_lines_are_equal(scene: Scene) -> None:
    log = scene.start()
    for part in (
        cri_line(1, "a" * 100, tag="P") + cri_line(2, "b" * 100, tag="P") + cri_line(3, "c"),
        cri_line(4, "out", tag="P") + cri_line(5, "err", stream="stderr") + cri_line(6, "end"),
        b"no cri line at all\n" + cri_line(7) + b"\n" + cri_line(8).replace(b"seq", b"\xff\x00"),
        b'{"log":"docker \\"quoted\\" \xc3\xa4\\n","stream":"stdout",'
        b'"time":"2026-11-18T00:00:00.1Z"}\n',
    ):
        log.write(part)
    trace = ["Traceback (most recent call last):", '  File "a.py", line 1, in <module>', "    f()",
             "ValueError: no"]  # fmt: skip
    for n, line in enumerate(trace):
        log.write(f"2026-11-18T00:01:0{n}.000000000Z stderr F {line}\n".encode())
    log.write(cri_line(90_000, "last"))
    scene.collect(10)
    status, verdict = scene.verified()
    counts(verdict, equal=10)
    assert status == 0


def test_cut_records_are_equal(scene: Scene) -> None:
    scene.settings["agent"]["max_record_bytes"] = 1000
    log = scene.start()
    log.write(cri_line(1, "short"))
    log.write(cri_line(2, "ä" * 3000))
    for n in range(5):
        log.write(cri_line(3 + n, "p" * 700, tag="P" if n < 4 else "F"))
    log.write(cri_line(9, "short"))
    scene.collect(4)
    status, verdict = scene.verified()
    counts(verdict, equal=4)
    assert status == 0


def test_copytruncate(scene: Scene) -> None:
    log = scene.start()
    log.lines(100)
    scene.collect(100)
    copy = log.copytruncate("0.log.1")
    log.lines(50)
    scene.collect(150)
    counts(scene.verified()[1], equal=150)
    (shown,) = scene.json(scene.pod)["logs"]
    assert [copy.name, "0.log"] == [Path(f["path"]).name for f in shown["files"]]
    assert [100, 50] == [f["stored"] for f in shown["files"]]


def test_rotation_while_it_is_traced(scene: Scene) -> None:
    log = scene.start()
    log.lines(100)
    scene.collect(100)
    rotated = log.rotate("20261120-101112")
    # The store's word is old: it knows the file by its live name.
    (shown,) = scene.json(scene.pod)["logs"]
    assert [("0.log.20261120-101112", 0), ("0.log", None)] == [
        (Path(f["path"]).name, f["base"]) for f in shown["files"]
    ]
    log.compress(rotated)
    assert scene.verified()[1]["equal"] == 100


@pytest.mark.parametrize("at", [5000, 60], ids=["behind the fingerprint", "in the fingerprint"])
def test_a_byte_that_was_changed_is_found_and_its_record_named(scene: Scene, at: int) -> None:
    log = rotated_log(scene)
    scene.collect(600)
    path = log.folder / "0.log.20261120-111112"
    data = bytearray(path.read_bytes())
    line = data.rfind(b"\n", 0, at) + 1
    place = data.index(b"x", max(at, line + 45))
    data[place] ^= 1
    path.write_bytes(data)
    status, verdict = scene.verified()
    counts(verdict, equal=599, differing=1)
    (finding,) = verdict["findings"]
    line = data.rfind(b"\n", 0, place) + 1
    assert ("differs", str(path), line) == tuple(finding[k] for k in ("kind", "path", "offset"))
    assert status == 1
    # The finding leads on: to the place, and to the record.
    point = scene.json(f"{path}:{place}")["point"]
    assert (finding["record"], "different") == (point["record"], point["found"])
    assert finding["record"] == scene.json("--record", finding["record"])["point"]["record"]
    status, out, _ = scene.run(scene.pod, "--verify")
    assert (status, "599 records equal" in out, "1 differs," in out) == (1, True, True)
    assert f"differs  record {finding['record']}  {path}:{line}" in out


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (b"T00:00", b"T01:00", "its time is"),
        (b"T00:00", b"U00:00", "no time that can be read"),
        (b"stdout F", b"stderr F", "under another stream"),
        (b"stdout F", b"stdout P", ""),
    ],
)
def test_a_changed_head_is_found(scene: Scene, old: bytes, new: bytes, says: str) -> None:
    log = scene.start()
    log.lines(100)
    scene.collect(100)
    data = log.live.read_bytes()
    middle = data.index(old, 5000)
    log.live.write_bytes(data[:middle] + new + data[middle + len(old) :])
    status, verdict = scene.verified()
    if not says:  # the same text; only where the line ends is another
        counts(verdict, equal=100)
        return
    assert verdict["differing"] == 1
    assert says in verdict["findings"][0]["text"]
    assert status == 1


def test_a_line_that_was_put_in_is_missing_in_the_store(scene: Scene) -> None:
    log = scene.start()
    log.lines(20)
    data = log.live.read_bytes()
    scene.collect(20)
    first = data.index(b"\n") + 1
    # The lines behind lie at other places now, so none of them is where its record is.
    log.live.write_bytes(data[:first] + cri_line(0, "forged") + data[first:])
    status, verdict = scene.verified()
    assert (status, verdict["equal"], verdict["differing"]) == (1, 1, 19)
    assert verdict["missing"] > 0


def test_a_damaged_gz_is_told(scene: Scene) -> None:
    log = scene.start()
    log.lines(2000)
    rotated = log.rotate("20261120-101112")
    log.lines(1)
    log.compress(rotated)
    scene.collect(2001)
    gz = log.folder / "0.log.20261120-101112.gz"
    data = gz.read_bytes()
    gz.write_bytes(data[: len(data) // 2])
    status, verdict = scene.verified()
    assert (status, verdict["unreadable"], verdict["differing"]) == (1, 1, 0)
    assert 0 < verdict["not_on_disk"] < 2000
    assert "damaged or cut" in verdict["findings"][0]["text"]


def test_a_file_that_vanishes_before_it_is_opened_is_one_that_is_gone(scene: Scene) -> None:
    log = rotated_log(scene)
    scene.collect(600)
    store = TraceStore(Client(find_connection()))
    settings = load_config(scene.config, {}).settings
    (traced,) = Search(settings.agent, store).by_name(Wanted(parse_target(scene.pod)))
    found = gather(traced, None, 0)
    log.delete_oldest()
    verdict = verify(found, store, SystemClock(), 1 << 20)
    assert (300, 300, 0, True) == (
        verdict.equal, verdict.not_on_disk, verdict.unreadable, verdict.good,
    )  # fmt: skip
    # A rotation meanwhile is no loss either.
    found = gather(traced, None, 0)
    log.compress(log.folder / "0.log.20261120-111112")
    log.rotate("20261120-121112")
    assert verify(found, store, SystemClock(), 1 << 20).equal == 300


# --- a path and an offset back to the record


def test_an_offset_leads_to_its_record_in_every_file(scene: Scene) -> None:
    log = rotated_log(scene)
    scene.collect(600)
    (shown,) = scene.json(scene.pod)["logs"]
    size = len(cri_line(123, "x" * 40))
    for file, first, row in zip(shown["files"], (0, 300, 500), (123, 150, 50), strict=True):
        lines = log.written.split(b"\n")[first : first + row]
        start = sum(len(x) + 1 for x in lines)
        point = scene.json(f"{file['path']}:{start + size // 2}")["point"]
        assert (start, start + file["base"], "same") == (
            point["line_start"], point["position"], point["found"],
        )  # fmt: skip
        assert f"seq={first + row} " in point["text"]
        assert point["record"].endswith(f":{point['position']}")


def test_a_link_leads_to_the_log(scene: Scene) -> None:
    log = scene.start()
    log.lines(3)
    scene.collect(3)
    scene.containers.mkdir()
    link = scene.containers / f"{scene.pod}_shop_app-{'0' * 64}.log"
    link.symlink_to(os.path.relpath(log.live, scene.containers))
    found = scene.json(f"{link}:5")
    assert (scene.pod, "same", str(log.live)) == (
        found["logs"][0]["labels"]["pod"], found["point"]["found"], found["point"]["path"],
    )  # fmt: skip
    assert scene.json(link)["point"] is None


def test_a_line_of_a_trace_leads_to_the_record_that_it_is_in(scene: Scene) -> None:
    log = scene.start()
    trace = ["Traceback (most recent call last):", '  File "a.py", line 1, in <module>', "    f()",
             "ValueError: no"]  # fmt: skip
    log.write(b"".join(f"2026-11-18T00:01:0{n}.000000000Z stderr F {line}\n".encode()
                       for n, line in enumerate(trace)))  # fmt: skip
    scene.collect(1)
    point = scene.json(f"{log.live}:{log.written.index(b'ValueError')}")["point"]
    assert ("same", "\n".join(trace)) == (point["found"], point["text"])
    assert point["record"].endswith(":0")
    assert point["position"] > 0


def test_dockers_files_behind_the_kubelets_links(scene: Scene) -> None:
    docker = DockerLog(scene.folder / "docker", id="ab" * 32)
    folder = scene.kubelet.pod_folder(scene.pod) / "app"
    folder.mkdir(parents=True)
    (folder / "0.log").symlink_to(docker.live)
    scene.containers.mkdir()
    (scene.containers / f"{scene.pod}_shop_app-{docker.id}.log").symlink_to(folder / "0.log")
    docker.lines(100)
    scene.collect(100)
    for compress in (True, False):
        docker.rotate(compress=compress)
        docker.lines(50)
    scene.collect(200)
    (shown,) = scene.json(scene.pod)["logs"]
    live = docker.live.name
    assert [f"{live}.2.gz", f"{live}.1", "0.log"] == [Path(f["path"]).name for f in shown["files"]]
    assert [100, 50, 50] == [f["stored"] for f in shown["files"]]
    status, verdict = scene.verified()
    counts(verdict, equal=200)
    assert status == 0
    size = len(docker.written) // 200
    for path, first in ((docker.live, 150), (f"{docker.live}.1", 100), (f"{docker.live}.2.gz", 0)):
        point = scene.json(f"{path}:{size * 3 + 5}")["point"]
        assert ("same", True) == (point["found"], point["text"].startswith("seq="))
        assert abs(int(point["text"].removeprefix("seq=")) - first - 3) <= 1


def test_a_container_that_a_link_alone_leads_to(scene: Scene) -> None:
    docker = DockerLog(scene.folder / "docker", id="cd" * 32)
    docker.note()
    scene.containers.mkdir()
    link = scene.containers / f"{scene.pod}_shop_app-{docker.id}.log"
    link.symlink_to(docker.live)
    scene.pods.mkdir(exist_ok=True)
    docker.lines(100)
    docker.rotate()
    docker.lines(20)
    scene.collect(120)
    (shown,) = scene.json(scene.pod, "-c", "app")["logs"]
    assert ([100, 20], [str(link)]) == (
        [f["stored"] for f in shown["files"]], [x["path"] for x in shown["links"]],
    )  # fmt: skip
    assert scene.json(f"{link}:0")["point"]["text"] == "seq=100"
    assert scene.json(f"{docker.live}.1:0")["point"]["text"] == "seq=0"
    status, verdict = scene.verified()
    counts(verdict, equal=120)
    assert status == 0


def test_a_plain_file_of_the_node(scene: Scene) -> None:
    live = scene.plain / "kubelet.log"
    live.write_text("".join(f"I1120 10:11:12.{n:06} 1 a.go:1] line {n}\n" for n in range(50)))
    query = f'{{filename="{live}"}}'
    with scene.agent():
        wait_until(lambda: scene.placed(query) == 50, 20)
    point = scene.json(f"{live}:100")["point"]
    assert ("same", True) == (point["found"], "line 2" in point["text"])
    status, verdict = scene.verified(live)
    counts(verdict, equal=50)
    live.write_text(live.read_text().replace("line 7\n", "line 8\n"))
    status, verdict = scene.verified(live)
    counts(verdict, equal=49, differing=1)
    assert status == 1


def test_the_id_of_a_record_is_what_kelp_logs_prints(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    from kelp.cli.main import run

    log = scene.start()
    log.lines(10)
    scene.collect(10)
    assert run(["logs", scene.pod, "-o", "json", "--tail", "3"]) == 0
    for record in json.loads(capsys.readouterr().out):
        point = scene.json("--record", record["id"])["point"]
        assert (record["line"], "same", str(log.live)) == (
            point["text"], point["found"], point["path"],
        )  # fmt: skip


# --- what is wrong with a question


def test_names_that_are_not_known(scene: Scene) -> None:
    scene.start().lines(1)
    scene.collect(1)
    status, out, err = scene.run(f"pod/{scene.pod}x", "-n", "shop")
    assert (status, out) == (1, "")
    assert f'no logs of a pod in namespace shop fit "pod/{scene.pod}x"; near it: ' in err
    assert scene.pod in err.split("near it: ")[1]
    assert "no log on this node fits\n" in scene.run("nosuchpod", "--local")[2]
    assert "no earlier run" in scene.run(scene.pod, "--previous")[2]
    status, _, err = scene.run("--record", "5:4")
    assert status == 1
    assert "no stream of the record 5:4 is stored" in err
    record = scene.json(scene.pod)["logs"][0]["stream_ids"]
    status, _, err = scene.run("--record", f"{next(iter(record))}:77")
    assert status == 1
    assert "no record " in err


def test_offsets_and_paths_that_lead_nowhere(scene: Scene) -> None:
    log = scene.start()
    log.lines(2)
    scene.collect(2)
    size = len(log.written)
    cases = {
        f"{log.live}:{size}": f"expected an offset below {size} (the file's size); got {size}",
        f"{log.live}:999999999": "expected an offset below",
        f"{log.folder}/7.log:0": "no such file on this node, and none of it is stored",
        "/etc/passwd": "expected a container's log",
        f"{scene.pods}/x/0.log": "expected a container's log",
    }
    for path, says in cases.items():
        status, out, err = scene.run(path)
        assert (status, out, says in err) == (1, "", True), (path, err)


def test_a_file_that_cannot_be_read(scene: Scene) -> None:
    log = rotated_log(scene)
    scene.collect(600)
    rotated = log.folder / "0.log.20261120-111112"
    rotated.unlink()
    rotated.symlink_to("/proc/self/mem")  # a regular file of which even root cannot read byte 0
    (shown,) = scene.json(scene.pod)["logs"]
    assert ["", "Input/output error", ""] == [f["error"] for f in shown["files"]]
    assert "? (Input/output error)" in scene.run(scene.pod)[1]
    status, verdict = scene.verified()
    counts(verdict, equal=400, not_on_disk=200, unreadable=1)
    assert status == 1
    status, out, err = scene.run(f"{rotated}:5")
    assert (status, out) == (1, "")
    assert "cannot be read: Input/output error" in err


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["web", "--previous", "--all-runs"],
        ["--record", "1:2", "web"],
        ["--record", "12"],
        ["--record", f"{1 << 64}:0"],
        ["--record", "1:2", "-n", "shop"],
        ["/var/log/pods/x/0.log", "-n", "shop"],
        ["/var/log/pods/x/0.log:1x"],
    ],
)
def test_a_wrong_question_is_a_usage_error(scene: Scene, arguments: list[str]) -> None:
    status, out, err = scene.run(*arguments)
    assert (status, out, "Usage: " in err) == (2, "", True)


def test_wrong_patterns_and_kinds(scene: Scene) -> None:
    assert "expected a pattern (RE2)" in scene.run("web", "-c", "[")[2]
    assert "expected KIND/NAME" in scene.run("thing/web")[2]
    assert "leave out --local" in scene.run("web", "--local", "--verify")[2]
    assert "--record needs a server" in scene.run("--record", "1:2", "--local")[2]
