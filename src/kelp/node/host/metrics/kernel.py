"""CPU, load, pressure, and the kernel's own counters."""

from __future__ import annotations

import platform
from collections.abc import Iterator

from prometheus_client.metrics_core import Metric

from kelp.node.host.cpu import read_kernel_stat
from kelp.node.host.load import read_load
from kelp.node.host.metrics.family import counter, counters, gauge, gauges
from kelp.node.host.pressure import read_pressure
from kelp.node.host.reading import Notes, Roots, read_text

_MODES = ("idle", "iowait", "irq", "nice", "softirq", "steal", "system", "user")

# (resource, line of PSI) → node-exporter's word.
_STALLS = {
    ("cpu", "some"): "cpu_waiting",
    ("io", "some"): "io_waiting",
    ("io", "full"): "io_stalled",
    ("memory", "some"): "memory_waiting",
    ("memory", "full"): "memory_stalled",
    ("irq", "full"): "irq_stalled",
}


def cpu(roots: Roots) -> Iterator[Metric]:
    """node_cpu_seconds_total by CPU and mode, and guests' time."""
    cpus = read_kernel_stat(roots).cpus
    yield counters(
        "node_cpu_seconds",
        "Seconds the CPUs spent in each mode",
        ["cpu", "mode"],
        (((name, mode), getattr(times, mode)) for name, times in cpus.items() for mode in _MODES),
    )
    guests = ((n, m, v) for n, t in cpus.items() for m, v in _guest(t.guest, t.guest_nice))
    yield counters(
        "node_cpu_guest_seconds",
        "Seconds the CPUs spent in guests",
        ["cpu", "mode"],
        (((name, mode), value) for name, mode, value in guests),
    )


def _guest(user: float, nice: float) -> tuple[tuple[str, float], ...]:
    return (("nice", nice), ("user", user))


def stat(roots: Roots) -> Iterator[Metric]:
    """Counters of /proc/stat."""
    found = read_kernel_stat(roots)
    yield counter("node_context_switches", "Context switches", found.context_switches)
    yield counter("node_forks", "Processes made", found.forks)
    yield counter("node_intr", "Interrupts serviced", found.interrupts)
    yield gauge("node_procs_running", "Processes that are runnable", found.running)
    yield gauge("node_procs_blocked", "Processes that wait for I/O", found.blocked)
    if found.boot_time_s is not None:
        yield gauge("node_boot_time_seconds", "When the node booted", found.boot_time_s)


def load(roots: Roots) -> Iterator[Metric]:
    """node_load1, 5 and 15."""
    found = read_load(roots)
    if found is not None:
        yield gauge("node_load1", "Load average of 1 minute", found.load1)
        yield gauge("node_load5", "Load average of 5 minutes", found.load5)
        yield gauge("node_load15", "Load average of 15 minutes", found.load15)


def pressure(roots: Roots) -> Iterator[Metric]:
    """node_pressure_*_seconds_total; none where the kernel has no PSI."""
    resources = read_pressure(roots, Notes())
    for (resource, line), word in _STALLS.items():
        stall = getattr(resources.get(resource), line, None)
        if stall is not None:
            text = f"Seconds in which {line} tasks waited for {resource}"
            yield counter(f"node_pressure_{word}_seconds", text, stall.total_s)


def uname(roots: Roots) -> Iterator[Metric]:
    """node_uname_info, always 1."""
    names = {
        "sysname": "ostype",
        "release": "osrelease",
        "version": "version",
        "nodename": "hostname",
        "domainname": "domainname",
    }
    values = [_line(roots, f"kernel/{file}") for file in names.values()]
    yield gauges(
        "node_uname_info",
        "The kernel",
        ["machine", *names],
        [((platform.machine(), *values), 1.0)],
    )


def file_descriptors(roots: Roots) -> Iterator[Metric]:
    """node_filefd_allocated and _maximum."""
    words = _line(roots, "fs/file-nr").split()
    if len(words) == 3:
        yield gauge("node_filefd_allocated", "Open files of all processes", float(words[0]))
        yield gauge("node_filefd_maximum", "The limit of open files", float(words[2]))


def conntrack(roots: Roots) -> Iterator[Metric]:
    """The table of tracked connections; none where it is not loaded."""
    count, limit = (_line(roots, f"net/netfilter/nf_conntrack_{n}") for n in ("count", "max"))
    if count and limit:
        yield gauge("node_nf_conntrack_entries", "Connections tracked", float(count))
        yield gauge(
            "node_nf_conntrack_entries_limit", "At which new connections are dropped", float(limit)
        )


def _line(roots: Roots, name: str) -> str:
    return (read_text(roots.proc / "sys" / name) or "").strip()
