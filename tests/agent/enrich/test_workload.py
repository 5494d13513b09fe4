from __future__ import annotations

import pytest

from kelp.agent.enrich.workload import workload_of


@pytest.mark.parametrize(
    ("pod", "workload"),
    [
        ("web-6d4cf56db6-x7x9p", "web"),
        ("orders-api-5989d49775-2rmz9", "orders-api"),
        ("web-5c9b8-x7x9p", "web"),
        ("nightly-29920374-69gg6", "nightly"),
        ("log-agent-svjpp", "log-agent"),
        ("import-x2b4c", "import"),
        ("db-0", "db"),
        ("kafka-broker-12", "kafka-broker"),
        ("payment-worker", "payment-worker"),
        ("toolbox", "toolbox"),
        ("a-b", "a-b"),
        ("web-01", "web-01"),
        ("node-exporter-aeiou", "node-exporter-aeiou"),
        ("svjpp", "svjpp"),
        ("-0", "-0"),
        ("", ""),
    ],
)
def test_the_workload_behind_a_pod(pod: str, workload: str) -> None:
    assert workload == workload_of(pod)


@pytest.mark.parametrize(
    ("pod", "node", "workload"),
    [
        ("etcd-node-1", "node-1", "etcd"),
        ("kube-apiserver-node-1", "node-1", "kube-apiserver"),
        ("etcd-node-1", "", "etcd-node"),
        ("node-1", "node-1", "node"),
    ],
)
def test_a_static_pod_ends_with_its_node(pod: str, node: str, workload: str) -> None:
    assert workload == workload_of(pod, node)
