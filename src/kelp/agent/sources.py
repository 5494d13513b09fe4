"""The sources beside the pods' logs, as the settings want them: files, journald, the kernel.

Each is a collector and the assembler that understands it; the pipeline reads them in turn. A source
that cannot be had on this node is off, and has said so.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any
from zoneinfo import ZoneInfo

from kelp.agent.assemble import JournalAssembler, KernelAssembler, PlainAssembler
from kelp.agent.collect import FileLogCollector, JournalCollector, KmsgCollector
from kelp.agent.collect.kmsg import read_boot_id
from kelp.agent.collect.metrics import CollectMetrics
from kelp.agent.pipeline import Source
from kelp.base.clock import Clock
from kelp.base.settings import Agent

Checkpoints = Callable[[str], Mapping[str, bytes]]


def node_sources(
    agent: Agent, clock: Clock, checkpoints: Checkpoints, metrics: CollectMetrics
) -> list[Source[Any]]:
    """What the node itself writes; `checkpoints` gives those of a stage by its name."""
    sources: list[Source[Any]] = []
    if agent.files:
        files = FileLogCollector(agent, clock, checkpoints("files.collect"), metrics)
        zone = ZoneInfo(agent.zone) if agent.zone else None
        sources.append(Source("files.", files, PlainAssembler(agent.max_record_bytes, zone)))
    if agent.journal.enabled:
        stored = checkpoints("journal.collect")
        journal = JournalCollector(agent, clock, stored, metrics, _boot_s)
        sources.append(Source("journal.", journal, JournalAssembler()))
    if agent.kmsg.enabled:
        stored = checkpoints("kmsg.collect")
        kmsg = KmsgCollector(agent, stored, metrics, read_boot_id())
        sources.append(Source("kmsg.", kmsg, KernelAssembler()))
    return sources


def _boot_s() -> int:
    """When the machine booted, seconds since the epoch."""
    return int(time.time() - time.clock_gettime(time.CLOCK_BOOTTIME))
