"""One request: streams, refusals in plain words, connections that are kept, TLS and proxies."""

from __future__ import annotations

import base64
import http.server
import json
import socket
import ssl
import threading

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from kelp.kube.access import Access, Tls
from kelp.kube.client import KubeClient, LineSplitter, segment
from kelp.kube.credentials import Certificate, Fixed, TokenFile
from kelp.kube.errors import AccessError, ApiError, AwayError
from kelp.kube.kubeconfig import read_kubeconfig
from tests.doubles.kube_api import TOKEN, KubeApi

NODES = "/api/v1/nodes"
LOG = "/api/v1/nodes/n1/proxy/logs/big.log"


def names(client: KubeClient) -> list[str]:
    body = json.loads(client.read(NODES, {"limit": 5}, right="list nodes", limit=1 << 20))
    return [n["metadata"]["name"] for n in body["items"]]


def test_an_answer(api, client):
    api.node("n1")
    assert ["n1"] == names(client)
    assert [f"{NODES}?limit=5"] == api.requests
    assert api.headers[0]["user-agent"].startswith("kelp/")


def test_connections_are_kept(api, client, monkeypatch):
    opened = []
    original = socket.create_connection
    monkeypatch.setattr(
        socket, "create_connection", lambda *a, **k: opened.append(a) or original(*a, **k)
    )
    for _ in range(3):
        names(client)
    assert 1 == len(opened)


def test_a_kept_connection_that_was_closed_is_opened_again(api, client):
    names(client)
    client._idle[0].sock.shutdown(socket.SHUT_RDWR)
    assert [] == names(client)


@pytest.mark.parametrize("gzipped", [False, True])
def test_a_stream_in_blocks_and_lines(api, client, tmp_path, gzipped):
    data = b"".join(b"line %d\n" % n for n in range(20_000)) + b"the last"
    (tmp_path / "big.log").write_bytes(data)
    api.node("n1", tmp_path)
    headers = {"Accept-Encoding": "gzip" if gzipped else "identity"}
    with client.get(LOG, right="get nodes/proxy", headers=headers) as answer:
        assert data.split(b"\n") == list(answer.lines(100))
    with (
        pytest.raises(AwayError, match="expected lines of at most 5 bytes"),
        client.get(LOG, right="get nodes/proxy", headers=headers) as answer,
    ):
        list(answer.lines(5))
    with pytest.raises(AwayError, match="at most 100 bytes"):
        client.read(LOG, right="get nodes/proxy", limit=100)
    assert [] != names(client)


@given(st.lists(st.binary(max_size=5)))
def test_blocks_to_lines(blocks):
    splitter = LineSplitter()
    lines = [line for block in blocks for line in splitter.feed(block)]
    assert b"".join(blocks).split(b"\n") == [*lines, splitter.rest()]
    assert splitter.held == len(splitter.rest())


@pytest.mark.parametrize("path", [NODES, LOG])
@pytest.mark.parametrize("cut", [0, 10])
def test_an_answer_that_breaks_off_is_told(api, client, tmp_path, path, cut):
    (tmp_path / "big.log").write_bytes(b"line\n" * 1000)
    api.node("n1", tmp_path)
    api.fault(path, cut=cut)
    with pytest.raises(AwayError, match="broke off"):
        client.read(path, right="x", limit=1 << 20)
    assert ["n1"] == names(client)


def test_an_answer_can_be_cut_from_another_thread(api, client):
    path = "/api/v1/pods"
    params = {"watch": "1", "resourceVersion": "0"}
    with (
        pytest.raises(AwayError),
        client.get(path, params, right="watch pods") as answer,
    ):
        threading.Timer(0.05, answer.cut).start()
        list(answer.lines(1 << 20))


@pytest.mark.parametrize(
    ("token", "right", "status", "said"),
    [
        ("wrong", "list nodes", 401, "it refused those of the test (Unauthorized)"),
        (
            "weak", "list nodes", 403,
            'expected the right to "list nodes"; the API server refused it to the user of the test:'
            ' bind a ClusterRole with it (nodes is forbidden: User "u" cannot list resource',
        ),
    ],
)  # fmt: skip
def test_refusals_say_what_is_missing(api, token, right, status, said):
    api.rights["weak"] = set()
    client = KubeClient(Access(api.url, Fixed.token(token), source="the test"))
    with pytest.raises(ApiError) as raised:
        client.read(NODES, right=right, limit=1 << 20)
    assert said in str(raised.value)
    assert status == raised.value.status


