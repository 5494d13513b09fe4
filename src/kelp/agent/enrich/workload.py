"""The workload behind a pod, from the pod's name alone.

Kubernetes names the pods of a workload after it, with suffixes that can be told from names that
people choose: their letters are those of `k8s.io/apimachinery/pkg/util/rand`, which leaves out
vowels and what looks alike. A name that was chosen to look so is taken for a generated one; the
label is a convenience of search, and rights are never decided by it.

    Deployment    web-6d4cf56db6-x7x9p    web
    CronJob       nightly-29920374-69gg6  nightly
    DaemonSet, Job, ReplicaSet   node-agent-svjpp   node-agent
    StatefulSet   db-0                    db
    static pod    etcd-node-1 on node-1   etcd
    bare pod      toolbox                 toolbox
"""

from __future__ import annotations

import re

_SAFE = "[bcdfghjklmnpqrstvwxz2456789]"
# A hash of a pod template is a decimal 32-bit number put into the safe alphabet: up to ten.
_DEPLOYMENT = re.compile(rf"(.+)-{_SAFE}{{5,10}}-{_SAFE}{{5}}")
_CRON_JOB = re.compile(rf"(.+)-[0-9]{{8,10}}-{_SAFE}{{5}}")
_GENERATED = re.compile(rf"(.+)-{_SAFE}{{5}}")
_ORDINAL = re.compile(r"(.+)-(?:0|[1-9][0-9]{0,4})")


def workload_of(pod: str, node: str = "") -> str:
    """The name of the workload that made the pod; the pod's own where nothing tells it."""
    if node and pod.endswith("-" + node) and len(pod) > len(node) + 1:
        return pod[: -len(node) - 1]
    for pattern in (_CRON_JOB, _DEPLOYMENT, _GENERATED, _ORDINAL):
        match = pattern.fullmatch(pod)
        if match:
            return match[1]
    return pod
