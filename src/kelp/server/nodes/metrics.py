"""The relay's metrics."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge


class RelayMetrics:
    """Registered once a server."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.asks = Counter(
            "kelp_server_node_asks",
            "Questions to nodes by how they ended: answered, refused (by the agent), failed "
            "(there), late, away (no agent waits), busy, left (by the caller).",
            ["outcome"],
            registry=registry,
        )
        self._connected = Gauge(
            "kelp_server_nodes_connected",
            "Nodes whose agent waits for questions, or was heard of within a minute.",
            registry=registry,
        )

    def watch(self, connected: Callable[[], float]) -> None:
        """Let the gauge tell what this gives whenever it is read."""
        self._connected.set_function(connected)
