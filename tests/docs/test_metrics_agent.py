"""Every metric of the agent is explained in docs/reference/metrics.md, and nothing else is."""

from __future__ import annotations

import re
from pathlib import Path

from prometheus_client import REGISTRY, CollectorRegistry

from kelp.agent.ask.metrics import AskMetrics
from kelp.agent.assemble.oom import OomAssembler
from kelp.agent.assemble.traces import RecordAssembler
from kelp.agent.collect import PodLogCollector
from kelp.agent.metrics import PipelineMetrics
from kelp.agent.parse import Parser
from kelp.agent.ship.metrics import ShipMetrics
from kelp.agent.spool.metrics import SpoolMetrics
from kelp.base.clock import SystemClock
from kelp.base.settings import Agent

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "metrics.md"


def registered(tmp_path: Path) -> set[str]:
    registry = CollectorRegistry()
    PodLogCollector(Agent(pods_dir=str(tmp_path)), SystemClock(), {}, registry).close()
    # Their metrics are registered when they are imported.
    assert RecordAssembler and OomAssembler and Parser
    for metrics in (AskMetrics, PipelineMetrics, ShipMetrics, SpoolMetrics):
        metrics(registry)
    families = [*registry.collect(), *REGISTRY.collect()]
    return {
        f.name + ("_total" if f.type == "counter" else "")
        for f in families
        if f.name.startswith("kelp_agent_")
    }


def test_the_page_names_exactly_what_there_is(tmp_path):
    explained = set(re.findall(r"^\| `(kelp_agent_\w+)", PAGE.read_text(), re.MULTILINE))
    assert explained == registered(tmp_path)