def test_other_statuses(api, client):
    api.fault(NODES, status=429, headers={"Retry-After": "7"})
    with pytest.raises(ApiError, match="got 429") as raised:
        names(client)
    assert 7.0 == raised.value.retry_after_s
    api.fault(NODES, status=410)
    with pytest.raises(ApiError, match="resourceVersion is too old") as raised:
        names(client)
    assert raised.value.gone
    with pytest.raises(ApiError, match="GET /nowhere; got 404"):
        client.read("/nowhere", right="get nowhere", limit=100)


def test_a_token_that_is_rotated_in_the_middle(api, tmp_path):
    path = tmp_path / "token"
    path.write_text("old")
    client = KubeClient(Access(api.url, TokenFile(path)))
    api.rights["old"] = {"list nodes"}
    assert [] == names(client)
    del api.rights["old"]
    status = path.stat()
    path.write_text(TOKEN[:3])
    path.write_text(TOKEN)
    import os

    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert [] == names(client)


class Renewed:
    """Credentials that get better when they are refused."""

    def __init__(self) -> None:
        self.token = "stale"

    def authorization(self) -> str:
        return f"Bearer {self.token}"

    def certificate(self) -> Certificate | None:
        return None

    def renew(self) -> bool:
        self.token = TOKEN
        return True


def test_refused_credentials_are_renewed_once(api):
    client = KubeClient(Access(api.url, Renewed()))
    assert [] == names(client)
    assert 2 == len(api.requests)


def test_nobody_there():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        client = KubeClient(Access(f"http://127.0.0.1:{port}", Fixed()))
        with pytest.raises(AwayError, match="cannot reach the Kubernetes API server at http"):
            names(client)


def test_a_server_that_says_nothing(api):
    client = KubeClient(Access(api.url, Fixed.token(TOKEN)))
    api.fault(NODES, slow_s=1.0)
    with (
        pytest.raises(AwayError, match="timed out"),
        client.get(NODES, right="list nodes", timeout_s=0.1),
    ):
        pass


@pytest.mark.parametrize("address", ["ftp://a", "https://", "nonsense", "https://a:99999"])
def test_addresses_that_are_none(address):
    with pytest.raises(AccessError, match="the address of an API server"):
        KubeClient(Access(address, Fixed()))


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
def test_a_server_on_this_machine_may_be_without_tls(host):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        with pytest.raises(AwayError):
            names(KubeClient(Access(f"http://{host}:{port}", Fixed.token("t"))))


def test_credentials_are_not_shown_in_the_open():
    client = KubeClient(Access("http://kube.example:8080", Fixed.token("secret")))
    with pytest.raises(AccessError, match=r"got http://kube\.example:8080"):
        names(client)


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_names_that_are_no_part_of_a_path(name):
    with pytest.raises(AccessError):
        segment(name)
    assert "a%2Fb" == segment("a/b")


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def serving(authority: trustme.CA, *names: str, clients: bool = False) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    if clients:
        context.verify_mode = ssl.CERT_REQUIRED
        authority.configure_trust(context)
    return context


def pem(authority: trustme.CA) -> str:
    return str(authority.cert_pem.bytes().decode())


def test_tls_by_the_kubeconfigs_authority(authority, tmp_path):
    with KubeApi(serving(authority, "localhost")) as api:
        ca = base64.b64encode(authority.cert_pem.bytes()).decode()
        access = read_kubeconfig([api.kubeconfig(tmp_path / "config", ca=ca)])
        assert [] == names(KubeClient(access))


