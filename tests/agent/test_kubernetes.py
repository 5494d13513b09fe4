"""Pods' annotations in the agent: asked for where somebody can be asked, and never waited for."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest
from prometheus_client import CollectorRegistry

from kelp.agent.collect.metrics import CollectMetrics
from kelp.agent.kubernetes import Annotations
from kelp.base.settings import Agent
from kelp.kube.errors import AccessError
from tests.crash.process import free_port, get
from tests.doubles.kube_api import KubeApi
from tests.doubles.segment_server import records
from tests.kubelet import UID, Kubelet
from tests.waiting import wait_until


def made(kubernetes: str, environ: dict[str, str]) -> tuple[Annotations, CollectorRegistry]:
    registry = CollectorRegistry()
    settings = Agent(node="n1", kubernetes=kubernetes)  # type: ignore[arg-type]
    return Annotations(settings, CollectMetrics(registry), environ), registry


def test_a_pods_format_is_found_by_the_agent(tmp_path):
    with KubeApi() as api:
        api.pod("uid-1", **{"kelp.dev/format": "nginx"})
        environ = {"KUBECONFIG": str(api.kubeconfig(tmp_path / "config"))}
        annotations, registry = made("on", environ)
        assert "" == annotations.format_for("uid-1", "app")
        annotations.start()
        assert "nginx" == annotations.format_for("uid-1", "app")
        labels = {"source": "kubernetes"}
        assert 1.0 == registry.get_sample_value("kelp_agent_source_up", labels)
        annotations.stop()


def test_an_api_server_that_says_nothing_is_not_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr("kelp.agent.kubernetes.FIRST_ANSWER_S", 0.1)
    with KubeApi() as api:
        api.fault("/pods", slow_s=2.0)
        annotations, _ = made("on", {"KUBECONFIG": str(api.kubeconfig(tmp_path / "config"))})
        start = time.monotonic()
        annotations.start()
        assert time.monotonic() - start < 1.5
        annotations.stop()


def test_an_api_server_that_is_away_is_counted(tmp_path):
    with KubeApi() as api:
        config = api.kubeconfig(tmp_path / "config")
    annotations, registry = made("on", {"KUBECONFIG": str(config)})
    annotations.start()
    labels = {"source": "kubernetes", "reason": "away"}
    wait_until(lambda: registry.get_sample_value("kelp_agent_source_failures_total", labels))
    assert 0.0 == registry.get_sample_value("kelp_agent_source_up", {"source": "kubernetes"})
    annotations.stop()


def test_a_node_that_the_api_server_does_not_know_is_told(tmp_path, caplog):
    with KubeApi() as api:
        environ = {"KUBECONFIG": str(api.kubeconfig(tmp_path / "config"))}
        annotations, _ = made("on", environ)
        annotations.start()
        wait_until(lambda: "agent.node has to be the node's name" in caplog.text)
        annotations.stop()


@pytest.mark.parametrize("environ", [{}, {"KUBERNETES_SERVICE_HOST": "h"}])
@pytest.mark.parametrize("kubernetes", ["auto", "off"])
def test_nobody_is_asked_outside_of_a_cluster(kubernetes, environ):
    annotations, registry = made(kubernetes, environ)
    annotations.start()
    assert "" == annotations.format_for("a", "b")
    annotations.stop()
    assert [] == [s for m in registry.collect() for s in m.samples if "kubernetes" in str(s)]


def test_on_without_a_way_is_an_error():
    with pytest.raises(AccessError, match="name a kubeconfig"):
        made("on", {})


def test_an_agent_outside_of_a_cluster_does_not_import_the_client():
    code = (
        "import sys, kelp.agent.main, kelp.agent.kubernetes;"
        "print([m for m in sys.modules if m.startswith('kelp.kube')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "[]" == done.stdout.strip()


def test_a_running_agent_takes_the_format_that_the_pod_names(tmp_path, monkeypatch):
    """As a process, up to the labels of the segment that it delivers."""
    stored = tmp_path / "stored"
    stored.mkdir()
    port, to = free_port(), free_port()
    receive = [sys.executable, "-m", "tests.doubles.segment_server", str(stored), str(to)]
    with KubeApi() as api, subprocess.Popen(receive, stdout=subprocess.DEVNULL) as server:
        api.pod(UID, **{"kelp.dev/format.app": "combined"})
        log = Kubelet(tmp_path / "pods").start()
        config = tmp_path / "kelp.yaml"
        config.write_text(
            f"data_dir: {tmp_path / 'data'}\n"
            f"agent: {{node: n1, pods_dir: {tmp_path / 'pods'}, kubernetes: 'on', "
            f"listen: '127.0.0.1:{port}', ship: {{url: 'http://127.0.0.1:{to}'}}}}\n"
        )
        (tmp_path / "data").mkdir()
        (tmp_path / "data" / "token").write_text("secret")
        monkeypatch.delenv("KELP_AGENT_KUBERNETES", raising=False)
        monkeypatch.setenv("KUBECONFIG", str(api.kubeconfig(tmp_path / "kubeconfig")))
        agent = subprocess.Popen([sys.executable, "-m", "kelp", "agent", "--config", str(config)])
        try:
            up = 'kelp_agent_source_up{source="kubernetes"} 1.0'
            wait_until(lambda: up in get(f"http://127.0.0.1:{port}/metrics")[1], 20)
            log.write(b"2026-11-18T00:00:00.000000000Z stdout F no such format\n")
            wait_until(lambda: list(stored.glob("*.segment")), 20)
        finally:
            agent.terminate()
            assert 0 == agent.wait(20)
            server.terminate()
            log.close()
    (label,) = set(records(stored).column("labels").to_pylist())
    assert "'format': 'combined'" in label
