"""`kelp node … NODE` and `kelp support-bundle` against a server and a node's agent."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kelp.base.redact import REDACTED
from kelp.base.settings import Spool
from kelp.cli.client import AwayError
from kelp.cli.main import run
from kelp.cli.node_source import Elsewhere
from kelp.cli.node_view import View
from kelp.node.host.question import Question
from tests.api.running import Running, running
from tests.cli.nodes import ByHand, agent_settings, answering, server_settings, waits
from tests.node.host.tree import FakeClock, Tree
from tests.waiting import wait_until

# Whatever stands where a secret may stand; no test is to find any of it.
SECRETS = {
    "argument": "hunter2hunter2",
    "environment": "hunter3hunter3",
    "url": "hunter4hunter4",
    "bearer": "hunter5hunter5",
    "kmsg": "hunter6hunter6",
    "socket": "hunter7hunter7",
    "folder": "hunter8hunter8",
    "spool_key": "c0ffee" + "15" * 29,
    "cmdline": "hunter9hunter9",
}
KMSG = f"""\
6,1,1000000,-;usb 1-1: SerialNumber password={SECRETS["kmsg"]}
6,2,2000000,-;audit: proctitle=curl -H "Authorization: Bearer {SECRETS["bearer"]}" x
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(server_settings(tmp_path_factory.mktemp("server"))) as server:
        yield server


