"""/proc/meminfo and what of /proc/vmstat tells of trouble."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.metrics_core import Metric

from kelp.node.host.memory import parse_meminfo
from kelp.node.host.metrics.family import gauge, untyped
from kelp.node.host.reading import Roots, read_text
from kelp.node.host.vmstat import read_vmstat

# node-exporter's default, ^(oom_kill|pgpg|pswp|pg.*fault), written out.
_VMSTAT = ("oom_kill", "pgpgin", "pgpgout", "pswpin", "pswpout", "pgfault", "pgmajfault")


def meminfo(roots: Roots) -> Iterator[Metric]:
    """node_memory_*: each line, `Active(anon)` as `Active_anon`, with `_bytes` where it has kB."""
    data = read_text(roots.proc / "meminfo") or ""
    sizes = {line.partition(":")[0] for line in data.splitlines() if line.endswith(" kB")}
    for name, value in parse_meminfo(data).items():
        word = name.replace("(", "_").replace(")", "")
        if word.isidentifier() and word.isascii():
            unit = "_bytes" if name in sizes else ""
            yield gauge(f"node_memory_{word}{unit}", f"{name} of /proc/meminfo", value)


def vmstat(roots: Roots) -> Iterator[Metric]:
    """node_vmstat_*."""
    found = read_vmstat(roots)
    for name in _VMSTAT:
        if name in found:
            yield untyped(f"node_vmstat_{name}", f"{name} of /proc/vmstat", found[name])
