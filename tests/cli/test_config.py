import json

import pytest
import yaml

from kelp.base.config_schema import keys
from kelp.cli.main import run


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    """No configuration of this machine, and a folder of our own."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_check_tells_all_errors(alone, capsys):
    (alone / "kelp.yaml").write_text("agent:\n  nod: x\n  inotify: 5\n")
    assert run(["config", "check", "kelp.yaml"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    first, second = err.splitlines()
    assert first.startswith("kelp: kelp.yaml:2:3: expected one of ")
    assert second == "kelp: kelp.yaml:3:12: expected true or false; got 5"


def test_check_says_what_it_checked(alone, capsys):
    (alone / "kelp.yaml").write_text("agent: {node: x}\n")
    assert run(["config", "check", "kelp.yaml"]) == 0
    assert capsys.readouterr().out == "kelp.yaml: fine\n"
    assert run(["config", "check"]) == 0
    assert capsys.readouterr().out == "no configuration file: the defaults: fine\n"


def test_check_warns_of_variables_that_set_nothing(monkeypatch, capsys):
    monkeypatch.setenv("KELP_AGENT_NODDE", "x")
    assert run(["config", "check"]) == 0
    assert (
        capsys.readouterr().err
        == "kelp: warning: environment variable KELP_AGENT_NODDE sets nothing in Kelp; "
        "did you mean KELP_AGENT_NODE?\n"
    )


def test_show_tells_values_with_their_origin(alone, monkeypatch, capsys):
    (alone / "kelp.yaml").write_text(
        "store:\n  url: https://user:pa55@clickhouse:8443\nagent:\n  node: n1\n"
    )
    monkeypatch.setenv("KELP_AGENT_CLUSTER", "c1")
    assert run(["config", "show", "--config", "kelp.yaml"]) == 0
    out = capsys.readouterr().out
    assert '  node: "n1"  # kelp.yaml:4:9\n' in out
    assert '  cluster: "c1"  # KELP_AGENT_CLUSTER\n' in out
    assert '  url: "https://***@clickhouse:8443"  # kelp.yaml:2:8\n' in out
    assert "pa55" not in out


def test_what_show_prints_can_be_read_again(alone, capsys):
    assert run(["config", "show"]) == 0
    text = capsys.readouterr().out
    (alone / "again.yaml").write_text(text)
    assert run(["config", "check", "again.yaml"]) == 0
    assert yaml.safe_load(text)["agent"]["spool"]["fsync"] == "always"


def test_show_as_json_has_every_key(capsys):
    assert run(["config", "show", "-o", "json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert [k.path for k in keys()] == list(shown)
    assert shown["store.retention_days"] == {"value": 30, "origin": "default"}


def test_the_schema_is_json(capsys):
    assert run(["config", "schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    assert schema["title"] == "kelp.yaml"


def test_a_file_that_is_not_there_is_told(capsys):
    assert run(["config", "check", "none.yaml"]) == 1
    assert (
        capsys.readouterr().err
        == "kelp: cannot read the configuration none.yaml: No such file or directory\n"
    )
