"""What a change of the settings means for a running agent: pure comparison, nothing is applied.

Some keys are read by stages once, at their start; to change those needs a new start, which the
agent says rather than pretends otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from kelp.base.settings import Settings

# Keys that take effect at once. A name that ends with a dot stands for all below it.
LIVE = (
    "log_level",
    "agent.ship.",
    "agent.spool.flush_interval_s",
    "agent.spool.max_bytes",
    "agent.spool.segment_bytes",
)

# The agent does not look at other sections.
_OURS = ("log_level", "data_dir", "agent.")


@dataclass(frozen=True)
class Difference:
    """Dotted keys whose values differ."""

    live: list[str]
    restart: list[str]

    def text(self) -> str:
        """What to tell whoever asked for the reload."""
        if not (self.live or self.restart):
            return "nothing changed"
        parts = []
        if self.live:
            parts.append(f"changed: {', '.join(self.live)}")
        if self.restart:
            parts.append(f"needs a restart: {', '.join(self.restart)}")
        return "; ".join(parts)


def compare(old: Settings, new: Settings) -> Difference:
    """Which of the agent's keys differ."""
    before, after = _flat(old), _flat(new)
    changed = [k for k, v in after.items() if v != before.get(k) and k.startswith(_OURS)]
    live = [k for k in changed if k.startswith(LIVE)]
    return Difference(live, [k for k in changed if k not in live])


def with_live_keys(old: Settings, new: Settings) -> Settings:
    """`old` with the live keys of `new`: what is in force after a reload."""
    spool = msgspec.structs.replace(
        old.agent.spool,
        flush_interval_s=new.agent.spool.flush_interval_s,
        max_bytes=new.agent.spool.max_bytes,
        segment_bytes=new.agent.spool.segment_bytes,
    )
    agent = msgspec.structs.replace(old.agent, spool=spool, ship=new.agent.ship)
    return msgspec.structs.replace(old, log_level=new.log_level, agent=agent)


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    if isinstance(value, msgspec.Struct):
        value = msgspec.structs.asdict(value)
        found: dict[str, Any] = {}
        for name, inner in value.items():
            found |= _flat(inner, f"{prefix}.{name}" if prefix else name)
        return found
    return {prefix: value}
