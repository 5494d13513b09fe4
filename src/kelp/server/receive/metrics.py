"""What the inbox tells Prometheus; updated once a segment or group."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class InboxMetrics:
    """Bounded labels: results only."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.segments = Counter(
            "kelp_server_inbox_segments",
            "Segments offered, by what became of them: accepted, duplicate, full, invalid.",
            ["result"],
            registry=registry,
        )
        self.records = Counter("kelp_server_inbox_records", "Records accepted.", registry=registry)
        self.body_bytes = Counter(
            "kelp_server_inbox_body_bytes", "Bytes of record bodies accepted.", registry=registry
        )
        self.gaps = Counter(
            "kelp_server_inbox_missing_segments",
            "Segments that an agent numbered and never sent.",
            registry=registry,
        )
        self.refused = Counter(
            "kelp_server_inbox_refused_segments",
            "Segments that the store refused; they lie in inbox/refused.",
            registry=registry,
        )
        self.inserts = Counter(
            "kelp_server_store_inserts",
            "Groups offered to the store, by what became of them: stored, refused, failed.",
            ["result"],
            registry=registry,
        )
        self.insert_seconds = Histogram(
            "kelp_server_store_insert_seconds",
            "How long the store took for a group.",
            buckets=(0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30),
            registry=registry,
        )
        self.size_bytes = Gauge(
            "kelp_server_inbox_bytes", "Bytes received and not yet stored.", registry=registry
        )
        self.waiting = Gauge(
            "kelp_server_inbox_waiting_segments",
            "Segments received and not yet stored.",
            registry=registry,
        )
