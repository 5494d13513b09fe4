"""A whole server in a thread, on a port of its own, and a client for one tenant of it."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx2

from kelp.base.clock import Clock
from kelp.base.settings import Settings
from kelp.server.main import KelpServer, token_file
from tests.waiting import wait_until

SECOND = 1_000_000_000

_tenants = itertools.count(1)


@dataclass
class Running:
    """A server that answers."""

    server: KelpServer
    url: str
    token: str


@contextmanager
def running(
    settings: Settings,
    load: Callable[[], Settings] | None = None,
    clock: Clock | None = None,
) -> Iterator[Running]:
    """The server within the block; it must stop within five seconds."""
    server = KelpServer(settings, load, clock)
    announced: list[str] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            server.run(announced.append)
        except BaseException as e:  # noqa: BLE001 - raised again in the test's thread
            failed.append(e)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        wait_until(lambda: announced or failed, 30)
        if failed:
            raise failed[0]
        yield Running(server, announced[0], token_file(settings).read_text().strip())
    finally:
        server.stop()
        thread.join(5)
    assert not thread.is_alive(), "expected a stop within 5 s"


class Api:
    """Requests of one tenant with the right token; `tenant` None sends no tenant at all."""

    def __init__(self, server: Running, tenant: str | None = "") -> None:
        self.server = server
        self.tenant = f"tenant-{next(_tenants)}" if tenant == "" else tenant
        self.headers = {"Authorization": f"Bearer {server.token}"}
        if self.tenant is not None:
            self.headers["X-Scope-OrgID"] = self.tenant
        self.http = httpx2.Client(base_url=server.url, headers=self.headers, timeout=30)

    def get(self, path: str, **params: Any) -> httpx2.Response:
        return self.http.get(path, params=params)

    def form(self, path: str, **fields: Any) -> httpx2.Response:
        return self.http.post(path, data=fields)

    def data(self, path: str, **params: Any) -> Any:
        """`data` of a successful answer of Loki's."""
        response = self.get(path, **params)
        assert (response.status_code, response.json()["status"]) == (200, "success")
        return response.json()["data"]

    def push(self, labels: dict[str, str], *values: list[Any]) -> None:
        """Entries as [ns, line] or [ns, line, metadata]."""
        texts = [[str(v[0]), *v[1:]] for v in values]
        body = {"streams": [{"stream": labels, "values": texts}]}
        response = self.http.post("/loki/api/v1/push", json=body)
        assert (response.status_code, response.text) == (204, "")

    def close(self) -> None:
        self.http.close()


def now_ns() -> int:
    """A moment ago, in whole seconds: what is pushed at it lies in everybody's last hour."""
    return (int(time.time()) - 60) * SECOND
