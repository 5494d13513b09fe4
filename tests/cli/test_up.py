import fcntl
import os
import socket
from contextlib import ExitStack

import pytest

from kelp.base.errors import KelpError
from kelp.cli.main import run
from kelp.cli.up import greeting, prepare


@pytest.fixture
def environ(no_machine):
    """What a newcomer's shell has, without KELP_DATA_DIR."""
    return {k: v for k, v in os.environ.items() if not k.startswith("KELP_")}


@pytest.fixture
def port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@pytest.fixture
def ready(environ, port):
    """Prepare a site on a free port; what it opened is closed with the test."""
    with ExitStack() as stack:

        def ready(demo=False, config_file=None, flags=None, **variables):
            flags = {"server.listen": f"127.0.0.1:{port}", **(flags or {})}
            return prepare(config_file, flags, demo, {**environ, **variables}, stack)

        yield ready


def test_a_demo_has_folders_of_its_own(environ, port):
    with ExitStack() as stack:
        flags = {"server.listen": f"127.0.0.1:{port}"}
        site = prepare(None, flags, True, dict(environ), stack)
        folder = site.token_file.parents[1]
        assert folder.name.startswith("kelp-demo-")
        assert site.settings.agent.pods_dir == str(folder / "pods")
        assert site.settings.data_dir == str(folder / "data")
        assert site.settings.agent.node == "demo-node"
        assert site.token_file.stat().st_mode & 0o777 == 0o600
    assert not folder.exists()


def test_a_data_folder_that_was_named_stays(ready, tmp_path):
    site = ready(demo=True, flags={"data_dir": str(tmp_path / "mine")})
    assert site.settings.data_dir == str(tmp_path / "mine")
    site = ready(demo=True, KELP_DATA_DIR=str(tmp_path / "other"))
    assert site.token_file == tmp_path / "other" / "token"


def test_a_demo_never_uses_the_data_of_the_configuration_that_is_found(ready, no_machine, capsys):
    folder = no_machine / "xdg_config_home" / "kelp"
    folder.mkdir(parents=True)
    (folder / "kelp.yaml").write_text("data_dir: /real/data\nstore: {url: 'https://real:8443'}\n")
    site = ready(demo=True)
    assert site.settings.store.url == ""
    assert "kelp-demo-" in site.settings.data_dir
    assert site.environ["KELP_CONFIG"] == os.devnull
    assert (
        "is not for a simulated node; to use it, name it with --config" in capsys.readouterr().err
    )


def test_a_configuration_that_was_named_is_used(ready, tmp_path):
    config = tmp_path / "kelp.yaml"
    config.write_text(f"data_dir: {tmp_path}/d\nagent: {{cluster: c, listen: '127.0.0.1:0'}}\n")
    site = ready(demo=True, config_file=config)
    assert site.settings.data_dir == f"{tmp_path}/d"
    assert site.environ["KELP_CONFIG"] == str(config)
    assert site.settings.agent.listen == "127.0.0.1:0"


def test_without_the_kubelets_folder_a_node_is_simulated(ready, monkeypatch, tmp_path):
    if os.path.exists("/var/log/pods"):  # noqa: PTH110 - a plain question
        pytest.skip("this machine is a node")
    site = ready()
    assert site.demo_reason == "for there is no /var/log/pods here"
    assert "of a simulated node, for there is no /var/log/pods here" in greeting(site)


def test_a_folder_that_was_named_is_taken_though_it_is_not_there_yet(ready, tmp_path):
    site = ready(flags={"agent.pods_dir": tmp_path / "pods", "data_dir": tmp_path / "d"})
    assert site.demo_reason == ""
    assert f"of {tmp_path}/pods, which is not there yet\n" in greeting(site)
    (tmp_path / "pods").mkdir()
    assert f"of {tmp_path}/pods\n" in greeting(site)
    assert "simulated" not in greeting(site)


def test_the_children_agree_with_each_other(ready, port, tmp_path):
    site = ready(demo=True)
    assert site.settings.agent.ship.url == f"http://127.0.0.1:{port}" == site.url
    assert site.settings.agent.listen == f"127.0.0.1:{port + 1}"
    assert site.settings.log_level == "warning"
    assert site.settings.under_data_dir(site.settings.agent.ship.token_file, "token") == (
        site.token_file
    )


def test_the_greeting_says_where_and_what_now(ready):
    text = greeting(ready(demo=True))
    assert "is up at http://127.0.0.1:" in text
    assert text.count(" logs -") == 2
    assert "/token\n" in text


def test_a_second_one_on_the_same_data_is_told(ready, tmp_path):
    (tmp_path / "d").mkdir()
    with (tmp_path / "d" / "up.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(KelpError, match=r"another `kelp up` uses .*/d: stop it, or name anot"):
            ready(flags={"data_dir": tmp_path / "d"})


def test_a_port_that_is_taken_is_told(ready, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(KelpError, match=f"cannot listen on {listen}: Address already in use; "):
            ready(flags={"server.listen": listen, "data_dir": tmp_path / "d"})


def test_any_free_port_is_refused(ready):
    with pytest.raises(KelpError, match="expected a port for `kelp up`; got"):
        ready(demo=True, flags={"server.listen": "127.0.0.1:0"})


def test_a_data_folder_that_cannot_be_written_is_told(ready, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(KelpError, match=r"cannot write to the data folder .*; name another with "):
        ready(flags={"data_dir": tmp_path / "file" / "d"})


def test_what_others_could_reach_needs_tls(ready):
    with pytest.raises(KelpError, match="expected a loopback address, or TLS"):
        ready(flags={"server.listen": "0.0.0.0:0"})


def test_a_demo_has_no_other_logs(capsys):
    assert run(["up", "--demo", "--pods-dir", "/x"]) == 2
    assert "expected one of --demo and --pods-dir; got both" in capsys.readouterr().err
