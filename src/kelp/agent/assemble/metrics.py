"""What the assembler counts; once a batch, never a line."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

MALFORMED = Counter(
    "kelp_agent_malformed_lines_total",
    "Lines that were not of the format that they should have had; kept as they came.",
    ["format"],  # cri, docker
)
INVALID_UTF8 = Counter(
    "kelp_agent_invalid_utf8_records_total", "Records whose body is not UTF-8; kept as they came."
)
TRUNCATED = Counter("kelp_agent_truncated_records_total", "Records cut at agent.max_record_bytes.")
TRUNCATED_BYTES = Counter(
    "kelp_agent_truncated_bytes_total", "Bytes cut from records at agent.max_record_bytes."
)
PARTIAL = Counter(
    "kelp_agent_partial_records_total",
    "Records that came in fragments: joined whole, given out after agent.partial_timeout_s, given "
    "out early because too many bytes were waiting, or ended by a line that is torn.",
    ["outcome"],  # joined, expired, evicted, torn
)
PENDING = Gauge("kelp_agent_partial_pending_records", "Records whose last fragment has not come.")
PENDING_BYTES = Gauge("kelp_agent_partial_pending_bytes", "Bytes of their fragments, in memory.")
