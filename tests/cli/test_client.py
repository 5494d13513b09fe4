import os
import ssl
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import trustme

from kelp.base.errors import KelpError
from kelp.cli.client import AwayError, Client, Connection, RefusedError, error_text, find_connection
from kelp.cli.instance import Instance, announce, find_instance, instance_path, withdraw


@pytest.fixture
def environ(tmp_path):
    return {"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path / "run"),
            "KELP_DATA_DIR": str(tmp_path / "data")}  # fmt: skip


@pytest.fixture
def token_here(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "token").write_text("local\n")


def test_without_anything_it_is_the_configured_server_with_its_token(environ, token_here, tmp_path):
    found = find_connection(environ=environ)
    expected = Connection("http://127.0.0.1:3170", "local", str(tmp_path / "data" / "token"))
    assert expected == found


def test_the_configuration_names_the_address(environ):
    environ |= {"KELP_SERVER_LISTEN": "0.0.0.0:4000", "KELP_SERVER_INSECURE_LISTEN": "true"}
    assert find_connection(environ=environ).url == "http://127.0.0.1:4000"
    environ |= {"KELP_SERVER_LISTEN": "[::1]:4000", "KELP_SERVER_TLS_CERT_FILE": "c",
                "KELP_SERVER_TLS_KEY_FILE": "k"}  # fmt: skip
    assert find_connection(environ=environ).url == "https://[::1]:4000"


def test_a_running_instance_goes_before_the_configuration(environ, token_here, tmp_path):
    (tmp_path / "demo-token").write_text("demo\n")
    instance = Instance("http://127.0.0.1:5000", str(tmp_path / "demo-token"), os.getpid())
    announce(instance, instance_path(environ))
    found = find_connection(environ=environ)
    assert (found.url, found.token) == ("http://127.0.0.1:5000", "demo")
    # Another server here is shown the configured token, not the instance's.
    assert find_connection("http://127.0.0.1:3170", environ=environ).token == "local"
    withdraw(instance, instance_path(environ))
    assert find_connection(environ=environ).token == "local"


def test_an_instance_that_is_gone_says_nothing(environ):
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    path = instance_path(environ)
    announce(Instance("http://127.0.0.1:5000", "t", process.pid), path)
    assert find_instance(path) is None
    path.write_text("{")
    assert find_instance(path) is None


def test_the_newest_instance_counts_and_an_older_one_does_not_withdraw_it(environ):
    path = instance_path(environ)
    older, newer = (Instance(f"http://h:{n}", "t", os.getpid()) for n in (1, 2))
    announce(older, path)
    announce(newer, path)
    withdraw(older, path)
    assert newer == find_instance(path)
    assert path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("url", ["https://kelp.example.com", "http://10.0.0.1:3170"])
def test_a_token_of_this_machine_is_not_sent_elsewhere(environ, token_here, url):
    assert find_connection(url, environ=environ).token == ""


def test_flags_go_before_the_environment(environ, token_here, tmp_path):
    (tmp_path / "flag").write_text("from-flag")
    (tmp_path / "env").write_text("from-env")
    environ |= {"KELP_URL": "http://env:1/", "KELP_TOKEN_FILE": str(tmp_path / "env")}
    assert find_connection(environ=environ).token == "from-env"
    assert find_connection(environ=environ).url == "http://env:1"
    environ |= {"KELP_TOKEN": "from-variable"}
    assert find_connection(environ=environ).token == "from-variable"
    found = find_connection("http://flag:1", str(tmp_path / "flag"), environ=environ)
    assert (found.url, found.token) == ("http://flag:1", "from-flag")


def test_a_wrong_configuration_is_no_hindrance_where_it_is_not_needed(environ, tmp_path):
    (tmp_path / "kelp.yaml").write_text("nonsense: 1\n")
    environ |= {"KELP_CONFIG": str(tmp_path / "kelp.yaml")}
    with pytest.raises(KelpError, match=r"kelp\.yaml:1:1: expected one of "):
        find_connection(environ=environ)
    environ |= {"KELP_TOKEN": "t", "KELP_URL": "http://127.0.0.1:1"}
    assert find_connection(environ=environ).token == "t"


def test_a_url_without_a_scheme_is_refused(environ):
    with pytest.raises(KelpError, match=r'expected http://host:port or https://.*; got "h:1"'):
        find_connection("h:1", environ=environ)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b'{"error": {"message": "m", "hint": "do this"}}', "m; do this"),
        (b'{"error": {"message": "m", "expected": "e", "got": "g"}}', "m: expected e; got g"),
        (b"parse error at line 1\n", "parse error at line 1"),
        (b'{"error": "m"}', '{"error": "m"}'),
        (b"[]", "[]"),
        (b"", ""),
    ],
)
def test_errors_of_both_families_are_read(content, expected):
    assert expected == error_text(content)


# --- over the wire


@pytest.fixture
def serve():
    """Serve one answer to everything; gives the server, whose thread ends with the test."""
    servers = []

    def serve(status=200, body=b"{}", wrap=None):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass

        server = HTTPServer(("127.0.0.1", 0), Handler)
        if wrap:
            server.socket = wrap(server.socket)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        servers.append(server)
        return server.server_address[1]

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("status", "kind", "expected"),
    [
        (400, RefusedError, "what is wrong"),
        (422, RefusedError, "what is wrong"),
        (500, RefusedError, "what is wrong"),
        (429, AwayError, "the server cannot answer now: what is wrong"),
        (503, AwayError, "the server cannot answer now: what is wrong"),
    ],
)
def test_a_status_tells_whether_trying_again_helps(serve, status, kind, expected):
    client = Client(Connection(f"http://127.0.0.1:{serve(status, b'what is wrong')}"))
    with pytest.raises(kind, match=expected):
        client.get("/x")
    with pytest.raises(kind, match=expected):
        list(client.stream("/x", {}))


def test_a_missing_token_is_told(serve):
    client = Client(Connection(f"http://127.0.0.1:{serve(401)}"))
    with pytest.raises(RefusedError, match="wants a token, and none was found: name the file"):
        client.get("/x")


def test_lines_are_whole_however_they_come(serve):
    body = "".join(f'{{"n": "{"x" * n}\u2028"}}\n' for n in range(0, 3000, 7)) + "cut"
    client = Client(Connection(f"http://127.0.0.1:{serve(200, body.encode())}"))
    assert body.encode().split(b"\n")[:-1] == list(client.stream("/x", {}))


def test_tls_is_trusted_by_its_authority(serve, tmp_path):
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    ca_file = Path(tmp_path, "ca.pem")
    authority.cert_pem.write_to_path(ca_file)
    port = serve(wrap=lambda sock: context.wrap_socket(sock, server_side=True))
    client = Client(Connection(f"https://127.0.0.1:{port}", ca_file=str(ca_file)))
    assert client.get("/x") == {}
    with pytest.raises(KelpError, match=r"is not trusted .* name its authority with --ca-file"):
        Client(Connection(f"https://127.0.0.1:{port}")).get("/x")


def test_an_authority_that_is_none_is_refused(tmp_path):
    with pytest.raises(KelpError, match="cannot use the authority in "):
        Client(Connection("https://h", ca_file=str(tmp_path / "none")))
    (tmp_path / "bad").write_text("x")
    with pytest.raises(KelpError, match="cannot use the authority in "):
        Client(Connection("https://h", ca_file=str(tmp_path / "bad")))
