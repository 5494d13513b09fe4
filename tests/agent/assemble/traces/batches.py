"""Lines for the joiner, and what it makes of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from kelp.agent.assemble.traces import TraceJoiner
from kelp.base.settings import Multiline
from kelp.model.lines import STDERR, Lines
from kelp.model.raw import Instance

NOW_NS = 1_000_000_000_000
SECOND = 1_000_000_000


@dataclass(frozen=True)
class Line:
    """One record before joining."""

    body: bytes
    instance: str = "a"
    stream: int = STDERR
    marks: dict[str, str] = field(default_factory=dict)


def instance(key: str) -> Instance:
    return Instance(key, {"namespace": "n", "pod": f"{key}-pod", "container": key})


def batch(lines: Sequence[Line], first_position: int = 0, observed_ns: int = NOW_NS) -> Lines:
    """Positions count on line by line; a timestamp is the position times ten."""
    keys = list(dict.fromkeys(line.instance for line in lines))
    position = np.arange(first_position, first_position + len(lines))
    return Lines(
        instances=[instance(k) for k in keys],
        instance=np.array([keys.index(line.instance) for line in lines], np.int32),
        stream=np.array([line.stream for line in lines], np.uint8),
        timestamp=position * 10,
        position=position.astype(np.uint64),
        body=pa.array([line.body for line in lines], pa.binary()),
        marks={i: line.marks for i, line in enumerate(lines) if line.marks},
        observed_ns=observed_ns,
    )


Record = tuple[str, int, int, int, bytes]  # instance, stream, position, timestamp, body


def records(lines: Lines | None) -> list[Record]:
    if lines is None:
        return []
    keys = [lines.instances[i].key for i in lines.instance.tolist()]
    columns = (keys, lines.stream.tolist(), lines.position.tolist(), lines.timestamp.tolist())
    return list(zip(*columns, lines.body.to_pylist(), strict=True))


@dataclass
class Node:
    """A joiner with its checkpoints."""

    max_record_bytes: int = 1 << 20
    multiline: Sequence[Multiline] = ()
    detect: bool = True
    saved: dict[str, bytes] = field(default_factory=dict)
    position: int = 0

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        self.joiner = TraceJoiner(
            self.max_record_bytes, 1.0, self.saved, self.multiline, self.detect
        )

    def restart(self) -> None:
        """Commit, and begin anew with what was committed."""
        for key, value in self.joiner.changes().items():
            if value is None:
                del self.saved[key]
            else:
                self.saved[key] = value
        self.start()

    def read(self, lines: Sequence[Line]) -> list[Record]:
        made = self.joiner.join(batch(lines, self.position))
        self.position += len(lines)
        return records(made)

    def finish(self) -> list[Record]:
        """Long after the last line."""
        found = records(self.joiner.expire(NOW_NS))  # lanes out of a checkpoint wait from here on
        return found + records(self.joiner.expire(NOW_NS + SECOND))


def joined(bodies: Iterable[bytes], size: int = 10**9, restart: bool = False) -> list[bytes]:
    """The records of one stream that is read `size` lines at a time."""
    lines = [Line(body) for body in bodies]
    node = Node()
    found: list[Record] = []
    for begin in range(0, len(lines), size):
        found += node.read(lines[begin : begin + size])
        if restart:
            node.restart()
    return [record[-1] for record in found + node.finish()]
