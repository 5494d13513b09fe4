"""Labels that Loki derives when it stores and Kelp when it answers: service_name, detected_level.

Source: Loki's `discover_service_name` and `discover_log_levels`
(https://grafana.com/docs/loki/latest/configure/#limits_config).
"""

from __future__ import annotations

from collections.abc import Mapping

from kelp.model.severity import level_of
from kelp.server.query.sql.text import string

SERVICE_NAME = "service_name"
DETECTED_LEVEL = "detected_level"
UNKNOWN_SERVICE = "unknown_service"
SERVICE_SOURCES = (
    "service", "app", "application", "app_name", "name", "app_kubernetes_io_name", "container",
    "container_name", "k8s_container_name", "component", "workload", "job", "k8s_job_name",
)  # fmt: skip


def with_service_name(labels: Mapping[str, str]) -> dict[str, str]:
    """The labels, with service_name where they have none."""
    if labels.get(SERVICE_NAME):
        return dict(labels)
    found = next((labels[n] for n in SERVICE_SOURCES if labels.get(n)), UNKNOWN_SERVICE)
    return {**labels, SERVICE_NAME: found}


def service_name_sql(labels: str) -> str:
    """service_name as an expression over a map of labels."""
    names = (SERVICE_NAME, *SERVICE_SOURCES)
    cases = ", ".join(f"{labels}[{string(n)}] != '', {labels}[{string(n)}]" for n in names)
    return f"multiIf({cases}, {string(UNKNOWN_SERVICE)})"


LEVEL_OF_NUMBER = tuple(level_of(number) for number in range(25))


def detected_level_sql(number: str = "severity_number") -> str:
    """detected_level as an expression over a severity number."""
    levels = ", ".join(string(level) for level in LEVEL_OF_NUMBER)
    return f"[{levels}][least({number}, 24) + 1]"
