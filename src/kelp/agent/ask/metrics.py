"""The metrics of asks."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge


class AskMetrics:
    """Registered once an agent."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.answered = Counter(
            "kelp_agent_asks",
            "Questions of the server by how they ended: answered, refused, failed, unwanted "
            "(whoever asked has left), unsent (the server went away).",
            ["outcome"],
            registry=registry,
        )
        self.waiting = Gauge(
            "kelp_agent_ask_up",
            "1 while the server is reached and lets this agent wait for questions",
            registry=registry,
        )
