"""The shipper's metrics."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100)


class ShipMetrics:
    """Registered once an agent."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._segments = Counter(
            "kelp_agent_ship_segments", "Segments that the server has", registry=registry
        )
        self._records = Counter(
            "kelp_agent_ship_records", "Records that the server has", registry=registry
        )
        self._bytes = Counter(
            "kelp_agent_ship_bytes", "Bytes of those segments on the wire", registry=registry
        )
        self._requests = Counter(
            "kelp_agent_ship_requests",
            "Requests by the status of the answer (2xx, 429, 5xx …; no_answer)",
            ["status"],
            registry=registry,
        )
        self._request_seconds = Histogram(
            "kelp_agent_ship_request_seconds",
            "Time from sending a segment to its answer",
            buckets=_SECONDS,
            registry=registry,
        )
        self._delay_seconds = Histogram(
            "kelp_agent_ship_delay_seconds",
            "Time from closing a segment to its acknowledgement",
            buckets=_SECONDS,
            registry=registry,
        )
        self.waiting = Gauge(
            "kelp_agent_ship_retry_wait_seconds",
            "The wait before the next try that runs now; 0 while none does",
            registry=registry,
        )

    def attempt(self, status: str, seconds: float) -> None:
        """Count one request."""
        self._requests.labels(status).inc()
        self._request_seconds.observe(seconds)

    def delivered(self, size: int, records: int, delay_s: float) -> None:
        """Count one segment."""
        self._segments.inc()
        self._records.inc(records)
        self._bytes.inc(size)
        self._delay_seconds.observe(max(delay_s, 0.0))
