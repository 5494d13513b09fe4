"""What a change of the settings means for a running agent: which keys count; nothing is applied.

Some keys are read by stages once, at their start; to change those needs a new start, which the
agent says rather than pretends otherwise.
"""

from __future__ import annotations

import msgspec

from kelp.base.changes import Changes, changes
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


def compare(old: Settings, new: Settings) -> Changes:
    """Which of the agent's keys differ."""
    return changes(old, new, LIVE, _OURS)


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
