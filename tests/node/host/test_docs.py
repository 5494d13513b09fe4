"""docs/reference/node.md names every field of every report, and every metric."""

import re
from pathlib import Path

import pytest
from msgspec import Struct
from prometheus_client.metrics_core import Metric

from kelp.node.host import (
    cgroups,
    cpu,
    disks,
    load,
    memory,
    pressure,
    ps,
    routes,
    sockets,
    sockettable,
    top,
    vmstat,
)
from kelp.node.host.metrics import NodeCollector

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "node.md").read_text()
WORDS = set(re.findall(r"`([a-z0-9_*]+)`", PAGE))
STRUCTS = (
    top.TopReport, top.Tasks, load.Load, cpu.CpuSplit, memory.Memory, ps.PsReport, ps.Listed,
    disks.IostatReport, disks.Disk, vmstat.VmstatReport, sockets.SocketReport, sockets.Socket,
    sockets.Process, sockettable.Timer, routes.RouteReport, routes.Route,
    pressure.PressureReport, pressure.CgroupPressure, pressure.Pressure, pressure.Stall,
    cgroups.CgroupReport, cgroups.CgroupUsage,
)  # fmt: skip


@pytest.mark.parametrize("struct", STRUCTS)
def test_every_field_is_named(struct: type[Struct]):
    assert [f for f in struct.__struct_fields__ if f not in WORDS] == []


def test_every_metric_is_named():
    prefixes = tuple(w.removesuffix("*") for w in WORDS if w.endswith("*"))

    def named(metric: Metric) -> bool:
        name = metric.name + ("_total" if metric.type == "counter" else "")
        return name in WORDS or name.startswith(prefixes)

    assert [m.name for m in NodeCollector().collect() if not named(m)] == []
