"""12 TLS, client certificates, and where the server refuses to listen."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx2
import msgspec
import pytest
import trustme

from kelp.base.errors import ConfigError
from kelp.base.settings import Server, ServerTls, Settings
from kelp.server.listener import bind
from tests.api.running import Running, running
from tests.api.segments import segment

SEGMENTS = "/kelp/v1/segments"


class Files:
    """An authority with a server's and a client's certificate."""

    def __init__(self, folder: Path) -> None:
        self.authority = trustme.CA()
        self.ca = folder / "ca.pem"
        self.authority.cert_pem.write_to_path(str(self.ca))
        self.server = folder / "server.pem"
        self.issue_server()
        self.client = folder / "client.pem"
        client = self.authority.issue_cert("node-1")
        client.private_key_and_cert_chain_pem.write_to_path(str(self.client))

    def issue_server(self) -> None:
        cert = self.authority.issue_cert("127.0.0.1")
        cert.private_key_and_cert_chain_pem.write_to_path(str(self.server))

    def trusting(self, *, certificate: bool = False) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.ca)
        if certificate:
            context.load_cert_chain(self.client)
        return context


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return Files(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module", params=["tls", "mtls"])
def server(
    settings: Settings, files: Files, request: pytest.FixtureRequest
) -> Iterator[tuple[str, Running]]:
    tls = ServerTls(
        cert_file=str(files.server),
        key_file=str(files.server),
        client_ca_file=str(files.ca) if request.param == "mtls" else "",
    )
    server = msgspec.structs.replace(settings.server, tls=tls)
    with running(msgspec.structs.replace(settings, server=server)) as found:
        yield request.param, found


def test_https_with_or_without_a_clients_certificate(
    server: tuple[str, Running], files: Files
) -> None:
    kind, found = server
    assert found.url.startswith("https://")
    headers = {"Authorization": f"Bearer {found.token}"}
    with httpx2.Client(verify=files.trusting(certificate=True), base_url=found.url) as http:
        assert http.get("/config", headers=headers).status_code == 200
        # The certificate opens the door for what agents do, and for nothing else.
        assert http.get("/config").status_code == 401
        assert http.get("/kelp/v1/nodes").status_code == 401
        expected = 200 if kind == "mtls" else 401
        assert http.post(SEGMENTS, content=segment([b"x"])).status_code == expected
        agent = {"Kelp-Agent-Id": "a"}
        asked = http.post("/kelp/v1/asks", headers=agent, content=b'{"node": "n"}')
        assert asked.status_code == expected
        unwanted = http.post("/kelp/v1/answers?ask=x&part=0", headers=agent, content=b"")
        assert unwanted.status_code == (404 if kind == "mtls" else 401)
        assert http.get("/loki/api/v1/labels").status_code == 401
    with httpx2.Client(verify=files.trusting(), base_url=found.url) as http:
        if kind == "tls":
            assert http.get("/config", headers=headers).status_code == 200
        else:
            with pytest.raises(httpx2.TransportError):
                http.get("/config", headers=headers)


def test_a_new_certificate_counts_after_a_reload(server: tuple[str, Running], files: Files) -> None:
    _, found = server
    host, port = found.url.removeprefix("https://").split(":")

    def serial() -> str:
        import socket

        context = files.trusting(certificate=True)
        with (
            socket.create_connection((host, int(port))) as plain,
            context.wrap_socket(plain, server_hostname=host) as secure,
        ):
            certificate = secure.getpeercert()
            assert certificate
            return str(certificate["serialNumber"])

    before = serial()
    files.issue_server()
    assert before == serial()
    found.server.reload()
    assert before != serial()


def test_files_that_cannot_be_used_are_named(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "bad.pem").write_text("no certificate")
    bad = str(tmp_path / "bad.pem")
    server = msgspec.structs.replace(settings.server, tls=ServerTls(cert_file=bad, key_file=bad))
    with (
        pytest.raises(ConfigError, match=r"server\.tls: cannot use .*bad\.pem"),
        running(msgspec.structs.replace(settings, server=server)),
    ):
        pass


@pytest.mark.parametrize("listen", ["0.0.0.0:0", ":0", "[::]:0", "192.0.2.1:3170"])
def test_other_addresses_than_loopback_want_tls(listen: str) -> None:
    with pytest.raises(ConfigError, match=r"server\.listen: "):
        bind(Settings(server=Server(listen=listen)))


def test_insecure_listen_is_a_word_for_it() -> None:
    with bind(Settings(server=Server(listen="0.0.0.0:0", insecure_listen=True))) as listening:
        assert listening.getsockname()[0] == "0.0.0.0"
