"""The whole simulated node: its pods, their programs, and the kubelet beside them."""

from __future__ import annotations

import random
from pathlib import Path

from kelp.demo import cluster, trouble
from kelp.demo.kubelet import Kubelet
from kelp.demo.names import Names
from kelp.demo.schedule import Schedule
from kelp.demo.shop import Shop
from kelp.demo.workloads import World


class SimulatedNode:
    """A node whose pods write under `root`; some 80 lines a second.

    `start_ns` is the simulated time at which its pods start; nothing is written before `run_until`.
    The same seed and start give the same files.
    """

    def __init__(self, root: Path, start_ns: int, seed: int) -> None:
        schedule = Schedule(start_ns)
        source = random.Random(seed)
        names = Names(source)
        self.kubelet = Kubelet(root, schedule, names)
        self._schedule = schedule
        world = World(schedule, self.kubelet, names, source)
        shop = Shop(world)
        programs = [*shop.programs(), *trouble.programs(world, shop.web), *cluster.programs(world)]
        for program in [*programs, self.kubelet.monitor()]:
            schedule.spawn(program)

    def run_until(self, now_ns: int) -> None:
        """Let the node live up to that time; all that it wrote by then is in its files."""
        self._schedule.run_until(now_ns)
        self.kubelet.flush()

    def close(self) -> None:
        """End, with everything written."""
        self.kubelet.close()
