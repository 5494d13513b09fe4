"""A node's containers that write and rotate without pause, and know what they wrote.

    python -m tests.crash.writer PODS_DIR LINES_PER_SECOND NODE_DIR

Three pods, each with another manner of rotation: `renamed` as the kubelet does it (rename, reopen,
gzip one rotation later, delete the oldest), `copied` by copytruncate, `restarted` by a new instance
(1.log, 2.log …) after a crash. Between a copy and its truncation nothing is written: what were
written there would be lost by the rotation itself, whoever reads. NODE_DIR gets what the node
itself writes, see `node_writer`.

Each body is `INSTANCE NUMBER FILLER`, the numbers of an instance counting from 0; some are written
in fragments. When standard input ends, the writer stops, and prints how many records each instance
has: {"renamed/0": 12345, …}.
"""

from __future__ import annotations

import json
import random
import select
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.crash.node_writer import KEPT_S, NodeWriter
from tests.kubelet import ContainerLog

TICK_S = 0.05
STAY_S = 120.0  # until somebody kills it


@dataclass
class Container:
    """One container, its log, and the count of each of its instances."""

    name: str
    log: ContainerLog
    rng: random.Random
    counts: dict[str, int] = field(default_factory=dict)
    rotations: int = 0

    @property
    def instance(self) -> str:
        return f"{self.name}/{self.log.restart}"

    def write(self, lines: int) -> None:
        first = self.counts.get(self.instance, 0)
        self.log.write(b"".join(self._record(first + i) for i in range(lines)))
        self.log.written.clear()
        self.counts[self.instance] = first + lines

    def _record(self, number: int) -> bytes:
        filler = self.rng.randbytes(self.rng.randint(10, 60)).hex()
        body = f"{self.instance} {number} {filler}"
        stream = self.rng.choice(("stdout", "stdout", "stderr"))
        pieces = self.rng.choice((1,) * 30 + (2, 3))
        step = -(-len(body) // pieces)
        parts = [body[i : i + step] for i in range(0, len(body), step)]
        tags = ["P"] * (len(parts) - 1) + ["F"]
        return b"".join(
            f"{now_stamp()} {stream} {tag} {part}\n".encode()
            for tag, part in zip(tags, parts, strict=True)
        )

    def rotate(self) -> None:
        self.rotations += 1
        stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
        if self.name == "renamed":
            for plain in [p for p in self.log.rotated() if p.suffix != ".gz"]:
                self.log.compress(plain)
            self.delete_old()
            self.log.rotate(stamp)
        elif self.name == "copied":
            self.delete_old()
            self.log.copytruncate(f"{self.log.live.name}.{stamp}")
        else:
            self.log = self.log.after_crash()

    def delete_old(self) -> None:
        rotated = self.log.rotated()
        if len(rotated) > 4 and time.time() - rotated[0].stat().st_mtime > KEPT_S:
            self.log.delete_oldest()


def now_stamp() -> str:
    ns = time.time_ns()
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(ns // 10**9))
    return f"{whole}.{ns % 10**9:09d}Z"


def main(pods: str, lines_per_s: str, node_dir: str) -> None:
    rng = random.Random(7)
    node = NodeWriter(Path(node_dir), random.Random(8))
    containers = [
        Container(name, ContainerLog(Path(pods) / f"shop_{name}_{n:08x}-uid" / "app"), rng)
        for n, name in enumerate(("renamed", "copied", "restarted"))
    ]
    per_tick = int(lines_per_s) * TICK_S / len(containers)
    start, tick = time.monotonic(), 0
    next_rotation = dict.fromkeys((c.name for c in containers), 2.0)
    while not select.select([sys.stdin], [], [], 0)[0]:
        elapsed = time.monotonic() - start
        for container in containers:
            container.write(int(per_tick * rng.uniform(0.5, 1.5)))
            if elapsed > next_rotation[container.name]:
                container.rotate()
                # More than a second apart, or two rotated files would want one name.
                next_rotation[container.name] = elapsed + rng.uniform(1.5, 3.5)
        node.tick()
        tick += 1
        time.sleep(max(0.0, start + tick * TICK_S - time.monotonic()))
    counts = {i: n for c in containers for i, n in c.counts.items()}
    rotations = {c.name: c.rotations for c in containers} | {"syslog": node.rotations}
    node.close()
    print(json.dumps({"counts": counts | node.counts, "rotations": rotations}), flush=True)
    # The kernel's log goes on being there for whoever has not read it yet.
    time.sleep(STAY_S)


if __name__ == "__main__":
    main(*sys.argv[1:])
