from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kelp.base.config import find_config_file, load_config, load_settings
from kelp.base.errors import ConfigError
from kelp.base.settings import Retention


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write kelp.yaml into a folder that is the current one, so that errors name it short."""
    monkeypatch.chdir(tmp_path)

    def write(text: str | bytes) -> Path:
        path = Path("kelp.yaml")
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def problems(path: Path | None, environ=None, overrides=None) -> list[str]:
    with pytest.raises(ConfigError) as e:
        load_settings(path, environ or {}, overrides)
    return e.value.problems


def test_an_empty_file_gives_the_defaults(write):
    settings = load_settings(write("# nothing yet\n"), {})
    assert settings.server.listen == "127.0.0.1:3170"
    assert settings.agent.pods_dir == "/var/log/pods"


def test_values_are_read_by_their_types(write):
    settings = load_settings(
        write(
            "server:\n  listen: '[::1]:4000'\n  insert_interval_s: 1\n"
            "store:\n  retention_days: 7.5\n  retention:\n"
            "    - {namespace: payments, days: 90}\n    - days: 1\n      dataset: audit\n"
            "query:\n  max_scanned_rows: 1e9\n  derive_service_name: off\n"
        ),
        {},
    )
    assert settings.server.listen == "[::1]:4000"
    assert settings.server.insert_interval_s == 1.0
    assert [
        Retention(days=90, namespace="payments"),
        Retention(days=1, dataset="audit"),
    ] == settings.store.retention
    assert settings.query.max_scanned_rows == 10**9
    assert settings.query.derive_service_name is False


@pytest.mark.parametrize("text", ["on", "12", "1:30", "2026-11-20", "0x1f", "1e3", "true"])
def test_text_stands_for_itself_without_quotes(write, text):
    assert text == load_settings(write(f"agent:\n  node: {text}\n"), {}).agent.node


def test_a_section_with_nothing_in_it_is_none(write):
    assert load_settings(write("server:\n  # listen: x\n"), {}).server.listen == "127.0.0.1:3170"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            'server:\n  max_request_bytes: "x"\n',
            'kelp.yaml:2:22: expected int >= 0; got "x"',
        ),
        ("server:\n  max_request_bytes: -1\n", "kelp.yaml:2:22: expected int >= 0; got -1"),
        (
            'server:\n  max_request_bytes: "5"\n',
            'kelp.yaml:2:22: expected int >= 0; got "5"',
        ),
        ("query:\n  max_entries: 0\n", "kelp.yaml:2:16: expected int >= 1; got 0"),
        ("store: {retention_days: 0}\n", "kelp.yaml:1:25: expected number > 0; got 0"),
        ("agent:\n  poll_interval_s: .nan\n", "kelp.yaml:2:20: expected number >= 0; got .nan"),
        ("agent:\n  inotify: maybe\n", 'kelp.yaml:2:12: expected true or false; got "maybe"'),
        ("agent:\n  inotify: 1\n", "kelp.yaml:2:12: expected true or false; got 1"),
        (
            "agent:\n  spool:\n    fsync: sometimes\n",
            'kelp.yaml:3:12: expected "always" or "never"; got "sometimes"',
        ),
        (
            "data_dir:\n",
            'kelp.yaml:1:10: expected text; got nothing (for empty text write "")',
        ),
        ("data_dir: [a]\n", "kelp.yaml:1:11: expected text; got a list"),
        ("agent: 5\n", "kelp.yaml:1:8: expected a mapping with the keys "),
        (
            "store:\n  retention: 5\n",
            "kelp.yaml:2:14: expected a list, each of it a mapping with the keys "
            "days, dataset, namespace; got 5",
        ),
        (
            "store:\n  retention:\n  - dataset: app\n",
            'kelp.yaml:3:5: expected the key "days"; got dataset',
        ),
        (
            "store:\n  retention:\n  - days: x\n",
            'kelp.yaml:3:11: expected number > 0; got "x"',
        ),
        ("server:\n  max_request_bytes: !!python/object:os.system x\n", "kelp.yaml:2:22: expected"),
        ("agent:\n  inotify: !!bool maybe\n", "kelp.yaml:2:12: expected true or false; got maybe"),
    ],
)
def test_a_wrong_value_is_told_with_its_place(write, text, expected):
    (problem,) = problems(write(text))
    assert problem.startswith(expected), problem


def test_an_unknown_key_is_refused_with_the_one_meant(write):
    (problem,) = problems(write("agent:\n  pod_dir: /x\n"))
    assert problem.startswith("kelp.yaml:2:3: expected one of listen, node, ")
    assert problem.endswith(' in agent; got "pod_dir"; did you mean pods_dir?')


def test_a_key_in_the_wrong_section_is_shown_its_place(write):
    (problem,) = problems(write("pods_dir: /x\n"))
    assert problem.endswith('got "pods_dir"; did you mean agent.pods_dir?')


def test_a_key_that_stands_twice_is_refused(write):
    assert problems(write("agent:\n  node: a\n  cluster: c\n  node: b\n")) == [
        'kelp.yaml:4:3: key "agent.node" stands here again; its first value is in line 2'
    ]


def test_all_that_is_wrong_is_told_at_once(write):
    found = problems(
        write("agent:\n  inotify: 5\n  nod: b\nservr: {}\n"), {"KELP_QUERY_MAX_ENTRIES": "x"}
    )
    assert [p.partition(": ")[0] for p in found] == [
        "kelp.yaml:2:12",
        "kelp.yaml:3:3",
        "kelp.yaml:4:1",
        "KELP_QUERY_MAX_ENTRIES",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("agent:\n\tnode: x\n", "kelp.yaml:2:1: expected YAML; "),
        ("agent: {node: x\n", "kelp.yaml:2:1: expected YAML; "),
        ("a: 1\n---\nb: 2\n", "kelp.yaml:2:1: expected YAML; "),
        ("- a\n", "kelp.yaml:1:1: expected a mapping with the keys data_dir, "),
        (b"agent: \xff\xfe\n", "kelp.yaml: expected YAML in UTF-8; got "),
        ("[" * 20000, "kelp.yaml: expected a few levels"),
        ("agent: *nowhere\n", "kelp.yaml:1:8: expected YAML; "),
        ("? [a, b]\n: 1\n", "kelp.yaml:1:3: expected one of data_dir, "),
    ],
)
def test_what_is_no_yaml_is_told_with_its_place(write, text, expected):
    (problem,) = problems(write(text))
    assert problem.startswith(expected), problem


def test_a_file_that_is_not_there_is_told(tmp_path):
    (problem,) = problems(tmp_path / "none.yaml")
    expected = f"cannot read the configuration {tmp_path}/none.yaml: No such file or directory"
    assert expected == problem


@given(st.text(max_size=200))
def test_arbitrary_text_is_settings_or_a_config_error(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("fuzz") / "kelp.yaml"
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    try:
        load_settings(path, {})
    except ConfigError as e:
        assert str(e)


# --- the environment


def test_the_environment_goes_before_the_file(write):
    path = write("agent:\n  pods_dir: /from/file\n  node: file\n")
    settings = load_settings(path, {"KELP_AGENT_PODS_DIR": "/from/env"})
    assert settings.agent.pods_dir == "/from/env"
    assert settings.agent.node == "file"


def test_flags_go_before_the_environment(write):
    settings = load_settings(
        write("agent:\n  pods_dir: /from/file\n"),
        {"KELP_AGENT_PODS_DIR": "/from/env"},
        {"agent.pods_dir": Path("/from/flag"), "agent.node": None, "query.max_entries": "7"},
    )
    assert settings.agent.pods_dir == "/from/flag"
    assert settings.query.max_entries == 7


@pytest.mark.parametrize(
    "text", ["[{namespace: payments, days: 7}]", '[{"namespace": "payments", "days": 7}]']
)
def test_a_list_comes_as_yaml_or_json_text(write, text):
    settings = load_settings(write(""), {"KELP_STORE_RETENTION": text})
    assert [Retention(days=7, namespace="payments")] == settings.store.retention


def test_text_of_the_environment_is_not_read_as_yaml(write):
    environ = {"KELP_STORE_URL": "https://u:p@h:8443/#x: {", "KELP_AGENT_NODE": "null"}
    settings = load_settings(write(""), environ)
    assert settings.store.url == "https://u:p@h:8443/#x: {"
    assert settings.agent.node == "null"


def test_an_empty_variable_counts_as_not_set(write):
    environ = {"KELP_QUERY_MAX_ENTRIES": "", "KELP_AGENT_PODS_DIR": ""}
    settings = load_settings(write("agent: {pods_dir: /p}"), environ)
    assert settings.agent.pods_dir == "/p"
    assert settings.query.max_entries == 5000


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("KELP_QUERY_MAX_ENTRIES", "many", 'expected int >= 1; got "many"'),
        ("KELP_AGENT_INOTIFY", "[", "expected YAML; "),
        ("KELP_AGENT_INOTIFY", "\x00", "expected YAML in UTF-8; got "),
        ("KELP_AGENT_INOTIFY", "#", "expected true or false; got nothing"),
        (
            "KELP_LOG_LEVEL",
            "loud",
            'expected "debug" or "info" or "warning" or "error"; got "loud"',
        ),
    ],
)
def test_a_wrong_variable_is_told_by_its_name(write, name, text, expected):
    (problem,) = problems(write(""), {name: text})
    assert problem.startswith(f"{name}: {expected}"), problem


def test_variables_that_set_nothing_are_warned_of(write):
    config = load_config(
        write(""),
        {
            "KELP_AGENT_POD_DIR": "/x",
            "KELP_TOKEN": "t",
            "KELP_SERVICE_HOST": "10.0.0.1",
            "KELP_SERVER_PORT_3170_TCP_ADDR": "10.0.0.1",
            "KELP_PORT": "tcp://10.0.0.1:3170",
            "PATH": "/bin",
        },
    )
    assert config.warnings == [
        "environment variable KELP_AGENT_POD_DIR sets nothing in Kelp; "
        "did you mean KELP_AGENT_PODS_DIR?"
    ]


def test_a_wrong_flag_is_told_by_its_key(write):
    assert problems(write(""), {}, {"query.max_entries": "x"}) == [
        'flag for query.max_entries: expected int >= 1; got "x"'
    ]


def test_a_flag_for_no_setting_is_our_own_mistake(write):
    with pytest.raises(KeyError, match=r"agent\.nope"):
        load_settings(write(""), {}, {"agent.nope": 1})


# --- where it came from


def test_each_value_knows_its_origin(write):
    config = load_config(
        write("agent:\n  node: n\n"), {"KELP_AGENT_CLUSTER": "c"}, {"data_dir": "/d"}
    )
    assert config.origins["agent.node"] == "kelp.yaml:2:9"
    assert config.origins["agent.cluster"] == "KELP_AGENT_CLUSTER"
    assert config.origins["data_dir"] == "flag"
    assert config.origins["server.listen"] == "default"


def test_the_file_is_found(tmp_path):
    assert Path("/x.yaml") == find_config_file({"KELP_CONFIG": "/x.yaml", "HOME": "/none"})
    (tmp_path / "kelp").mkdir()
    (tmp_path / "kelp" / "kelp.yaml").write_text("agent: {node: n}\n")
    environ = {"XDG_CONFIG_HOME": str(tmp_path), "HOME": "/none"}
    assert tmp_path / "kelp" / "kelp.yaml" == find_config_file(environ)
    assert load_settings(None, environ).agent.node == "n"


def test_the_file_of_the_home_folder_is_found(tmp_path):
    folder = tmp_path / ".config" / "kelp"
    folder.mkdir(parents=True)
    (folder / "kelp.yaml").touch()
    assert folder / "kelp.yaml" == find_config_file({"HOME": str(tmp_path)})


@pytest.mark.skipif(Path("/etc/kelp/kelp.yaml").exists(), reason="this machine runs Kelp")
def test_no_file_at_all_is_fine():
    config = load_config(None, {})
    assert config.file is None


# --- what the settings mean together


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "server: {listen: '0.0.0.0:3170'}",
            "kelp.yaml:1:18: server.listen: expected a loopback address, or TLS; "
            'got "0.0.0.0:3170" without server.tls.cert_file',
        ),
        ("server: {listen: ':3170'}", "kelp.yaml:1:18: server.listen: expected a loopback address"),
        ("server: {listen: nowhere}", "kelp.yaml:1:18: server.listen: expected host:port"),
        ("server: {listen: '::1:3170'}", "kelp.yaml:1:18: server.listen: expected an IPv6 address"),
        ("agent: {listen: 'h:99999'}", "kelp.yaml:1:17: agent.listen: expected host:port"),
        (
            "server:\n  tls:\n    cert_file: c.pem\n",
            "kelp.yaml:3:16: server.tls.cert_file: expected server.tls.key_file beside it",
        ),
        (
            "agent: {ship: {key_file: k.pem}}",
            "kelp.yaml:1:26: agent.ship.key_file: expected agent.ship.cert_file beside it",
        ),
        (
            "server: {tls: {client_ca_file: c}}",
            "kelp.yaml:1:32: server.tls.client_ca_file: expected",
        ),
        ("store: {url: 'mysql://u:p@h'}", "kelp.yaml:1:14: store.url: expected chdb:///path"),
        ("store: {cluster: c}", "kelp.yaml:1:18: store.cluster: expected a store.url of a"),
        (
            "store: {url: 'https://h:8443', max_bytes: 5}",
            "kelp.yaml:1:43: store.max_bytes: holds for the embedded store only",
        ),
        ("agent: {ship: {url: 'h:3170'}}", "kelp.yaml:1:21: agent.ship.url: expected http://"),
        (
            "agent: {spool: {max_bytes: 5}}",
            "agent.spool.segment_bytes: expected at most agent.spool.max_bytes (5); got 8388608",
        ),
    ],
)
def test_settings_that_do_not_go_together_are_refused(write, text, expected):
    (problem,) = problems(write(text))
    assert problem.startswith(expected), problem
    assert "u:p" not in problem


@pytest.mark.parametrize(
    "text",
    [
        "server: {listen: 'localhost:0'}",
        "server: {listen: '[::1]:1'}",
        "server: {listen: '0.0.0.0:1', insecure_listen: true}",
        "server: {listen: ':1', tls: {cert_file: c, key_file: k, client_ca_file: a}}",
        "store: {url: 'https://u:p@h:8443', cluster: c}",
    ],
)
def test_settings_that_go_together_are_taken(write, text):
    load_settings(write(text), {})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "{units: ['kube*']}",
            'expected a service such as kubelet, without a pattern; got "kube*"',
        ),
        ("{enabled: true, poll_interval_s: 0.5}", "expected 1 or more; got 0.5"),
        ("{max_concurrent: 0}", "expected int >= 1"),
    ],
)
def test_journals_through_the_api_server(write, text, said):
    (problem,) = problems(write(f"agent: {{node_logs: {text}}}"))
    assert said in problem
