"""The options of `kelp agent` are keys of the settings."""

from __future__ import annotations

from click.testing import CliRunner

from kelp.base.config_schema import keys
from kelp.cli.agent import KEYS, command


def test_each_option_is_a_key():
    options = {p.name for p in command.params} - {"config_file"}
    assert set(KEYS) == options
    assert set(KEYS.values()) <= {k.path for k in keys()}


def test_help_names_each_option():
    text = CliRunner().invoke(command, ["--help"]).output
    for option in ("--config", "--data-dir", "--pods-dir", "--url", "--node", "--listen"):
        assert option in text


def test_a_wrong_setting_is_an_error_before_anything_starts(tmp_path):
    file = tmp_path / "kelp.yaml"
    file.write_text("agent:\n  poll_interval_s: fast\n")
    result = CliRunner().invoke(command, ["--config", str(file)])
    assert "kelp.yaml:2:" in str(result.exception)
