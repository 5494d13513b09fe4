"""The relay: questions handed out once, answers part by part, everything bounded and in time."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from kelp.server.http.refusal import RefusalError
from kelp.server.nodes import relay as relays
from kelp.server.nodes.exchange import Part
from kelp.server.nodes.metrics import RelayMetrics
from kelp.server.nodes.relay import Relay
from kelp.wire.asks import Ask, Presence
from tests.node.host.tree import FakeClock

N1 = Presence(node="n1", version="1", reports=["top"])


class Scene:
    """A relay with one agent of the tenant `t`."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.registry = CollectorRegistry()
        self.relay = Relay(self.clock, RelayMetrics(self.registry))

    async def agent(self, wait_s: float = 5.0, tenant: str = "t", agent: str = "a") -> Ask | None:
        return await self.relay.next_ask(tenant, agent, N1, wait_s)

    async def known(self) -> None:
        assert await self.agent(0.0) is None

    def ask(self, timeout_s: float = 5.0, tenant: str = "t", node: str = "n1") -> Any:
        return self.relay.ask(tenant, node, "top", {"sort": "cpu"}, timeout_s)

    async def take(self, ask: Ask, *parts: Part, tenant: str = "t", agent: str = "a") -> None:
        for part in parts:
            await self.relay.take(tenant, agent, ask.id, part)

    def outcomes(self) -> dict[str, float]:
        (family,) = (f for f in self.registry.collect() if f.name == "kelp_server_node_asks")
        return {s.labels["outcome"]: s.value for s in family.samples if s.name.endswith("_total")}


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(coroutine, 10))


async def refusal(coroutine: Any) -> RefusalError:
    with pytest.raises(RefusalError) as e:
        await coroutine
    return e.value


def test_an_agent_that_waits_gets_the_question_at_once() -> None:
    async def scene() -> None:
        s = Scene()
        waiting = asyncio.create_task(s.agent())
        await asyncio.sleep(0)
        exchange = s.ask()
        ask = await waiting
        assert ask is not None
        assert (ask.report, ask.parameters) == ("top", {"sort": "cpu"})
        assert 4.0 < ask.timeout_s <= 5.0
        await s.take(ask, Part(0, b"x", last=False), Part(1, b"y"))
        assert (await s.relay.part(exchange)).data == b"x"
        assert (await s.relay.part(exchange)).last
        s.relay.finish(exchange, "answered")
        assert s.outcomes() == {"answered": 1.0}

    run(scene())


def test_a_question_waits_for_its_agent_and_is_handed_out_once() -> None:
    async def scene() -> None:
        s = Scene()
        await s.known()
        s.ask()
        assert await s.agent() is not None
        assert await s.agent(0.0) is None

    run(scene())


def test_two_callers_get_their_own_answers() -> None:
    async def scene() -> None:
        s = Scene()
        await s.known()
        first, second = s.ask(), s.ask()
        one, two = await s.agent(), await s.agent()
        assert one is not None
        assert two is not None
        await s.take(two, Part(0, b"second"))
        await s.take(one, Part(0, b"first"))
        assert (await s.relay.part(first)).data == b"first"
        assert (await s.relay.part(second)).data == b"second"

    run(scene())


def test_an_unknown_node_and_one_of_another_tenant_look_the_same() -> None:
    async def scene() -> None:
        s = Scene()
        await s.known()
        for tenant, node in (("t", "n2"), ("other", "n1")):
            with pytest.raises(RefusalError) as e:
                s.ask(tenant=tenant, node=node)
            assert e.value.status == 404
            assert f'there is no node "{node}" whose agent asks' in e.value.text()
        assert s.relay.nodes("other") == []

    run(scene())


def test_a_name_that_is_nearly_right_is_helped() -> None:
    async def scene() -> None:
        s = Scene()
        await s.known()
        with pytest.raises(RefusalError) as e:
            s.ask(node="n11")
        assert "expected one like n1" in e.value.text()

    run(scene())


def test_nobody_else_can_answer() -> None:
    async def scene() -> None:
        s = Scene()
        await s.known()
        s.ask()
        ask = await s.agent()
        assert ask is not None
        for tenant, agent in (("other", "a"), ("t", "b")):
            error = await refusal(s.take(ask, Part(0, b"x"), tenant=tenant, agent=agent))
            assert error.status == 404

    run(scene())


def test_an_agent_that_does_not_answer_in_time() -> None:
    async def scene() -> None:
        s = Scene()
        await s.known()
        exchange = s.ask(timeout_s=0.02)
        ask = await s.agent()
        assert ask is not None
        error = await refusal(s.relay.part(exchange))
        assert error.status == 504
        assert "took the question and did not answer within 0.02 s" in error.text()
        assert "last seen 2026-" in error.text()
        assert (await refusal(s.take(ask, Part(0, b"x")))).status == 410
        s.relay.finish(exchange)
        assert (await refusal(s.take(ask, Part(0, b"x")))).status == 404
        assert s.outcomes() == {"late": 1.0}

    run(scene())


def test_an_agent_that_does_not_come() -> None:
    async def scene() -> None:
        s = Scene()
        await s.known()
        exchange = s.ask(timeout_s=0.02)
        error = await refusal(s.relay.part(exchange))
        assert "did not take the question within 0.02 s" in error.text()
        s.relay.finish(exchange)
        assert await s.agent(0.0) is None, "expected no question whose time is over"

    run(scene())


