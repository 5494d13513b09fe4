"""Routes that look after the process: is it ready, how is it doing, what is it set to."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

import msgspec
import yaml
from prometheus_client import CollectorRegistry, generate_latest
from starlette.responses import PlainTextResponse, Response

from kelp.base.errors import KelpError
from kelp.base.mask import mask_url
from kelp.base.settings import Settings
from kelp.server.http.endpoint import Call, Endpoint
from kelp.server.http.refusal import RefusalError

_METRICS = "text/plain; version=0.0.4; charset=utf-8"
_YAML = "text/yaml; charset=utf-8"


class Operations(Protocol):
    """What the process says of itself. Called from the event loop, save `reload`."""

    def settings(self) -> Settings:
        """Those in force."""

    def unready(self) -> list[str]:
        """Why it cannot take or answer now; empty where it can."""

    def reload(self) -> str:
        """Read the settings again, say what changed; raises KelpError and changes nothing then."""


class Process:
    """The handlers."""

    def __init__(self, operations: Operations, registry: CollectorRegistry) -> None:
        self._operations = operations
        self._registry = registry

    async def ready(self, call: Call) -> Response:
        """Ready to take and to answer."""
        if reasons := self._operations.unready():
            raise RefusalError(503, "; ".join(reasons), hint="try again")
        return PlainTextResponse("ready\n")

    async def healthy(self, call: Call) -> Response:
        """Alive: that this is answered is the answer."""
        return PlainTextResponse("ok\n")

    async def metrics(self, call: Call) -> Response:
        """Prometheus's text format."""
        text = await asyncio.to_thread(generate_latest, self._registry)
        return Response(text, media_type=_METRICS)

    async def config(self, call: Call) -> Response:
        """The settings as YAML."""
        return Response(settings_yaml(self._operations.settings()), media_type=_YAML)

    async def reload(self, call: Call) -> Response:
        """Read the settings again."""
        try:
            return PlainTextResponse(await asyncio.to_thread(self._operations.reload) + "\n")
        except KelpError as e:
            raise RefusalError(400, f"the old settings stay: {e}") from e

    def endpoints(self) -> list[Endpoint]:
        """Their declarations."""
        text = ("text/plain",)
        return [
            Endpoint("/ready", ("GET",), "ready", "Whether Kelp takes and answers; Loki's name.",
                     self.ready, content_types=text, statuses=(503,), open=True),
            Endpoint("/readyz", ("GET",), "readyz", "The same; Kubernetes's name.",
                     self.ready, content_types=text, statuses=(503,), open=True),
            Endpoint("/healthz", ("GET",), "healthz", "Whether the process answers at all.",
                     self.healthy, content_types=text, statuses=(), open=True),
            Endpoint("/metrics", ("GET",), "metrics", "Kelp's own metrics, for Prometheus.",
                     self.metrics, content_types=text, statuses=(), open=True),
            Endpoint("/config", ("GET",), "config", "The settings in force, secrets masked.",
                     self.config, content_types=("text/yaml",), statuses=()),
            Endpoint("/-/reload", ("POST",), "reload", "Read the settings again.",
                     self.reload, content_types=text),
        ]  # fmt: skip


def settings_yaml(settings: Settings) -> str:
    """As a kelp.yaml. Secrets are in files; what is secret in a URL is masked."""
    return yaml.safe_dump(_masked(msgspec.to_builtins(settings)), sort_keys=False)


def _masked(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _masked(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_masked(v) for v in value]
    return mask_url(value) if isinstance(value, str) else value
