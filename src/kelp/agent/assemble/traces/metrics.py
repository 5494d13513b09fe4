"""What the joining of traces counts; once a batch, never a line."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

JOINED = Counter("kelp_agent_trace_records_total", "Records joined of several lines.")
JOINED_LINES = Counter("kelp_agent_trace_lines_total", "Lines that went into joined records.")
DIVIDED = Counter(
    "kelp_agent_trace_parts_total", "Parts of records that were too long for one; marked."
)
EXPIRED = Counter(
    "kelp_agent_trace_expired_total",
    "Lanes given out because nothing came for agent.trace_timeout_s, or because too much waited.",
    ["reason"],  # timeout, budget
)
PENDING = Gauge("kelp_agent_trace_pending_lanes", "Streams whose last lines may go on.")
