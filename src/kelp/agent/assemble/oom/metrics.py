"""What the joiner counts."""

from __future__ import annotations

from prometheus_client import Counter

KILLS = Counter(
    "kelp_agent_oom_kills",
    "Kills by the kernel that its lines told of, by outcome (killed, exiting, no_victim, panic, "
    "unknown)",
    ["outcome"],
)
JOINED_LINES = Counter("kelp_agent_oom_joined_lines", "Lines of the kernel's OOM reports joined")
