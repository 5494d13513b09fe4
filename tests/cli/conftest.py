import pytest

from tests.doubles.log_server import LogServer


@pytest.fixture
def no_machine(tmp_path, monkeypatch):
    """Nothing of this machine's Kelp: no configuration, no running instance, no variables."""
    for name in ("KELP_URL", "KELP_TOKEN", "KELP_TOKEN_FILE", "KELP_CA_FILE", "KELP_CONFIG",
                 "NO_COLOR"):  # fmt: skip
        monkeypatch.delenv(name, raising=False)
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    monkeypatch.setenv("KELP_DATA_DIR", str(tmp_path / "data"))
    return tmp_path


@pytest.fixture
def server(no_machine, monkeypatch):
    """A log server in memory which the command line finds."""
    double = LogServer()
    double.start()
    monkeypatch.setenv("KELP_URL", double.url)
    monkeypatch.setenv("KELP_TOKEN", double.token)
    yield double
    double.stop()