@pytest.fixture(scope="module")
def node(server: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("n1")
    plant(folder)
    settings = agent_settings(
        folder, server, "n1", spool=Spool(encryption_key_file=str(folder / "key"))
    )
    with answering(settings):
        waits(server, "n1")
        yield folder


def plant(folder: Path) -> None:
    tree = Tree(folder)
    tree.process(
        7, "web", network=4026531840,
        command=f"web --password {SECRETS['argument']} DB_TOKEN={SECRETS['environment']} "
        f"postgres://bob:{SECRETS['url']}@db/shop",
    )  # fmt: skip
    tree.write("proc/7/environ", f"PASSWORD={SECRETS['environment']}\0")
    tree.write("proc/cmdline", f"root=/dev/vda token={SECRETS['cmdline']}\n")
    tree.write("proc/7/net/unix", "Num RefCount Protocol Flags Type St Inode Path\n"
               f"0: 2 0 10000 1 1 77 /run/x?token={SECRETS['socket']}\n")  # fmt: skip
    (tree.roots.pods / "shop_web_uid" / f"password={SECRETS['folder']}").mkdir(parents=True)
    (folder / "kmsg").write_text(KMSG)
    (folder / "key").write_text(SECRETS["spool_key"])
    (folder / "key").chmod(0o600)
    tree.write("log/pods/shop_web_uid/app/0.log", "the body of a log\n")


@pytest.fixture
def here(no_machine, server, monkeypatch, tmp_path):
    """A command line that knows the server."""
    monkeypatch.setenv("KELP_URL", server.url)
    monkeypatch.setenv("KELP_TOKEN", server.token)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def bundle(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as tar:
        (folder,) = {m.name.partition("/")[0] for m in tar}
        assert folder.startswith("kelp-support-")
        return {m.name.removeprefix(f"{folder}/"): tar.extractfile(m).read() for m in tar}


COMMANDS = ("top", "ps", "iostat", "vmstat", "ss", "route", "pressure", "cgroups")


@pytest.mark.parametrize("command", COMMANDS)
def test_each_report_from_elsewhere(here, node, command, capsys):
    assert run(["node", command, "n1", "-o", "json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert {"time", "interval_s", "notes"} <= json.loads(line).keys()


def test_the_table_is_that_of_the_machine_itself_without_its_secrets(here, node, capsys):
    assert run(["node", "ps", "--node", "n1"]) == 0
    row = capsys.readouterr().out.splitlines()[2]
    assert row.endswith(
        f"web --password {REDACTED} DB_TOKEN={REDACTED} postgres://{REDACTED}@db/shop"
    )


def test_on_the_machine_itself_arguments_are_whole(here, node, capsys):
    tree = Tree(node)
    roots = ["--proc", str(tree.roots.proc), "--sys", str(tree.roots.sys)]
    assert run(["node", "ps", *roots]) == 0
    assert SECRETS["argument"] in capsys.readouterr().out


def test_watched_from_elsewhere(here, node, capsys):
    assert run(["node", "vmstat", "n1", "--watch", "0.1", "--count", "3"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["r", "2", "2", "2"]


def test_options_go_with_the_question(here, node, capsys):
    assert run(["node", "ps", "n1", "--tree", "-n", "shop", "-o", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["processes"] == []


def test_nodes_are_listed(here, node, capsys):
    assert run(["node", "list"]) == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split() == ["NODE", "AGENT", "STATE", "LAST", "SEEN"]
    assert ["n1", "connected"] in [row.split()[::2] for row in rows]
    assert run(["node", "list", "-o", "json"]) == 0
    found = [json.loads(line)["node"] for line in capsys.readouterr().out.splitlines()]
    assert "n1" in found


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["ps", "nowhere"], 1, 'there is no node "nowhere" whose agent asks for questions'),
        (["ps", "n1", "--node", "n2"], 2, "expected one node; got n1 and --node n2"),
        (["ps", "n1", "--proc", "/proc"], 2, "--proc is of this machine"),
        (["ps", "--url", "http://x"], 2, "expected NODE"),
        (["ps", "a/b"], 1, "there is no"),
    ],
)
def test_a_wrong_node_is_told(here, node, arguments, status, said, capsys):
    assert run(["node", *arguments]) == status
    assert said in capsys.readouterr().err


def test_without_a_server_it_is_told(no_machine, monkeypatch, capsys):
    monkeypatch.setenv("KELP_URL", "http://127.0.0.1:9")
    assert run(["node", "top", "n1"]) == 1
    assert "no Kelp server answers at http://127.0.0.1:9" in capsys.readouterr().err


class Fetched:
    def __init__(self, report: str) -> None:
        self.report = report
        self.params: list[dict[str, object]] = []

    def get_bytes(self, path, params):
        self.params.append(params)
        return b'{"time": "t", "resources": {}, "version": null, "cgroups": []}'


@pytest.mark.parametrize(
    ("report", "asked", "slept"),
    [
        ("cgroups", ["1", "5"], 0.0),  # the agent waits
        ("pressure", [None, None], 5.0),  # we wait
    ],
)
def test_who_waits_between_two_looks(report, asked, slept):
    fetch, clock = Fetched(report), FakeClock()
    looks = Elsewhere(fetch, "n1", clock).looks(Question(report=report))
    looks.first(5.0)
    looks.next(5.0)
    assert asked == [p.get("interval_s") for p in fetch.params]
    assert slept == clock.seconds - 1000


class Failing(Fetched):
    def get_bytes(self, path, params):
        data = super().get_bytes(path, params)
        if len(self.params) in (2, 3):
            raise AwayError("the server cannot answer now")
        return data


def test_who_watches_sees_it_come_back(capsys):
    fetch, clock = Failing("pressure"), FakeClock()
    view = View(Elsewhere(fetch, "n1", clock), "table", 1.0, 4)
    view.show(Question(report="pressure"), lambda _: iter(["line"]))
    out, err = capsys.readouterr()
    assert (out.count("line"), err) == (2, "kelp: note: the server cannot answer now\n")


def test_who_looks_once_is_told():
    fetch = Failing("pressure")
    fetch.params.append({})
    with pytest.raises(AwayError):
        Elsewhere(fetch, "n1", FakeClock()).looks(Question(report="pressure")).first(None)


def test_of_a_long_interval_we_wait_the_rest():
    fetch, clock = Fetched("cgroups"), FakeClock()
    looks = Elsewhere(fetch, "n1", clock).looks(Question(report="cgroups"))
    looks.first(60.0)
    looks.next(60.0)
    assert (["1", "10"], 50.0) == ([p["interval_s"] for p in fetch.params], clock.seconds - 1000)


def test_a_bundle_from_elsewhere_holds_no_secret(here, node, server, capsys):
    assert run(["support-bundle", "n1"]) == 0
    (path,) = here.glob("kelp-support-n1-*.tar.gz")
    said = capsys.readouterr()
    assert said.out.startswith(f"{path.name}: ")
    assert path.stat().st_mode & 0o777 == 0o600
    without_secrets(bundle(path), server.token)


def test_a_bundle_of_this_machine_holds_no_secret(here, node, server, monkeypatch, capsys):
    monkeypatch.delenv("KELP_DATA_DIR")
    settings = agent_settings(node, server, "n1")
    config = here / "kelp.yaml"
    agent = {
        "node": "n1", "proc_dir": settings.agent.proc_dir, "sys_dir": settings.agent.sys_dir,
        "pods_dir": settings.agent.pods_dir, "kmsg": {"path": settings.agent.kmsg.path},
        "spool": {"encryption_key_file": str(node / "key")},
        "journal": {"command": "no-such-journalctl"}, "listen": "127.0.0.1:9",
    }  # fmt: skip
    config.write_text(json.dumps({"data_dir": settings.data_dir, "agent": agent}))
    (here / "out").mkdir()
    out = here / "out" / "b.tar.gz"
    assert run(["support-bundle", "--config", str(config), "-o", str(out)]) == 0
    files = bundle(out)
    without_secrets(files, server.token)
    assert json.loads(files["agent/state.json"])["agent_id"]


def without_secrets(files: dict[str, bytes], token: str) -> None:
    everything = b"\n".join(files.values())
    for name, secret in {**SECRETS, "token": token}.items():
        assert secret.encode() not in everything, f"expected no {name}"
    assert b"the body of a log" not in everything
    # They were looked at, though, and the rest of them is there.
    assert b"web --password [redacted]" in files["node/ps.txt"]
    assert b"usb 1-1: SerialNumber password=[redacted]" in files["kernel/kmsg.txt"]
    assert b"/run/x?token=[redacted]" in files["node/ss.txt"]
    assert b"shop_web_uid/app/0.log" in files["pods/pods.txt"]
    assert b"root=/dev/vda" in files["versions.json"]
    found = json.loads(files["MANIFEST.json"])
    assert {f["name"] for f in found["files"]} == set(files) - {"MANIFEST.json"}
    assert "journal/kubelet.txt" in [m["name"] for m in found["absent"]]


def test_one_bundle_is_made_at_once(here, node, capfd):
    command = [sys.executable, "-m", "kelp", "support-bundle", "n1", "-o"]
    with subprocess.Popen([*command, "first.tar.gz"]) as first:
        wait_until((here / ".first.tar.gz.part").exists)
        assert run(["support-bundle", "n1", "-o", "second.tar.gz"]) == 1
        assert first.wait(30) == 0
    assert "another bundle is being made; ask again when it is done" in capfd.readouterr().err
    assert [p.name for p in here.glob("*.tar.gz")] == ["first.tar.gz"]


def test_a_bundle_to_standard_output(here, node, capsysbinary):
    assert run(["support-bundle", "n1", "-o", "-"]) == 0
    assert capsysbinary.readouterr().out.startswith(b"\x1f\x8b")


def test_a_file_that_exists_stays(here, node, capsys):
    (here / "b.tar.gz").write_text("mine")
    assert run(["support-bundle", "n1", "-o", "b.tar.gz"]) == 1
    assert "b.tar.gz exists" in capsys.readouterr().err
    assert (here / "b.tar.gz").read_text() == "mine"


def test_what_cannot_be_had_or_written_leaves_no_file(here, node, capsys):
    assert run(["support-bundle", "nowhere", "-o", "b.tar.gz"]) == 1
    assert run(["support-bundle", "n1", "-o", "no/such/folder/b.tar.gz"]) == 1
    err = capsys.readouterr().err
    assert 'there is no node "nowhere"' in err
    assert "no/such/folder/b.tar.gz: cannot write: No such file or directory" in err
    assert list(here.glob("*.tar.gz*")) + list(here.glob(".*.part")) == []


def test_a_bundle_that_breaks_off_leaves_no_file(here, server, capsys):
    agent = ByHand(server, "half")
    agent.ask()

    def send() -> None:
        ask = agent.ask(10)
        agent.answer(ask, b"\x1f\x8b the begin", last="false")
        agent.answer(ask, b"the disk is gone", part=1, outcome="failed")

    with ThreadPoolExecutor(1) as thread:
        thread.submit(send)
        assert run(["support-bundle", "half", "-o", "b.tar.gz"]) == 1
    assert "the connection to" in capsys.readouterr().err
    assert list(here.glob("*b.tar.gz*")) == []


def test_what_is_no_archive_is_told(here, server, capsys):
    agent = ByHand(server, "odd")
    agent.ask()
    with ThreadPoolExecutor(1) as thread:
        thread.submit(lambda: agent.answer(agent.ask(10), b"no archive"))
        assert run(["support-bundle", "odd", "-o", "b.tar.gz"]) == 1
    assert "the archive that came is damaged" in capsys.readouterr().err
    assert list(here.glob("*b.tar.gz*")) == []


def test_an_answer_of_another_kind_is_told(here, server, capsys):
    agent = ByHand(server, "newer")
    agent.ask()
    with ThreadPoolExecutor(1) as thread:
        thread.submit(lambda: agent.answer(agent.ask(10), b'{"time": 7}'))
        assert run(["node", "ps", "newer"]) == 1
    assert "the answer cannot be read" in capsys.readouterr().err


def test_a_machine_without_proc_is_told(here, capsys):
    config = here / "kelp.yaml"
    config.write_text(json.dumps({"agent": {"proc_dir": str(here)}}))
    assert run(["support-bundle", "--config", str(config)]) == 1
    assert "expected a proc file system" in capsys.readouterr().err
