import json
import os
import pty
import subprocess
import sys

import pytest

from kelp.agent.main import Agent
from kelp.cli.main import run
from kelp.cli.node_source import ThisMachine
from kelp.cli.node_view import View
from kelp.node.host.question import Question
from kelp.wire.asks import Ask

from ..node.host.tree import CONTAINER_V2, FakeClock, Tree

COMMANDS = ("top", "ps", "iostat", "vmstat", "ss", "route", "pressure", "cgroups")


@pytest.fixture
def tree(tmp_path):
    made = Tree(tmp_path)
    made.pod()
    made.process(1, "init", ppid=0)
    made.process(7, "nginx", cgroup=f"0::{CONTAINER_V2}\n", command="nginx -g")
    return made


def roots(tree):
    return ["--proc", str(tree.roots.proc), "--sys", str(tree.roots.sys), "--pods-dir",
            str(tree.roots.pods)]  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_each_prints_one_json_object_of_this_machine(command, capsys):
    assert run(["node", command, "-o", "json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert {"time", "interval_s", "notes"} <= json.loads(line).keys()


@pytest.mark.parametrize("command", COMMANDS)
def test_each_prints_text_of_this_machine(command, capsys):
    assert run(["node", command]) == 0
    assert capsys.readouterr().out != ""


@pytest.mark.parametrize("command", COMMANDS)
def test_each_has_help(command, capsys):
    assert run(["node", command, "--help"]) == 0
    assert "--watch [SECONDS]" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("command", COMMANDS)
def test_each_reads_an_empty_proc(tree, command, capsys):
    assert run(["node", command, "-o", "json", *roots(tree)]) == 0
    assert json.loads(capsys.readouterr().out)


def test_names_that_a_shell_uses_stand_beside_a_process(tree, capsys):
    assert run(["node", "ps", "-o", "json", "-n", "shop", *roots(tree)]) == 0
    (process,) = json.loads(capsys.readouterr().out)["processes"]
    assert (process["namespace"], process["pod"], process["pid"]) == ("shop", "web-0", 7)


def test_the_table_of_a_pod(tree, capsys):
    assert run(["node", "ps", "--pod", "web-*", *roots(tree)]) == 0
    head, row = capsys.readouterr().out.splitlines()
    assert head.split()[0] == "USER"
    assert row.endswith("shop/web-0  abababababab  nginx -g")


def test_notes_go_to_standard_error(tree, capsys):
    assert run(["node", "pressure", *roots(tree)]) == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("kelp: note: this kernel tells no pressure")


def test_counted_looks(tree, capsys):
    assert run(["node", "ps", "-o", "json", "--watch", "0.1", "--count", "3", *roots(tree)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_vmstat_has_one_heading(tree, capsys):
    assert run(["node", "vmstat", "--watch", "0.1", "--count", "3", *roots(tree)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["r", "2", "2", "2"]


def test_watch_without_seconds_takes_its_default_and_the_option_after_it(tree, capsys):
    assert run(["node", "ps", "--watch", "--count", "1", *roots(tree)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_ss_takes_the_letters_of_ss(capsys):
    assert run(["node", "ss", "-tulnp", "--limit", "3"]) == 0
    assert capsys.readouterr().out.startswith("NETID")
    assert run(["node", "ss", "-tanp", "-4", "--timers", "--limit", "3"]) == 0
    assert "TIMER" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["top", "--sort", "size"], "'size' is not one of 'cpu', 'memory'"),
        (["ps", "--watch", "0"], "0.0 is not in the range"),
        (["ps", "--watch", "often"], "'often' is not a valid float"),
        (["ps", "--count", "0"], "0 is not in the range"),
        (["dance"], "No such command 'dance'"),
    ],
)
def test_a_wrong_option_is_a_usage_error(arguments, said, capsys):
    assert run(["node", *arguments]) == 2
    assert said in capsys.readouterr().err


def test_a_folder_that_is_no_proc(tmp_path, capsys):
    assert run(["node", "top", "--proc", str(tmp_path)]) == 1
    assert "expected a proc file system with the file stat; found none" in capsys.readouterr().err


def test_a_first_look_is_only_for_rates(tree, capsys):
    clock = FakeClock()
    view = View(ThisMachine(tree.roots, clock), "table", None, None)
    view.show(Question(report="top"), lambda r: iter([str(r.interval_s)]))
    assert clock.seconds == 1001.0
    assert capsys.readouterr().out == "1.0\n"


def test_looks_keep_their_distance_and_a_note_is_told_once(tree, capsys):
    clock = FakeClock()
    view = View(ThisMachine(tree.roots, clock), "table", 5.0, 3)
    view.show(Question(report="pressure"), lambda _: iter(["line"]))
    assert clock.seconds == 1010.0
    out, err = capsys.readouterr()
    assert out == "line\n\nline\n\nline\n"
    assert err.count("this kernel tells no pressure") == 1


def test_on_a_terminal_a_watched_report_takes_the_screen(tree):

    main, side = pty.openpty()
    command = [sys.executable, "-m", "kelp", "node", "ps", "--count", "2", "--watch", "0.1"]
    environment = {**os.environ, "COLUMNS": "40", "LINES": "3"}
    done = subprocess.run([*command, *roots(tree)], stdout=side, env=environment, check=True)
    os.close(side)
    text = os.read(main, 65536).decode()
    os.close(main)
    assert done.returncode == 0
    assert text.count("\x1b[H\x1b[2J") == 2
    screen = text.split("\x1b[2J")[1].splitlines()
    assert len([line for line in screen if line.strip("\x1b[H")]) == 2
    assert max(map(len, screen)) <= 40


@pytest.mark.parametrize("wanted", [True, False])
def test_the_agent_tells_the_nodes_figures_unless_told_not_to(tmp_path, monkeypatch, wanted):
    file = tmp_path / "kelp.yaml"
    file.write_text(f"data_dir: {tmp_path}\nagent:\n  node_metrics: {str(wanted).lower()}\n")
    said = []

    def run_it(settings, load, collectors, answers):
        said.append(b"node_load1 " in Agent(settings, load, collectors=collectors).metrics())

    run_instead(monkeypatch, run_it)
    assert run(["agent", "--config", str(file)]) == 0
    assert said == [wanted]


def run_instead(monkeypatch, run_it):
    monkeypatch.setattr("kelp.agent.main.run_agent", run_it)
    monkeypatch.setattr("kelp.cli.agent.stay_small", lambda: None)
    monkeypatch.setattr("kelp.cli.agent.set_up_logging", lambda level: None)


def test_the_agent_reads_the_node_where_the_settings_say(tree, tmp_path, monkeypatch):
    file = tmp_path / "kelp.yaml"
    file.write_text(
        f"data_dir: {tmp_path}\nagent: {{proc_dir: {tree.roots.proc}, sys_dir: {tree.roots.sys}}}"
    )
    said = []

    def run_it(settings, load, collectors, answers):
        agent = Agent(settings, load, collectors=collectors)
        said.append(agent.metrics().decode())
        said.extend(answers.give(Ask(id="1", report="ps", timeout_s=1.0), agent))

    run_instead(monkeypatch, run_it)
    assert run(["agent", "--config", str(file)]) == 0
    assert "\nnode_load1 0.5\n" in said[0]
    assert [p["name"] for p in json.loads(said[1])["processes"]] == ["init", "nginx"]
