"""Sources that lie elsewhere: containers outside of the pods folder, and other nodes' journals."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from kelp.agent.assemble import JournalAssembler
from kelp.agent.assemble.traces import RecordAssembler
from kelp.agent.collect import LinkedLogCollector
from kelp.agent.collect.metrics import CollectMetrics
from kelp.agent.pipeline import Source
from kelp.base.clock import Clock
from kelp.base.settings import Agent

Checkpoints = Callable[[str], Mapping[str, bytes]]


def sources_elsewhere(
    agent: Agent, clock: Clock, checkpoints: Checkpoints, metrics: CollectMetrics
) -> list[Source[Any]]:
    """Those that the settings want; `checkpoints` gives those of a stage by its name.

    Raises AccessError where nothing leads to an API server that is to be asked.
    """
    sources: list[Source[Any]] = []
    if agent.containers_dir:
        linked = LinkedLogCollector(agent, clock, checkpoints("containers.collect"), metrics)
        assembler = RecordAssembler(agent, checkpoints("containers.assemble"))
        sources.append(Source("containers.", linked, assembler))
    if agent.node_logs.enabled:
        sources.append(_node_logs(agent, clock, checkpoints("node_logs.collect"), metrics))
    return sources


def _node_logs(
    agent: Agent, clock: Clock, stored: Mapping[str, bytes], metrics: CollectMetrics
) -> Source[Any]:
    # The Kubernetes client, which one agent of a cluster needs.
    from kelp.agent.collect.nodelog import NodeLogCollector  # noqa: PLC0415
    from kelp.kube.access import find_access  # noqa: PLC0415
    from kelp.kube.client import KubeClient  # noqa: PLC0415

    client = KubeClient(find_access(os.environ, kubeconfig=agent.node_logs.kubeconfig))
    collector = NodeLogCollector(agent, client, clock, stored, metrics)
    return Source("node_logs.", collector, JournalAssembler())
