"""Workloads: which pods there are, how they are called, and what a rollout does to them."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from kelp.demo.kubelet import Kubelet, Pod
from kelp.demo.names import Names
from kelp.demo.schedule import Program, Schedule

# Between the start of a rollout's new pod and the end of the old one's.
ROLLOUT_STEP_S = 2.0


@dataclass
class World:
    """What every program of the simulated node works with."""

    schedule: Schedule
    kubelet: Kubelet
    names: Names
    random: random.Random

    @property
    def now_ns(self) -> int:
        """The simulated time."""
        return self.schedule.now_ns


@dataclass
class Workload:
    """Pods of one owner; `pick` is its Service."""

    world: World
    namespace: str
    name: str
    containers: list[str]
    pods: list[Pod] = field(default_factory=list)

    def pick(self) -> Pod:
        """The pod that gets the next request."""
        return self.world.random.choice(self.pods)

    def start(self, pod_name: str) -> Pod:
        """Start one more pod."""
        pod = self.world.kubelet.create(self.namespace, pod_name, self.containers)
        self.pods.append(pod)
        return pod

    def stop(self, pod: Pod) -> None:
        """End a pod; its folder goes a moment later."""
        self.pods.remove(pod)
        self.world.schedule.spawn(self.world.kubelet.delete(pod))


def deployment(
    world: World, namespace: str, name: str, containers: list[str], replicas: int
) -> Workload:
    """NAME-HASH-SUFFIX."""
    workload = Workload(world, namespace, name, containers)
    _start_replicas(workload, replicas)
    return workload


def stateful_set(
    world: World, namespace: str, name: str, containers: list[str], replicas: int
) -> Workload:
    """NAME-0, NAME-1 …"""
    workload = Workload(world, namespace, name, containers)
    for ordinal in range(replicas):
        workload.start(f"{name}-{ordinal}")
    return workload


def daemon_set(world: World, namespace: str, name: str, containers: list[str]) -> Workload:
    """NAME-SUFFIX; one pod, for there is one node."""
    workload = Workload(world, namespace, name, containers)
    workload.start(f"{name}-{world.names.suffix()}")
    return workload


def roll_out(workload: Workload) -> Program:
    """Replace a deployment's pods one by one by those of a new template."""
    old = list(workload.pods)
    template = workload.world.names.template_hash()
    for pod in old:
        workload.start(f"{workload.name}-{template}-{workload.world.names.suffix()}")
        yield ROLLOUT_STEP_S
        for container in workload.containers:
            pod.out(container, "received SIGTERM, shutting down")
        workload.stop(pod)


def _start_replicas(workload: Workload, replicas: int) -> None:
    names = workload.world.names
    template = names.template_hash()
    for _ in range(replicas):
        workload.start(f"{workload.name}-{template}-{names.suffix()}")
