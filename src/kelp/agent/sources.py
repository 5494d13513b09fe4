"""The sources beside the pods' logs, as the settings want them: files, journald, the kernel.

Each is a collector and the assembler that understands it; the pipeline reads them in turn. A source
that cannot be had on this node is off, and has said so.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import tzinfo
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from kelp.agent.assemble import JournalAssembler, KernelAssembler, PlainAssembler
from kelp.agent.assemble.oom import (
    KillLedger,
    Names,
    OomAssembler,
    UntoldKillAssembler,
    bare_line,
    line_in_file,
)
from kelp.agent.assemble.oom import Source as OomSource
from kelp.agent.assemble.traces import TraceAssembler
from kelp.agent.collect import FileLogCollector, JournalCollector, KmsgCollector
from kelp.agent.collect.kmsg import read_boot_id
from kelp.agent.collect.metrics import CollectMetrics
from kelp.agent.collect.oomcounts import OomCountCollector
from kelp.agent.elsewhere import sources_elsewhere
from kelp.agent.pipeline import Source
from kelp.base.clock import Clock
from kelp.base.podnames import PodNames
from kelp.base.settings import Agent
from kelp.model.stream import DATASET_KERNEL, DATASET_NODE

Checkpoints = Callable[[str], Mapping[str, bytes]]


def node_sources(
    agent: Agent, clock: Clock, checkpoints: Checkpoints, metrics: CollectMetrics
) -> list[Source[Any]]:
    """What the node itself writes; `checkpoints` gives those of a stage by its name."""
    sources: list[Source[Any]] = sources_elsewhere(agent, clock, checkpoints, metrics)
    kernel = _KernelLines(agent, checkpoints)
    if agent.files:
        files = FileLogCollector(agent, clock, checkpoints("files.collect"), metrics)
        zone = ZoneInfo(agent.zone) if agent.zone else None
        plain = PlainAssembler(agent.max_record_bytes, zone)
        whole = kernel.in_files(plain, zone)
        stored = checkpoints("files.assemble")
        sources.append(Source("files.", files, TraceAssembler(whole, agent, stored)))
    if agent.journal.enabled:
        stored = checkpoints("journal.collect")
        journal = JournalCollector(agent, clock, stored, metrics, _boot_s)
        whole = kernel.bare("journal.", JournalAssembler())
        stored = checkpoints("journal.assemble")
        sources.append(Source("journal.", journal, TraceAssembler(whole, agent, stored)))
    boot_id = read_boot_id()
    if agent.kmsg.enabled:
        kmsg = KmsgCollector(agent, checkpoints("kmsg.collect"), metrics, boot_id)
        sources.append(Source("kmsg.", kmsg, kernel.bare("kmsg.", KernelAssembler())))
    if agent.oom_count_interval_s:
        stored = checkpoints("oom.collect")
        told = kernel.ledger.take
        # Behind the others: what they have just read of a kill is told by then.
        counts = OomCountCollector(agent, clock, stored, metrics, boot_id, told)
        sources.append(Source("oom.", counts, UntoldKillAssembler(kernel.who_is)))
    return sources


class _KernelLines:
    """The kernel's OOM reports in any source, as a record a kill."""

    def __init__(self, agent: Agent, checkpoints: Checkpoints) -> None:
        self.ledger = KillLedger()
        self._agent = agent
        self._checkpoints = checkpoints

    def bare(self, name: str, inner: Any) -> OomAssembler[Any]:
        """Of a source that has the kernel's words alone."""
        datasets = frozenset({DATASET_KERNEL})
        source = OomSource(bare_line, datasets, self._agent.max_record_bytes)
        return self._joined(name, inner, source)

    def in_files(self, inner: Any, zone: tzinfo | None) -> OomAssembler[Any]:
        """Of files of many programs, each line with a head."""
        datasets = frozenset({DATASET_KERNEL, DATASET_NODE})
        source = OomSource(line_in_file, datasets, self._agent.max_record_bytes, zone)
        return self._joined("files.", inner, source)

    def _joined(self, name: str, inner: Any, source: OomSource) -> OomAssembler[Any]:
        stored = self._checkpoints(name + "assemble")
        return OomAssembler(inner, source, self.who_is, self.ledger, stored)

    def who_is(self, pod_uid: str | None, container_id: str | None) -> Names:
        """By the kubelet's folders, read anew: kills are rare, and pods come and go."""
        links = self._agent.containers_dir
        names = PodNames(Path(self._agent.pods_dir), Path(links) if links else None)
        pod = names.pod(pod_uid)
        container = names.container(container_id) or ""
        return Names(pod.namespace, pod.pod, container) if pod else Names(container=container)


def _boot_s() -> int:
    """When the machine booted, seconds since the epoch."""
    return int(time.time() - time.clock_gettime(time.CLOCK_BOOTTIME))
