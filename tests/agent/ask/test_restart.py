"""A server that goes away and comes back: the agent waits for its questions again, by itself."""

from __future__ import annotations

from contextlib import ExitStack

import msgspec
import pytest

from kelp.agent.ask import asks
from kelp.base.settings import Server, Ship
from tests.api.running import Api, Running, running
from tests.cli.nodes import agent_settings, answering, server_settings, waits
from tests.crash.process import free_port
from tests.waiting import wait_until


def test_after_a_restart_of_the_server_its_agents_come_back(tmp_path, monkeypatch):
    monkeypatch.setattr(asks, "_FIRST_BACKOFF_S", 0.05)
    settings = msgspec.structs.replace(
        server_settings(tmp_path / "server"), server=Server(listen=f"127.0.0.1:{free_port()}")
    )
    with ExitStack() as stack:
        with running(settings) as server:
            stack.enter_context(answering(agent_settings(tmp_path, server, "n1")))
            waits(server, "n1")
        with running(settings) as server:
            waits(server, "n1")
            api = Api(server, tenant=None)
            assert api.get("/kelp/v1/nodes/n1/vmstat").status_code == 200
            api.close()


@pytest.mark.parametrize("url", ["https://127.0.0.1:1", "http://127.0.0.1:1"])
def test_an_agent_without_a_server_collects_all_the_same(tmp_path, url):
    nobody = Running(None, url, "token")
    with answering(agent_settings(tmp_path, nobody, "n1", ship=Ship(url=url))) as agent:
        wait_until(lambda: agent.registry.get_sample_value("kelp_agent_ask_up") == 0.0)
        wait_until(lambda: not agent.unready())
