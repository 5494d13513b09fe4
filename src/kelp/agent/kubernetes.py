"""The annotations of this node's pods, as the settings want them asked for.

Without an API server, with one that is away or that refuses, nothing is annotated and all else goes
on: collecting asks nobody. The Kubernetes client is imported where there is one to be asked.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from kelp.agent.collect.metrics import CollectMetrics
from kelp.base.settings import Agent

if TYPE_CHECKING:
    from kelp.kube.access import Access
    from kelp.kube.reflector import Reflector

SOURCE = "kubernetes"
FIRST_ANSWER_S = 1.0
_STOP_S = 1.0

_log = logging.getLogger(__name__)


class Annotations:
    """What pods say of themselves; `start` and `stop` it once."""

    def __init__(self, agent: Agent, metrics: CollectMetrics, environ: Mapping[str, str]) -> None:
        """Raises AccessError where `agent.kubernetes` is on and nothing leads to an API server."""
        self._metrics = metrics
        self._reflector: Reflector | None = None
        self.format_for: Callable[[str, str], str] = _nothing
        access = _access(agent, environ)
        if access is None:
            return
        from kelp.kube.client import KubeClient  # noqa: PLC0415 - see above
        from kelp.kube.pods import PodAnnotations, watch_pods  # noqa: PLC0415 - see above

        metrics.source_up.labels(SOURCE).set(0)
        self._answered = threading.Event()
        self._pods = pods = PodAnnotations()
        self._node, self._warned = agent.node, False
        self.format_for = pods.format_for
        self._reflector = watch_pods(KubeClient(access), agent.node, pods, self._state)

    def start(self) -> None:
        """Begin to ask; returns at the first answer, whatever it is, or after FIRST_ANSWER_S.

        So the first lines of a new agent mostly have the labels that the following ones have.
        """
        if self._reflector is not None:
            self._reflector.start()
            self._answered.wait(FIRST_ANSWER_S)

    def stop(self) -> None:
        """End."""
        if self._reflector is not None:
            self._reflector.stop(_STOP_S)

    def _state(self, reason: str) -> None:
        self._metrics.source_up.labels(SOURCE).set(0 if reason else 1)
        if reason:
            self._metrics.source_failures.labels(SOURCE, reason).inc()
        elif not self._warned and not len(self._pods):
            self._warned = True
            _log.warning(
                "the API server knows no pods on this node: agent.node has to be the node's name",
                extra={"node": self._node},
            )
        self._answered.set()


def _access(agent: Agent, environ: Mapping[str, str]) -> Access | None:
    """Where to ask; None for nowhere."""
    if agent.kubernetes == "off":
        return None
    if agent.kubernetes == "auto" and not environ.get("KUBERNETES_SERVICE_HOST"):
        return None
    from kelp.kube.access import find_access, in_cluster  # noqa: PLC0415 - see above

    if agent.kubernetes == "on":
        return find_access(environ)
    access = in_cluster(environ)
    if access is None:
        _log.info("pods' annotations are not asked for: the pod has no service account's token")
    return access


def _nothing(_pod_uid: str, _container: str) -> str:
    return ""
