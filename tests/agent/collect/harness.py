"""What the tests of the collect stage share: a clock to turn, and the pipeline's part in it."""

from __future__ import annotations

import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from kelp.agent.collect import PodLogCollector
from kelp.base.settings import Agent
from kelp.model.loss import Loss, SourceFile

PAST_GRACES_S = 31.0


class TurnableClock:
    """Real time plus what was turned; file times are real, so the wall clock must be near them."""

    def __init__(self) -> None:
        self.turned = 0.0

    def now_ns(self) -> int:
        return time.time_ns() + int(self.turned * 1e9)

    def monotonic(self) -> float:
        return time.monotonic() + self.turned

    def sleep(self, seconds: float) -> None:
        self.turned += seconds


class Pipeline:
    """Takes from a collector and commits, as the agent's pipeline does, and can be killed.

    `kept` holds what was committed, by instance key; each piece is checked to stand where the last
    one ended, or where losses lead to. `story` has the same pieces with the losses between them, as
    their sizes.
    """

    def __init__(self, pods: Path, clock: TurnableClock | None = None, **settings: Any) -> None:
        self.clock = clock or TurnableClock()
        self.settings = Agent(pods_dir=str(pods), node="node-1", **settings)
        self.checkpoints: dict[str, bytes] = {}
        self.kept: dict[str, bytes] = defaultdict(bytes)
        self.losses: list[Loss] = []
        self.files: list[SourceFile] = []
        self.ends: dict[str, int] = defaultdict(int)
        self.after_cut: set[str] = set()  # a newline may stand between the cut bytes and the next
        self.gaps: dict[tuple[str, int], int] = {}
        self.story: dict[str, list[bytes | int]] = defaultdict(list)
        self.start()

    def start(self) -> None:
        self.collector = PodLogCollector(self.settings, self.clock, dict(self.checkpoints))
        self._fresh: dict[str, bytes] = defaultdict(bytes)
        self._pieces: list[tuple[str, int, bytes, int]] = []

    def take(self) -> int:
        """Poll until there is nothing more; how many bytes came."""
        taken = 0
        while size := self.take_one():
            taken += size
        return taken

    def take_one(self) -> int:
        """Poll once; how many bytes came."""
        batch = self.collector.poll()
        if batch is None:
            return 0
        rows = zip(
            batch.starts.tolist(), batch.ends.tolist(), batch.positions.tolist(),
            batch.cut_bytes.tolist(), batch.instances, strict=True,
        )  # fmt: skip
        for start, end, position, cut, instance in rows:
            data = batch.data[start:end].tobytes()
            self._fresh[instance.key] += data
            self._pieces.append((instance.key, position, data, cut))
        return len(batch.data)

    def settle(self) -> int:
        """Take, let all graces pass, and take again, so that what is finished is finished."""
        taken = self.take()
        quiet = 0
        while quiet < 3:
            self.clock.sleep(PAST_GRACES_S)
            more = self.take()
            taken += more
            quiet = 0 if more else quiet + 1
        return taken

    def commit(self) -> None:
        losses = self.collector.losses()
        self.files += self.collector.source_files()
        for key, state in self.collector.changes().items():
            if state is None:
                self.checkpoints.pop(key, None)
            else:
                self.checkpoints[key] = state
        self._check_positions(losses)
        self.losses += losses
        for key, data in self._fresh.items():
            self.kept[key] += data
        self._fresh.clear()
        self._pieces.clear()

    def _check_positions(self, losses: list[Loss]) -> None:
        gaps = self.gaps
        gaps |= {
            (key_of(loss), loss.position): loss.size_bytes for loss in losses if loss.size_bytes
        }
        for key, position, data, cut in self._pieces:
            end = self.ends[key]
            while end != position and gaps.get((key, end)):
                end += gaps[key, end]
            newline = 1 if key in self.after_cut and position == end + 1 else 0
            expected = end + newline
            assert position == expected, f"{key}: expected a piece at {end}; got one at {position}"
            self.ends[key] = position + len(data) + cut
            (self.after_cut.add if cut else self.after_cut.discard)(key)
        told = [(loss.position, 0, key_of(loss), loss.size_bytes) for loss in losses]
        told += [(position, 1, key, data) for key, position, data, _ in self._pieces]
        for _, _, key, part in sorted(told, key=lambda t: t[:2]):
            self.story[key].append(part)

    def kill(self) -> None:
        """The agent dies: what was not committed never was; a new one begins."""
        self.collector.close()
        self.start()

    def run_pieces(self) -> list[int]:
        """Settle; `cut_bytes` of the pieces since the last commit."""
        self.settle()
        return [cut for _, _, _, cut in self._pieces]

    def run(self) -> int:
        """Settle and commit."""
        taken = self.settle()
        self.commit()
        return taken

    def data(self, key: str | None = None) -> bytes:
        """What was committed of an instance; of the only one, where none is named."""
        if key is None:
            assert len(self.kept) <= 1, list(self.kept)
            return next(iter(self.kept.values()), b"")
        return self.kept[key]

    def lost_bytes(self) -> int:
        return sum(loss.size_bytes for loss in self.losses)


def key_of(loss: Loss) -> str:
    if "pod" not in loss.labels:
        return loss.labels["filename"]
    names = ("namespace", "pod", "pod_uid", "container", "restart")
    return "/".join(loss.labels[n] for n in names)
