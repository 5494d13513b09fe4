"""Rules and alerts in the shapes of Loki's and Prometheus's ruler. There are no rules yet.

Grafana asks these routes of each data source for its list of alert rules; an empty answer is a
data source without rules, an error would be a broken one.
"""

from __future__ import annotations

import msgspec
from starlette.responses import Response

from kelp.server.http.endpoint import Call, Endpoint
from kelp.server.serve.loki import JSON


async def _as_yaml(call: Call) -> Response:
    """Groups by namespace."""
    return Response("{}\n", media_type="application/yaml")


async def _rules(call: Call) -> Response:
    """Groups with their states."""
    return Response(
        msgspec.json.encode({"status": "success", "data": {"groups": []}}), media_type=JSON
    )


async def _alerts(call: Call) -> Response:
    """Alerts that are active."""
    return Response(
        msgspec.json.encode({"status": "success", "data": {"alerts": []}}), media_type=JSON
    )


def rules_endpoints() -> list[Endpoint]:
    """Their declarations."""
    return [
        Endpoint(
            "/loki/api/v1/rules",
            ("GET", "POST"),
            "ruleGroups",
            "Rule groups by namespace, as YAML.",
            _as_yaml,
            content_types=("application/yaml",),
            statuses=(),
        ),
        Endpoint(
            "/prometheus/api/v1/rules",
            ("GET", "POST"),
            "rules",
            "Rule groups with their states.",
            _rules,
            statuses=(),
        ),
        Endpoint(
            "/prometheus/api/v1/alerts",
            ("GET", "POST"),
            "alerts",
            "Alerts that are active.",
            _alerts,
            statuses=(),
        ),
    ]
