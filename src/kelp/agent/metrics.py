"""The pipeline's metrics; each stage has its own beside it."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge

STATES = ("full", "disk_full", "disk_failed")


class PipelineMetrics:
    """Registered once an agent."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.records = Counter(
            "kelp_agent_records", "Records made of what was read", registry=registry
        )
        self.backlog = Gauge(
            "kelp_agent_backlog_bytes",
            "Bytes known to lie unread in the files, when the last segment was closed",
            registry=registry,
        )
        self._segments = Counter(
            "kelp_agent_segments_closed",
            "Segments closed, by the reason: size, age, stop",
            ["reason"],
            registry=registry,
        )
        self._blocked = Gauge(
            "kelp_agent_blocked",
            "1 while reading waits for the spool, by the reason: full, disk_full, disk_failed",
            ["reason"],
            registry=registry,
        )
        self.enter("")

    def closed(self, reason: str, count: int) -> None:
        """Count closed segments."""
        if count:
            self._segments.labels(reason).inc(count)

    def enter(self, state: str) -> None:
        """One of STATES, or empty: reading."""
        for name in STATES:
            self._blocked.labels(name).set(name == state)
