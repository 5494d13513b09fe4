"""From a cgroup's path to the pod, the container and the runtime that it belongs to.

A path is all that the kernel says about a victim's home, and it is a convention, not an interface.
Two drivers name things: systemd (`kubepods-burstable-pod0a_1b.slice/cri-containerd-ID.scope`, with
`-` in the uid written `_`) and cgroupfs (`/kubepods/burstable/podUID/ID`); the names come from the
kubelet's `pkg/kubelet/cm` and from each runtime. Whatever stands above or below is passed over, so
a node that is itself a container (kind), a kubelet with `--cgroup-root`, and cgroups that a
container makes of its own are understood. Where pods are nested in pods, the innermost is taken.

Left out: asking the API server or the runtime whether such a pod exists.
"""

from __future__ import annotations

import re
from typing import Literal

from msgspec import Struct

LimitScope = Literal["container", "pod", "qos", "kubepods", "other"]
QosClass = Literal["Guaranteed", "Burstable", "BestEffort"]

_SYSTEMD_POD = re.compile(
    r"(?:[^/]*-)?kubepods(?:-(burstable|besteffort))?-pod([0-9A-Za-z_.]{1,128})\.slice"
)
_SYSTEMD_TIER = re.compile(r"(?:[^/]*-)?kubepods(?:-(burstable|besteffort))?\.slice")
_CGROUPFS_POD = re.compile(r"pod([0-9A-Za-z_.-]{1,128})")
_CONTAINER = re.compile(r"(?:([a-z][a-z-]*)[-_])?([0-9a-f]{12,64})(?:\.scope)?")
_FULL_ID = re.compile(r"[0-9a-f]{64}")
_QOS: dict[str, QosClass] = {"burstable": "Burstable", "besteffort": "BestEffort"}

# The prefix of a container's cgroup, by the runtime that writes it.
_RUNTIME_BY_PREFIX = {
    "cri-containerd": "containerd",
    "containerd": "containerd",
    "nerdctl": "containerd",
    "crio": "cri-o",
    "crio-conmon": "cri-o",
    "docker": "docker",
    "libpod": "podman",
    "libpod-conmon": "podman",
    "libpod-payload": "podman",
    "kata": "kata",
}
# The parent of a container's cgroup outside of Kubernetes, by the runtime that chooses it:
# docker and buildkit with cgroupfs, ECS (docker), containerd's namespaces (nerdctl, ctr).
_RUNTIME_BY_PARENT = {
    "docker": "docker",
    "buildkit": "docker",
    "ecs": "docker",
    "default": "containerd",
    "k8s.io": "containerd",
    "moby": "docker",
    "libpod_parent": "podman",
}


class Place(Struct, frozen=True):
    """Where a cgroup is; all None for one that is of no container and no pod."""

    pod_uid: str | None = None
    container_id: str | None = None
    qos_class: QosClass | None = None
    runtime: str | None = None
    scope: LimitScope = "other"


def locate(path: str | None) -> Place:
    """Say whose cgroup `path` is (as the kernel prints it, from the hierarchy's root)."""
    parts = _parts(path or "")
    for i in range(len(parts) - 1, -1, -1):
        pod = _pod_at(parts, i)
        if pod is not None:
            uid, qos = pod
            container = _container(parts[i + 1]) if i + 1 < len(parts) else None
            container_id, runtime = container or (None, None)
            return Place(uid, container_id, qos, runtime, "container" if container else "pod")
    return _outside_of_pods(parts)


def container_of_name(name: str | None) -> tuple[str, str | None] | None:
    """Container id and runtime from the bare name of a cpuset's cgroup, None if it is no such."""
    found = _container(name or "")
    if found is None or (found[1] is None and not _FULL_ID.fullmatch(found[0])):
        return None
    return found


def unit_of(path: str | None) -> str | None:
    """The systemd service whose cgroup `path` is or lies in, None if there is none."""
    return next((p for p in reversed(_parts(path or "")) if p.endswith(".service")), None)


def _parts(path: str) -> list[str]:
    # A runtime with cgroupfs under a kubelet with systemd makes "X.slice:cri-containerd:ID".
    parts = []
    for part in path.split("/"):
        pieces = part.split(":")
        if len(pieces) == 3 and pieces[0].endswith(".slice"):
            parts += [pieces[0], f"{pieces[1]}-{pieces[2]}"]
        elif part:
            parts.append(part)
    return parts


def _pod_at(parts: list[str], i: int) -> tuple[str, QosClass] | None:
    systemd = _SYSTEMD_POD.fullmatch(parts[i])
    if systemd:
        qos = _QOS.get(systemd[1] or "", "Guaranteed")
        return systemd[2].replace("_", "-"), qos
    cgroupfs = _CGROUPFS_POD.fullmatch(parts[i])
    if cgroupfs is None or i == 0:
        return None
    if parts[i - 1] in _QOS and i >= 2 and parts[i - 2].endswith("kubepods"):
        return cgroupfs[1], _QOS[parts[i - 1]]
    return (cgroupfs[1], "Guaranteed") if parts[i - 1].endswith("kubepods") else None


def _container(part: str) -> tuple[str, str | None] | None:
    found = _CONTAINER.fullmatch(part)
    if found is None:
        return None
    prefix = found[1]
    if prefix is not None and prefix not in _RUNTIME_BY_PREFIX:
        return None
    return found[2], _RUNTIME_BY_PREFIX[prefix] if prefix else None


def _outside_of_pods(parts: list[str]) -> Place:
    for i in range(len(parts) - 1, -1, -1):
        found = _container(parts[i])
        if found is None:
            continue
        container_id, runtime = found
        runtime = runtime or _RUNTIME_BY_PARENT.get(parts[i - 1] if i else "") or _of_root(parts)
        if runtime or _FULL_ID.fullmatch(container_id):
            return Place(container_id=container_id, runtime=runtime, scope="container")
    return _tier(parts)


def _of_root(parts: list[str]) -> str | None:
    # /ecs/TASK/ID has the task between.
    return "docker" if parts[0] == "ecs" else None


def _tier(parts: list[str]) -> Place:
    if not parts:
        return Place()
    systemd = _SYSTEMD_TIER.fullmatch(parts[-1])
    if systemd:
        qos = _QOS.get(systemd[1] or "")
        return Place(qos_class=qos, scope="qos" if qos else "kubepods")
    if parts[-1] in _QOS and len(parts) > 1 and parts[-2].endswith("kubepods"):
        return Place(qos_class=_QOS[parts[-1]], scope="qos")
    return Place(scope="kubepods") if parts[-1].endswith("kubepods") else Place()
