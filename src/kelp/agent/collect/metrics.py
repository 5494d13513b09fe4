"""What the collect stage tells of itself; all label values are bounded."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge

from kelp.model.loss import Loss

MAX_CONTAINERS = 500
"""Label sets of kelp_agent_lost_bytes_total at the most; what is lost of further containers is
counted under `namespace="other", pod="other", container="other"`."""

_OTHER = ("other", "other", "other")


class CollectMetrics:
    """Counters and gauges of one collector."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"kelp_agent_{name}", text, labels, registry=registry)

        self.read_bytes = counter("read_bytes", "Bytes of container logs given out")
        self.losses = counter("losses", "Ranges of bytes gone before they were read", "reason")
        self.lost_reason_bytes = counter(
            "lost_reason_bytes", "Bytes gone before they were read, by reason", "reason"
        )
        self._lost_bytes = counter(
            "lost_bytes", "Bytes gone before they were read, by container",
            "namespace", "pod", "container",
        )  # fmt: skip
        self.inotify_failures = counter(
            "inotify_failures", "Watches that could not be set; scans do their work", "reason"
        )
        self.rotations = counter("rotations", "Rotations seen", "manner")
        self.ignored = counter(
            "ignored_paths", "Found under the pods folder and not collected", "reason"
        )
        self.open_failures = counter("open_failures", "Log files that could not be opened")
        self.bad_checkpoints = counter("bad_checkpoints", "Checkpoints that could not be read")
        self.scans = counter("scans", "Scans of the whole pods folder")
        self.source_up = Gauge(
            "kelp_agent_source_up", "1 while a source is read", ["source"], registry=registry
        )
        self.source_records = counter("source_records", "Records read of a source", "source")
        self.source_lost_records = counter(
            "source_lost_records", "Records gone before they were read", "source"
        )
        self.source_failures = counter(
            "source_failures", "Why a source could not be read", "source", "reason"
        )
        self._files_open = Gauge(
            "kelp_agent_files_open", "Log files with an open descriptor", registry=registry
        )
        self._files_known = Gauge("kelp_agent_files_known", "Log files known", registry=registry)
        self._open: dict[int, int] = {}
        self._known: dict[int, int] = {}
        self._containers: set[tuple[str, str, str]] = set()

    def opened(self, collector: int, count: int) -> None:
        """How many files one of the collectors has open."""
        if self._open.get(collector) != count:
            self._open[collector] = count
            self._files_open.set(sum(self._open.values()))

    def known(self, collector: int, count: int) -> None:
        """How many files one of the collectors knows."""
        self._known[collector] = count
        self._files_known.set(sum(self._known.values()))

    def count_loss(self, loss: Loss) -> None:
        """Add one loss to all that count losses."""
        self.losses.labels(loss.reason).inc()
        self.lost_reason_bytes.labels(loss.reason).inc(loss.size_bytes)
        of = tuple(loss.labels.get(k, "") for k in ("namespace", "pod", "container"))
        name = (of[0], of[1], of[2])
        if name not in self._containers and len(self._containers) >= MAX_CONTAINERS:
            name = _OTHER
        self._containers.add(name)
        self._lost_bytes.labels(*name).inc(loss.size_bytes)
