"""The agent's own routes, asked over real sockets."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from kelp.agent.http import AgentServer
from kelp.base.errors import ConfigError, KelpError
from tests.waiting import wait_until


@dataclass
class Operations:
    sick: list[str] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    reloads: int = 0
    wrong: str = ""

    def metrics(self) -> bytes:
        return b"kelp_agent_x 1\n"

    def unhealthy(self) -> list[str]:
        return self.sick

    def unready(self) -> list[str]:
        return self.waiting

    def reload(self) -> str:
        if self.wrong:
            raise ConfigError(self.wrong)
        self.reloads += 1
        return "nothing changed"


@pytest.fixture
def operations() -> Operations:
    return Operations()


@pytest.fixture
def server(operations: Operations) -> Iterator[AgentServer]:
    made = AgentServer("127.0.0.1:0", operations)
    made.start()
    yield made
    made.stop()


def ask(server: AgentServer, method: str, path: str) -> tuple[int, str]:
    host, _, port = server.address.rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=5)
    connection.request(method, path)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text


def test_metrics(server):
    assert ask(server, "GET", "/metrics") == (200, "kelp_agent_x 1\n")
    assert ask(server, "GET", "/metrics?name[]=x")[0] == 200


@pytest.mark.parametrize(("path", "field_name"), [("/healthz", "sick"), ("/readyz", "waiting")])
def test_states(server, operations, path, field_name):
    assert ask(server, "GET", path) == (200, "ok\n")
    setattr(operations, field_name, ["the spool is full", "no server"])
    assert ask(server, "GET", path) == (503, "the spool is full\nno server\n")


def test_reload(server, operations):
    assert ask(server, "POST", "/-/reload") == (200, "nothing changed\n")
    operations.wrong = "kelp.yaml:4:11: expected int; got x"
    assert ask(server, "POST", "/-/reload") == (
        400,
        "the old settings stay: kelp.yaml:4:11: expected int; got x\n",
    )
    assert operations.reloads == 1
    assert ask(server, "GET", "/-/reload")[0] == 405


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_other_routes(server, method):
    status, text = ask(server, method, "/other")
    assert status == 404
    assert text == "expected one of /metrics, /healthz, /readyz, POST /-/reload; got /other\n"
    assert ask(server, "PUT", "/metrics")[0] == 501


def test_an_address_in_use_is_told(server):
    with pytest.raises(KelpError, match=rf"cannot listen on {server.address}: Address already"):
        AgentServer(server.address, Operations())


@pytest.mark.parametrize("listen", ["3171", "localhost", "localhost:x", "127.0.0.1:99999"])
def test_an_address_that_is_none(listen):
    with pytest.raises(KelpError, match=r"agent\.listen"):
        AgentServer(listen, Operations())


def test_silent_clients_cannot_use_up_the_listener(server):
    host, _, port = server.address.rpartition(":")
    silent = [socket.create_connection((host, int(port))) for _ in range(40)]

    def turned_away() -> int:
        count = 0
        for s in silent:
            s.setblocking(False)
            try:
                count += s.recv(1) == b""
            except BlockingIOError:
                pass
            except ConnectionError:
                count += 1
        return count

    wait_until(lambda: turned_away() == 40 - 16)
    for s in silent:
        s.close()
    wait_until(lambda: ask_or_none(server) == 200)


def ask_or_none(server: AgentServer) -> int | None:
    try:
        return ask(server, "GET", "/healthz")[0]
    except (OSError, http.client.HTTPException):
        return None


def test_ipv6():
    if not socket.has_ipv6:
        pytest.skip("this machine has no IPv6")
    try:
        made = AgentServer("[::1]:0", Operations())
    except KelpError as e:
        pytest.skip(f"this machine has no IPv6: {e}")
    made.start()
    port = int(made.address.rpartition(":")[2])
    connection = http.client.HTTPConnection("::1", port, timeout=5)
    connection.request("GET", "/healthz")
    assert connection.getresponse().status == 200
    connection.close()
    made.stop()
