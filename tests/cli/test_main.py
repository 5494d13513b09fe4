import re
import resource
import signal
import subprocess
import sys

import click
import pytest

from kelp.base.errors import KelpError
from kelp.cli import main as cli
from kelp.cli.main import COMMANDS, run


def test_help_lists_every_subcommand(capsys):
    assert run(["--help"]) == 0
    out = capsys.readouterr().out
    assert [
        name for name, (_, text) in COMMANDS.items() if name not in out or text not in out
    ] == []


def test_help_imports_no_subcommand():
    code = (
        "import sys; from kelp.cli.main import run; run(['--help'])\n"
        "heavy = {'pyarrow', 'chdb', 'numpy', 'httpx2', 're2', 'websockets', 'rich', 'starlette'}\n"
        "print('heavy:', sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("heavy: []\n")


def test_what_asks_a_server_pays_neither_for_the_engine_nor_for_arrow():
    code = (
        "import sys, kelp.cli.logs, kelp.cli.query, kelp.cli.sql, kelp.cli.labels, kelp.cli.up\n"
        "heavy = {'pyarrow', 'chdb', 'clickhouse_connect', 'numpy', 'starlette', 'uvicorn'}\n"
        "print('heavy:', sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "heavy: []\n"


def test_an_unknown_subcommand_is_a_usage_error_with_the_one_meant(capsys):
    assert run(["log"]) == 2
    assert "No such command 'log'. Did you mean 'logs'?" in capsys.readouterr().err


def test_the_version_is_printed(capsys):
    assert run(["version"]) == 0
    assert re.match(r"kelp \d+\.\d+\.\d+\npython 3\.", capsys.readouterr().out)


@pytest.fixture
def subcommand(monkeypatch):
    """Put a function in the place of `kelp version`."""

    def put(function):
        command = click.command("version")(function)
        monkeypatch.setattr(cli, "load_command", lambda name: command)

    return put


def test_an_error_is_one_line_on_standard_error(subcommand, capsys):
    def fails():
        raise KelpError("expected a; got b")

    subcommand(fails)
    assert run(["version"]) == 1
    assert capsys.readouterr() == ("", "kelp: expected a; got b\n")


def test_several_errors_are_a_line_each(subcommand, capsys):
    def fails():
        raise KelpError("one\ntwo")

    subcommand(fails)
    assert run(["version"]) == 1
    assert capsys.readouterr().err == "kelp: one\nkelp: two\n"


def test_ctrl_c_ends_quietly(subcommand, capsys):
    def interrupted():
        raise KeyboardInterrupt

    subcommand(interrupted)
    assert run(["version"]) == 130
    assert capsys.readouterr() == ("", "")


def test_a_reader_that_goes_away_is_no_error():
    process = subprocess.Popen(
        [sys.executable, "-m", "kelp", "config", "schema"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.close()
    _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (141, b"")


def test_help_comes_at_once():
    # CPU seconds, for the machine may be busy with something else.
    best = min(_cpu_seconds([sys.executable, "-m", "kelp", "--help"]) for _ in range(5))
    assert best < 0.15


def _cpu_seconds(command: list[str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def test_ctrl_c_of_a_real_process_leaves_no_traceback(tmp_path):
    code = (
        "import click, time\nfrom kelp.cli import main\n"
        "@click.command('version')\n"
        "def waits():\n    click.echo('ready')\n    time.sleep(30)\n"
        "main.load_command = lambda name: waits\nmain.main(['version'])\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-u", "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (130, b"")
