"""Disks, network devices, sockets in use.

Names of devices are labels: those that the node makes and removes with each pod are left out, and
their number has a limit.
"""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.metrics_core import Metric

from kelp.node.host.disks import DiskCounters, read_disks, whole_devices
from kelp.node.host.metrics.family import counters, gauge, gauges
from kelp.node.host.reading import Roots, read_text

MAX_DEVICES = 256

_NO_DISKS = ("loop", "ram", "zram", "fd")
# The node's ends of pods' cables, by the network plugins' names.
_NO_NETWORKS = ("veth", "cali", "lxc", "gke", "azv", "eni", "tunl0", "nodelocaldns")

# node-exporter's name → counter, unit.
_DISK: dict[str, tuple[str, float]] = {
    "reads_completed": ("reads", 1),
    "reads_merged": ("reads_merged", 1),
    "read_bytes": ("sectors_read", 512),
    "read_time_seconds": ("read_ms", 1e-3),
    "writes_completed": ("writes", 1),
    "writes_merged": ("writes_merged", 1),
    "written_bytes": ("sectors_written", 512),
    "write_time_seconds": ("write_ms", 1e-3),
    "io_time_seconds": ("busy_ms", 1e-3),
    "io_time_weighted_seconds": ("queued_ms", 1e-3),
    "discards_completed": ("discards", 1),
    "discards_merged": ("discards_merged", 1),
    "discarded_sectors": ("sectors_discarded", 1),
    "discard_time_seconds": ("discard_ms", 1e-3),
    "flush_requests": ("flushes", 1),
    "flush_requests_time_seconds": ("flush_ms", 1e-3),
}

_RECEIVED = ("bytes", "packets", "errs", "drop", "fifo", "frame", "compressed", "multicast")
_SENT = ("bytes", "packets", "errs", "drop", "fifo", "colls", "carrier", "compressed")


def disks(roots: Roots) -> Iterator[Metric]:
    """node_disk_*, of whole devices."""
    found = _chosen_disks(roots)
    for name, (field, unit) in _DISK.items():
        samples = (([disk], getattr(c, field) * unit) for disk, c in found.items())
        yield counters(f"node_disk_{name}", f"{field} of /proc/diskstats", ["device"], samples)
    now = (([disk], float(c.in_flight)) for disk, c in found.items())
    yield gauges("node_disk_io_now", "Requests under way", ["device"], now)


def _chosen_disks(roots: Roots) -> dict[str, DiskCounters]:
    whole = whole_devices(roots)
    found = {
        name: c
        for name, c in read_disks(roots).items()
        if not name.startswith(_NO_DISKS) and (whole is None or name in whole)
    }
    return dict(list(found.items())[:MAX_DEVICES])


def network(roots: Roots) -> Iterator[Metric]:
    """node_network_receive_* and _transmit_*, of the node's own network namespace."""
    rows = dict(list(_network_rows(roots))[:MAX_DEVICES])
    for offset, way, names in ((0, "receive", _RECEIVED), (8, "transmit", _SENT)):
        for i, name in enumerate(names):
            samples = (([device], float(row[offset + i])) for device, row in rows.items())
            text = f"{way} {name} of /proc/net/dev"
            yield counters(f"node_network_{way}_{name}", text, ["device"], samples)


def _network_rows(roots: Roots) -> Iterator[tuple[str, list[int]]]:
    for line in (read_text(roots.node_net / "dev") or "").splitlines():
        device, found, rest = line.strip().rpartition(":")
        words = rest.split()
        if found and len(words) >= 16 and not device.startswith(_NO_NETWORKS):
            yield device, [int(w) for w in words[:16]]


def sockets(roots: Roots) -> Iterator[Metric]:
    """node_sockstat_*: `TCP: inuse 5 orphan 0 …` a line; memory in pages."""
    for file in ("sockstat", "sockstat6"):
        for line in (read_text(roots.node_net / file) or "").splitlines():
            protocol, _, rest = line.partition(":")
            words = rest.split()
            for name, value in zip(words[::2], words[1::2], strict=False):
                text = f"{name} of {protocol} in /proc/net/{file}"
                yield gauge(f"node_sockstat_{protocol}_{name}", text, float(value))
