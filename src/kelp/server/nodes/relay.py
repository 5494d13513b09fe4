"""Brings questions to the agents that wait for them; knows which nodes there are.

An agent is known by its requests alone: a node is there from its agent's first one, and forgotten
when it was silent for a day. Everything is in memory and bounded; after a restart of the server the
agents come back by themselves, and questions that were under way have failed with their callers.

For one event loop; nothing here is called from another thread.
"""

from __future__ import annotations

import asyncio
import difflib
import secrets
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import msgspec

from kelp.base.clock import Clock
from kelp.server.http.refusal import RefusalError, busy, shown
from kelp.server.nodes.exchange import Exchange, GoneError, LateError, OrderError, Part
from kelp.server.nodes.metrics import RelayMetrics
from kelp.wire.asks import Ask, Presence

# Far above the nodes of one cluster (5,000 at most).
MAX_NODES = 20_000
# An agent answers four at once; the next of that many waits for seconds.
MAX_WAITING = 16
# Of all nodes; each holds three parts of an answer at the most, of 1 MiB at the most.
MAX_EXCHANGES = 128
# An agent has one; one more is there for a moment when it starts anew.
_MAX_POLLS = 4

# Between two of its requests an agent is away for as long as its longest wait before a retry; one
# that has hung up comes back at once (its settings were read again) or not so soon.
CONNECTED_S = 60.0
HUNG_UP_S = 5.0
_FORGET_S = 86_400.0


@dataclass
class Node:
    """What is known of a node. `seen` is the clock's monotonic time, `seen_ns` its wall time."""

    tenant: str
    presence: Presence
    agent_id: str
    seen: float
    seen_ns: int
    polls: int = 0
    hung_up: bool = False
    waiting: deque[Exchange] = field(default_factory=deque)
    wakes: set[asyncio.Future[None]] = field(default_factory=set)

    def connected(self, now: float) -> bool:
        """Whether its agent is there, or was a moment ago."""
        patience_s = HUNG_UP_S if self.hung_up else CONNECTED_S
        return bool(self.polls) or now - self.seen < patience_s

    async def change(self) -> None:
        """Wait until something has changed."""
        wake: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.wakes.add(wake)
        try:
            await wake
        finally:
            self.wakes.discard(wake)

    def tell(self) -> None:
        """Something has changed."""
        for wake in self.wakes:
            if not wake.done():
                wake.set_result(None)


