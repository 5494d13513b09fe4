"""The client against real servers: what it sends, TLS, tokens and certificates that change."""

from __future__ import annotations

import http.client
import ssl
from pathlib import Path

import pytest
import trustme

from kelp.agent.ship import Client
from kelp.base.errors import ConfigError
from kelp.base.settings import Ship
from tests.agent.ship.scripted import OK, Scripted, serving

BODY = memoryview(b"segment bytes" * 1000)


def client(url: str, token_file: Path = Path("/nonexistent"), **ship) -> Client:
    return Client(Ship(url=url, **{"timeout_s": 5.0, **ship}), token_file, "agent-1")


def test_the_request(tmp_path):
    (tmp_path / "token").write_text("secret\n")
    script = Scripted()
    with serving(script) as url:
        answer = client(url + "/base/", tmp_path / "token").send(7, BODY)
    assert (answer.status, answer.text) == (200, "{}")
    path, headers, body = script.seen[0]
    assert path == "/base/kelp/v1/segments"
    assert body == bytes(BODY)
    assert headers["content-type"] == "application/vnd.apache.arrow.stream"
    assert headers["authorization"] == "Bearer secret"
    assert headers["kelp-agent-id"] == "agent-1"
    assert headers["kelp-segment-seq"] == "7"
    assert headers["content-length"] == str(len(BODY))


def test_the_connection_is_kept(tmp_path):
    script = Scripted()
    with serving(script) as url:
        sender = client(url)
        for seq in range(1, 6):
            sender.send(seq, BODY)
    assert script.connections == 1
    assert script.seqs == [1, 2, 3, 4, 5]


def test_a_connection_that_the_server_closed_while_idle_is_no_failure():
    def close_after(handler) -> None:
        handler.rfile.read(int(handler.headers["Content-Length"]))
        handler.send_response(200)
        handler.send_header("Content-Length", "0")
        handler.end_headers()
        handler.close_connection = True

    script = Scripted(replies=[close_after])
    with serving(script) as url:
        sender = client(url)
        assert sender.send(1, BODY).status == 200
        assert sender.send(2, BODY).status == 200
    assert script.connections == 2


def test_a_refusal_before_the_body_was_read_is_heard():
    """A server may answer by the headers alone and close, in the middle of a large body."""

    def refuse(handler) -> None:
        handler.wfile.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig")
        handler.close_connection = True

    script = Scripted(replies=[refuse])
    with serving(script) as url:
        # Larger than what the kernel buffers of both sides take.
        answer = _until_heard(client(url), memoryview(bytes(64 << 20)))
    assert answer == (413, "big")


def _until_heard(sender: Client, body: memoryview) -> tuple[int, str]:
    answer = sender.send(1, body)
    return answer.status, answer.text


@pytest.mark.parametrize(
    "text",
    [b"", b"HTTP/1.1", b"garbage\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"],
)
def test_half_an_answer_is_no_answer(text):
    def half(handler) -> None:
        handler.rfile.read(int(handler.headers["Content-Length"]))
        handler.wfile.write(text)
        handler.close_connection = True

    script = Scripted(replies=[half])
    with serving(script) as url:
        sender = client(url)
        with pytest.raises((OSError, http.client.HTTPException)):
            sender.send(1, BODY)
        assert sender.send(1, BODY).status == 200


def test_nobody_there():
    script = Scripted()
    with serving(script) as url:
        pass
    with pytest.raises(ConnectionError):
        client(url).send(1, BODY)


def test_a_server_that_never_answers_times_out():
    import threading

    let_go = threading.Event()
    script = Scripted(replies=[lambda _handler: let_go.wait(10)])
    with serving(script) as url:
        sender = client(url, timeout_s=0.1)
        with pytest.raises(TimeoutError):
            sender.send(1, BODY)
        let_go.set()
        assert sender.send(1, BODY).status == 200


def test_a_long_answer_is_cut():
    script = Scripted(replies=[(500, {}, b"x" * 10_000_000)])
    with serving(script) as url:
        sender = client(url)
        assert len(sender.send(1, BODY).text) == 64 << 10
        assert sender.send(2, BODY).status == 200


