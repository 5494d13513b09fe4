"""Short ways to make metric families of one or of many samples."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, UnknownMetricFamily
from prometheus_client.metrics_core import Metric

Samples = Iterable[tuple[Sequence[str], float]]


def counter(name: str, text: str, value: float) -> Metric:
    """A counter without labels; `name` without its `_total`."""
    return CounterMetricFamily(name, text, value=value)


def gauge(name: str, text: str, value: float) -> Metric:
    """A gauge without labels."""
    return GaugeMetricFamily(name, text, value=value)


def untyped(name: str, text: str, value: float) -> Metric:
    """A figure that may be either (node-exporter gives /proc/vmstat so)."""
    return UnknownMetricFamily(name, text, value=value)


def counters(name: str, text: str, labels: Sequence[str], samples: Samples) -> Metric:
    """A counter with labels."""
    family = CounterMetricFamily(name, text, labels=labels)
    for values, value in samples:
        family.add_metric(values, value)
    return family


def gauges(name: str, text: str, labels: Sequence[str], samples: Samples) -> Metric:
    """A gauge with labels."""
    family = GaugeMetricFamily(name, text, labels=labels)
    for values, value in samples:
        family.add_metric(values, value)
    return family
