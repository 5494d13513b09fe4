"""The spool's metrics."""

from __future__ import annotations

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from kelp.agent.spool.index import Entry


class SpoolMetrics:
    """Registered once an agent."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.bytes = Gauge(
            "kelp_agent_spool_bytes",
            "Space that segments take on disk: waiting, refused and damaged ones",
            registry=registry,
        )
        self.max_bytes = Gauge(
            "kelp_agent_spool_max_bytes", "The limit, agent.spool.max_bytes", registry=registry
        )
        self.segments = Gauge(
            "kelp_agent_spool_segments", "Segments that wait to be shipped", registry=registry
        )
        self.commit_seconds = Histogram(
            "kelp_agent_spool_commit_seconds",
            "Time to make a segment and its checkpoints durable",
            buckets=(0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10),
            registry=registry,
        )
        self.refused = Counter(
            "kelp_agent_spool_refused_segments",
            "Segments that the server will never take, kept in refused/",
            registry=registry,
        )
        self._lost_segments = Counter(
            "kelp_agent_spool_lost_segments",
            "Segments whose file was missing or damaged (power loss, a broken disk, a hand)",
            ["reason"],
            registry=registry,
        )
        self._lost_records = Counter(
            "kelp_agent_spool_lost_records",
            "Records in those segments",
            ["reason"],
            registry=registry,
        )
        for reason in ("missing", "damaged"):
            self.lost([], reason)

    def lost(self, entries: Sequence[Entry], reason: str) -> None:
        """Count segments that are gone; `reason` is missing or damaged."""
        self._lost_segments.labels(reason).inc(len(entries))
        self._lost_records.labels(reason).inc(sum(e.records for e in entries))