class Relay:
    """See the module. Errors for callers and agents are RefusalErrors."""

    def __init__(self, clock: Clock, metrics: RelayMetrics) -> None:
        self._clock = clock
        self._metrics = metrics
        self._nodes: dict[tuple[str, str], Node] = {}
        self._exchanges: dict[str, Exchange] = {}
        self._stopping = False
        metrics.watch(self._count_connected)

    # The agents' side.

    async def next_ask(
        self, tenant: str, agent_id: str, presence: Presence, wait_s: float
    ) -> Ask | None:
        """The next question to a node, None where none comes within `wait_s`."""
        node = self._seen(tenant, agent_id, presence)
        if node.polls >= _MAX_POLLS:
            raise busy(f"so many agents wait for questions to the node {shown(presence.node)}", 5)
        node.polls += 1
        try:
            async with asyncio.timeout(wait_s):
                while not self._stopping:
                    if exchange := self._next_of(node):
                        return self._handed_out(exchange, agent_id)
                    await node.change()
            return None
        except TimeoutError:
            return None
        except asyncio.CancelledError:
            node.hung_up = True
            raise
        finally:
            node.polls -= 1
            self._touch(node)

    async def take(self, tenant: str, agent_id: str, ask_id: str, part: Part) -> None:
        """A part of an answer; 404 and 410 mean that nobody wants (more of) it."""
        exchange = self._exchanges.get(ask_id)
        known = exchange is not None and (exchange.tenant, exchange.agent_id) == (tenant, agent_id)
        if exchange is None or not known:
            raise RefusalError(404, "nobody waits for this answer (any more)")
        if node := self._nodes.get((tenant, exchange.node)):
            self._touch(node)
        try:
            await exchange.put(part)
        except GoneError:
            raise RefusalError(410, "whoever asked has left") from None
        except LateError:
            raise RefusalError(410, "the question's time is over") from None
        except OrderError as e:
            raise RefusalError(400, f"the parts of an answer come in order: {e}") from None

    # The callers' side.

    def nodes(self, tenant: str) -> list[tuple[Node, bool]]:
        """The tenant's nodes by name, each with whether it is connected."""
        now = self._now()
        found = [n for n in self._nodes.values() if n.tenant == tenant]
        return [(n, n.connected(now)) for n in sorted(found, key=lambda n: n.presence.node)]

    def ask(
        self, tenant: str, name: str, report: str, parameters: Mapping[str, str], timeout_s: float
    ) -> Exchange:
        """Put a question; whoever asks must `finish` it."""
        node = self._nodes.get((tenant, name))
        if node is None:
            raise self._unknown(tenant, name)
        self._check(node)
        ask = Ask(
            id=secrets.token_hex(16),
            report=report,
            parameters=dict(parameters),
            timeout_s=timeout_s,
        )
        deadline = asyncio.get_running_loop().time() + timeout_s
        exchange = Exchange(ask, tenant, name, deadline)
        self._exchanges[ask.id] = exchange
        node.waiting.append(exchange)
        node.tell()
        return exchange

    async def part(self, exchange: Exchange) -> Part:
        """The next part of its answer; 504 where it does not come in time."""
        try:
            return await exchange.part()
        except GoneError:
            raise RefusalError(503, "the server is stopping", hint="try again") from None
        except LateError:
            self._metrics.asks.labels("late").inc()
            raise self._late(exchange) from None

    def finish(self, exchange: Exchange, outcome: str = "") -> None:
        """The caller is done with it, however it ended; `outcome` is for the metrics."""
        exchange.abandon()
        self._exchanges.pop(exchange.ask.id, None)
        node = self._nodes.get((exchange.tenant, exchange.node))
        if node is not None and exchange in node.waiting:
            node.waiting.remove(exchange)
        if outcome:
            self._metrics.asks.labels(outcome).inc()

    def stop(self) -> None:
        """Let all who wait go; from the event loop."""
        self._stopping = True
        for exchange in self._exchanges.values():
            exchange.stop()
        for node in self._nodes.values():
            node.tell()

    # Within.

    def _seen(self, tenant: str, agent_id: str, presence: Presence) -> Node:
        key = (tenant, presence.node)
        node = self._nodes.get(key)
        if node is None:
            self._forget()
            if len(self._nodes) >= MAX_NODES:
                raise busy(f"{MAX_NODES} nodes are known, which is the most", 60)
            node = self._nodes[key] = Node(tenant, presence, agent_id, 0.0, 0)
        node.presence, node.agent_id, node.hung_up = presence, agent_id, False
        self._touch(node)
        return node

    def _touch(self, node: Node) -> None:
        node.seen, node.seen_ns = self._now(), self._clock.now_ns()

    def _forget(self) -> None:
        """Leave out those that were silent for long."""
        oldest = self._now() - _FORGET_S
        gone = [k for k, n in self._nodes.items() if not n.polls and n.seen < oldest]
        for key in gone:
            del self._nodes[key]

    def _next_of(self, node: Node) -> Exchange | None:
        """The oldest question that still has time."""
        while node.waiting:
            exchange = node.waiting.popleft()
            if not exchange.ended and exchange.left_s > 0:
                return exchange
        return None

    def _handed_out(self, exchange: Exchange, agent_id: str) -> Ask:
        exchange.agent_id = agent_id
        return msgspec.structs.replace(exchange.ask, timeout_s=round(exchange.left_s, 3))

    def _check(self, node: Node) -> None:
        """Refuse at once what could only wait in vain."""
        if self._stopping:
            raise RefusalError(503, "the server is stopping", hint="try again")
        if not node.connected(self._now()):
            self._metrics.asks.labels("away").inc()
            raise RefusalError(
                504,
                f"the agent of the node {shown(node.presence.node)} is away: {self._seen_at(node)}",
                hint="is it running, and does it reach this server? its log says why not",
            )
        if len(node.waiting) >= MAX_WAITING or len(self._exchanges) >= MAX_EXCHANGES:
            self._metrics.asks.labels("busy").inc()
            raise busy("so many questions wait already", 2)

    def _unknown(self, tenant: str, name: str) -> RefusalError:
        self._metrics.asks.labels("away").inc()
        names = [n.presence.node for n, _ in self.nodes(tenant)]
        near = difflib.get_close_matches(name, names, n=3)
        return no_such_node(name, near or names[:3])

    def _late(self, exchange: Exchange) -> RefusalError:
        node = self._nodes.get((exchange.tenant, exchange.node))
        did = (
            "took the question and did not answer"
            if exchange.handed_out
            else "did not take the question"
        )
        return RefusalError(
            504,
            f"the agent of the node {shown(exchange.node)} {did} within "
            f"{exchange.ask.timeout_s:g} s: {self._seen_at(node) if node else 'it is forgotten'}",
            hint="ask again, with a longer timeout_s if the node is slow",
        )

    def _seen_at(self, node: Node) -> str:
        ago_s = max(self._now() - node.seen, 0.0)
        return f"last seen {rfc3339(node.seen_ns)}, {ago_s:.0f} s ago"

    def _count_connected(self) -> float:
        # Read by the thread that tells the metrics: a copy, for the loop goes on meanwhile.
        now = self._now()
        return float(sum(n.connected(now) for n in list(self._nodes.values())))

    def _now(self) -> float:
        return self._clock.monotonic()


def no_such_node(name: str, known: Sequence[str] = ()) -> RefusalError:
    """404; the same for a node that is not there and for one that the caller may not see."""
    return RefusalError(
        404,
        f"there is no node {shown(name)} whose agent asks for questions here",
        expected=f"one like {', '.join(known)}" if known else "",
        hint="GET /kelp/v1/nodes lists them; agent.answer_asks: false keeps an agent away",
    )


def rfc3339(time_ns: int) -> str:
    """UTC, to the second."""
    seconds = time_ns // 1_000_000_000
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