def test_tls_of_an_unknown_authority_is_refused(authority, tmp_path):
    with KubeApi(serving(authority, "localhost")) as api:
        access = read_kubeconfig([api.kubeconfig(tmp_path / "config")])
        with pytest.raises(AwayError, match="expected a certificate for https://localhost"):
            names(KubeClient(access))
        insecure = Access(api.url, Fixed.token(TOKEN), Tls(insecure=True))
        assert [] == names(KubeClient(insecure))


def test_tls_for_another_name(authority):
    with KubeApi(serving(authority, "kube.example")) as api:
        token = Fixed.token(TOKEN)
        wrong = Access(api.url, token, Tls(ca_data=pem(authority)))
        with pytest.raises(AwayError, match="Hostname mismatch"):
            names(KubeClient(wrong))
        right = Access(api.url, token, Tls(ca_data=pem(authority), server_name="kube.example"))
        assert [] == names(KubeClient(right))


def test_client_certificates_from_data_files_and_plugins(authority, tmp_path):
    issued = authority.issue_cert("someone")
    key, cert = issued.private_key_pem.bytes(), issued.cert_chain_pems[0].bytes()
    (tmp_path / "key.pem").write_bytes(key)
    (tmp_path / "cert.pem").write_bytes(cert)

    class Given(Renewed):
        token = TOKEN

        def __init__(self) -> None: ...

        def certificate(self) -> Certificate | None:
            return Certificate(cert.decode(), key.decode())

    ca = pem(authority)
    token = Fixed.token(TOKEN)
    with KubeApi(serving(authority, "localhost", clients=True)) as api:
        ways = [
            Access(api.url, token, Tls(ca_data=ca, cert_data=cert.decode(), key_data=key.decode())),
            Access(api.url, token, Tls(ca_data=ca, cert_file=tmp_path / "cert.pem",
                                       key_file=tmp_path / "key.pem")),
            Access(api.url, Given(), Tls(ca_data=ca)),
        ]  # fmt: skip
        assert [[], [], []] == [names(KubeClient(way)) for way in ways]
        with pytest.raises(AwayError):
            names(KubeClient(Access(api.url, token, Tls(ca_data=ca))))


@pytest.mark.parametrize("tls", [Tls(ca_data="no PEM"), Tls(cert_data="x", key_data="y")])
def test_certificates_that_cannot_be_read(tls):
    with pytest.raises(AccessError, match="cannot use the certificates"):
        names(KubeClient(Access("https://127.0.0.1:1", Fixed(), tls)))


class Proxy(http.server.BaseHTTPRequestHandler):
    """A proxy that tunnels."""

    asked: list[tuple[str, str | None]]

    def do_CONNECT(self) -> None:
        self.asked.append((self.path, self.headers["Proxy-Authorization"]))
        host, port = self.path.split(":")
        far = socket.create_connection((host, int(port)))
        self.send_response(200)
        self.end_headers()
        back = threading.Thread(target=self.pump, args=(far, self.connection), daemon=True)
        back.start()
        self.pump(self.connection, far)

    def pump(self, source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
        pass


@pytest.mark.parametrize("by", ["kubeconfig", "environment"])
def test_through_a_proxy(authority, monkeypatch, by):
    asked: list[tuple[str, str | None]] = []
    handler = type("Bound", (Proxy,), {"asked": asked})
    proxy = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    proxy.daemon_threads = True
    threading.Thread(target=proxy.serve_forever, args=(0.02,), daemon=True).start()
    address = f"http://u:p%40@127.0.0.1:{proxy.server_address[1]}"
    if by == "environment":
        monkeypatch.setenv("https_proxy", address)
        monkeypatch.setenv("no_proxy", "elsewhere")
    with KubeApi(serving(authority, "localhost")) as api:
        given = address if by == "kubeconfig" else ""
        access = Access(api.url, Fixed.token(TOKEN), Tls(ca_data=pem(authority)), given)
        assert [] == names(KubeClient(access))
        assert [(f"localhost:{api.port}", "Basic dTpwQA==")] == asked
    proxy.shutdown()
    proxy.server_close()


def test_a_proxy_of_another_kind():
    with pytest.raises(AccessError, match="as the address of a proxy; got socks5://p"):
        KubeClient(Access("https://a", Fixed(), proxy="socks5://p:1"))
