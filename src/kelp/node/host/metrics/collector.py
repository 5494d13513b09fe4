"""The collector: asks each subject in turn; one that fails costs its own figures only."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from kelp.base.clock import Clock, SystemClock
from kelp.base.errors import KelpError
from kelp.node.host.metrics import devices, filesystems, kernel, memory
from kelp.node.host.reading import Roots

_log = logging.getLogger(__name__)

Subject = Callable[[Roots], Iterable[Metric]]

# By node-exporter's names for them.
SUBJECTS: dict[str, Subject] = {
    "cpu": kernel.cpu,
    "stat": kernel.stat,
    "loadavg": kernel.load,
    "pressure": kernel.pressure,
    "uname": kernel.uname,
    "filefd": kernel.file_descriptors,
    "conntrack": kernel.conntrack,
    "meminfo": memory.meminfo,
    "vmstat": memory.vmstat,
    "diskstats": devices.disks,
    "netdev": devices.network,
    "sockstat": devices.sockets,
    "filesystem": filesystems.filesystems,
}


class NodeCollector(Collector):
    """Reads /proc and /sys when it is asked, some milliseconds each time; keeps nothing.

    Register it with a `CollectorRegistry`. Never raises: `node_scrape_collector_success` is 0 for
    what could not be read, and its reason is in the log, once.
    """

    def __init__(
        self,
        roots: Roots | None = None,
        clock: Clock | None = None,
        subjects: dict[str, Subject] | None = None,
    ) -> None:
        self._roots = roots or Roots()
        self._clock = clock or SystemClock()
        self._subjects = SUBJECTS if subjects is None else subjects
        self._failing: set[str] = set()

    def describe(self) -> Iterable[Metric]:
        """Nothing: names follow from what the kernel has."""
        return []

    def collect(self) -> Iterator[Metric]:
        """All metrics now."""
        success = GaugeMetricFamily(
            "node_scrape_collector_success", "Whether a subject could be read", labels=["collector"]
        )
        duration = GaugeMetricFamily(
            "node_scrape_collector_duration_seconds",
            "Time that reading a subject took",
            labels=["collector"],
        )
        for name, subject in self._subjects.items():
            began = self._clock.monotonic()
            metrics = self._read(name, subject)
            yield from metrics or ()
            success.add_metric([name], float(metrics is not None))
            duration.add_metric([name], self._clock.monotonic() - began)
        now = GaugeMetricFamily("node_time_seconds", "The node's wall time")
        now.add_metric([], self._clock.now_ns() / 1e9)
        yield from (now, success, duration)

    def _read(self, name: str, subject: Subject) -> list[Metric] | None:
        try:
            metrics = list(subject(self._roots))
        except (OSError, KelpError, ValueError, IndexError) as e:
            if name not in self._failing:
                _log.warning("cannot read node metrics", extra={"collector": name, "error": str(e)})
            self._failing.add(name)
            return None
        self._failing.discard(name)
        return metrics