def test_the_token_is_read_again_when_its_file_changes(tmp_path):
    token = tmp_path / "token"
    script = Scripted()
    with serving(script) as url:
        sender = client(url, token)
        sender.send(1, BODY)
        token.write_text("first")
        sender.send(2, BODY)
        token.write_text("the second")
        sender.send(3, BODY)
        token.write_text("")  # half of a rotation: the old one stays in use
        sender.send(4, BODY)
        token.unlink()
        sender.send(5, BODY)
    found = [headers.get("authorization") for _, headers, _ in script.seen]
    assert found == [None, "Bearer first", "Bearer the second", "Bearer the second",
                     "Bearer the second"]  # fmt: skip


@pytest.mark.parametrize(
    "url",
    ["ftp://host", "localhost:3170", "http://", "http://host:99999", "http://user:pw@host",
     "http://host/?a=b", "http://[::1"],
)  # fmt: skip
def test_addresses_that_cannot_be(url):
    with pytest.raises(ConfigError, match=r"agent\.ship\.url"):
        client(url)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def server_context(authority: trustme.CA, clients: trustme.CA | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    if clients is not None:
        clients.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def written(authority: trustme.CA, path: Path) -> str:
    authority.cert_pem.write_to_path(path)
    return str(path)


def identity(authority: trustme.CA, folder: Path) -> dict[str, str]:
    cert = authority.issue_cert("agent.node-1")
    cert.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    cert.private_key_pem.write_to_path(folder / "key.pem")
    return {"cert_file": str(folder / "cert.pem"), "key_file": str(folder / "key.pem")}


def test_tls(tmp_path, authority):
    script = Scripted()
    with serving(script, server_context(authority)) as url:
        ca_file = written(authority, tmp_path / "ca.pem")
        assert client(url, ca_file=ca_file).send(1, BODY).status == 200
        with pytest.raises(ssl.SSLCertVerificationError):
            client(url).send(1, BODY)
        with pytest.raises(ssl.SSLCertVerificationError):
            client(url.replace("localhost", "127.0.0.1"), ca_file=ca_file).send(1, BODY)
    assert script.seqs == [1]


def test_mtls_and_a_certificate_that_is_renewed(tmp_path, authority):
    script = Scripted()
    strangers = trustme.CA()
    with serving(script, server_context(authority, clients=authority)) as url:
        ca_file = written(authority, tmp_path / "ca.pem")
        with pytest.raises(OSError, match=r"(?i)certificate|reset|closed|broken|eof"):
            client(url, ca_file=ca_file).send(1, BODY)
        sender = client(url, ca_file=ca_file, **identity(strangers, tmp_path))
        with pytest.raises(OSError, match=r"(?i)unknown ca|reset|closed|broken|eof"):
            sender.send(1, BODY)
        identity(authority, tmp_path)
        assert sender.send(1, BODY).status == 200
        (tmp_path / "key.pem").write_text("half written")
        assert sender.send(2, BODY).status == 200
    assert script.seqs == [1, 2]


def test_tls_files_that_cannot_be_used_stop_the_start(tmp_path):
    with pytest.raises(ConfigError, match=r"agent\.ship: cannot use the TLS files .*ca\.pem"):
        client("https://localhost", ca_file=str(tmp_path / "ca.pem"))


def test_abort_from_another_thread():
    import threading

    from tests.waiting import wait_until

    let_go = threading.Event()
    script = Scripted(replies=[lambda _handler: let_go.wait(10)], last=OK)
    failures: list[BaseException] = []
    with serving(script) as url:
        sender = client(url, timeout_s=60)

        def send() -> None:
            try:
                sender.send(1, BODY)
            except (OSError, http.client.HTTPException) as e:
                failures.append(e)

        thread = threading.Thread(target=send)
        thread.start()
        wait_until(lambda: script.seen)
        sender.abort()
        wait_until(lambda: script.seen and (len(script.seen) > 1 or failures))
        let_go.set()
        thread.join(5)
        assert not thread.is_alive()