def test_an_agent_that_is_away_is_told_at_once() -> None:
    async def scene() -> None:
        s = Scene()
        await s.known()
        s.clock.sleep(61)
        with pytest.raises(RefusalError) as e:
            s.ask()
        assert e.value.status == 504
        assert 'the agent of the node "n1" is away: last seen' in e.value.text()
        assert "61 s ago" in e.value.text()
        assert [False] == [connected for _, connected in s.relay.nodes("t")]

    run(scene())


def test_an_agent_that_hung_up_is_away_soon() -> None:
    async def scene() -> None:
        s = Scene()
        waiting = asyncio.create_task(s.agent())
        await asyncio.sleep(0)
        waiting.cancel()
        with suppress(asyncio.CancelledError):
            await waiting
        s.ask()
        s.clock.sleep(6)
        with pytest.raises(RefusalError):
            s.ask()
        assert await s.agent() is not None, "expected the question when it comes back"

    run(scene())


def test_a_silent_node_is_forgotten_when_room_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        monkeypatch.setattr(relays, "MAX_NODES", 1)
        s = Scene()
        await s.known()
        other = Presence(node="n2")
        assert (await refusal(s.relay.next_ask("t", "b", other, 0))).status == 429
        s.clock.sleep(90_000)
        await s.relay.next_ask("t", "b", other, 0)
        assert ["n2"] == [n.presence.node for n, _ in s.relay.nodes("t")]

    run(scene())


def test_so_many_questions_wait_and_no_more() -> None:
    async def scene() -> None:
        s = Scene()
        await s.known()
        exchanges = [s.ask() for _ in range(relays.MAX_WAITING)]
        with pytest.raises(RefusalError) as e:
            s.ask()
        assert e.value.status == 429
        s.relay.finish(exchanges[0], "left")
        s.ask()

    run(scene())


def test_so_many_agents_wait_for_one_node() -> None:
    async def scene() -> None:
        s = Scene()
        waiting = [asyncio.create_task(s.agent()) for _ in range(4)]
        await asyncio.sleep(0)
        assert (await refusal(s.agent())).status == 429
        s.relay.stop()
        assert [None] * 4 == await asyncio.gather(*waiting)

    run(scene())


def test_a_fast_agent_waits_for_a_slow_caller() -> None:
    async def scene() -> None:
        s = Scene()
        await s.known()
        exchange = s.ask()
        ask = await s.agent()
        assert ask is not None
        parts = [Part(i, bytes([i]), last=False) for i in range(5)]
        sending = asyncio.create_task(s.take(ask, *parts))
        await asyncio.sleep(0.02)
        assert not sending.done()
        assert [0, 1, 2] == [(await s.relay.part(exchange)).number for _ in range(3)]
        await sending

    run(scene())


def test_an_agent_is_let_go_when_its_caller_leaves() -> None:
    async def scene() -> None:
        s = Scene()
        await s.known()
        exchange = s.ask()
        ask = await s.agent()
        assert ask is not None
        await s.take(ask, Part(0, b"", last=False), Part(1, b"", last=False))
        sending = asyncio.create_task(s.take(ask, Part(2, b"", last=False)))
        await asyncio.sleep(0.01)
        s.relay.finish(exchange, "left")
        await sending
        assert (await refusal(s.take(ask, Part(3, b"")))).status == 404

    run(scene())


def test_parts_come_in_order_and_a_repeated_one_counts_once() -> None:
    async def scene() -> None:
        s = Scene()
        await s.known()
        exchange = s.ask()
        ask = await s.agent()
        assert ask is not None
        await s.take(ask, Part(0, b"x", last=False), Part(0, b"x", last=False))
        assert (await refusal(s.take(ask, Part(2, b"z")))).status == 400
        await s.take(ask, Part(1, b"y"), Part(1, b"y"))
        found = [(await s.relay.part(exchange)).data for _ in range(2)]
        assert found == [b"x", b"y"]

    run(scene())


def test_a_part_after_the_last_is_unwanted() -> None:
    async def scene() -> None:
        s = Scene()
        await s.known()
        s.ask()
        ask = await s.agent()
        assert ask is not None
        await s.take(ask, Part(0, b"x"))
        assert (await refusal(s.take(ask, Part(1, b"y")))).status == 410

    run(scene())


def test_a_stop_lets_all_go() -> None:
    async def scene() -> None:
        s = Scene()
        agent = asyncio.create_task(s.relay.next_ask("t", "b", Presence(node="n2"), 50))
        await s.known()
        caller = asyncio.create_task(refusal(s.relay.part(s.ask())))
        await asyncio.sleep(0.01)
        s.relay.stop()
        assert await agent is None
        assert (await caller).status == 503
        with pytest.raises(RefusalError):
            s.ask()

    run(scene())


def test_nodes_that_are_connected_are_counted() -> None:
    async def scene() -> None:
        s = Scene()
        await s.known()
        assert s.registry.get_sample_value("kelp_server_nodes_connected") == 1.0
        s.clock.sleep(3600)
        assert s.registry.get_sample_value("kelp_server_nodes_connected") == 0.0

    run(scene())
