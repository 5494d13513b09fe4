"""RawBatches and records in a form that tests can write and compare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kelp.model.lines import Lines
from kelp.model.raw import Instance, RawBatch
from tests.agent.assemble.reference import Record

OBSERVED_NS = 1_800_000_000_000_000_000


@dataclass
class Piece:
    """Bytes of one file, as the collector hands them on."""

    key: str
    position: int
    data: bytes
    cut_bytes: int = 0


def raw_batch(
    pieces: Sequence[Piece], observed_ns: int = OBSERVED_NS, gap: bytes = b""
) -> RawBatch:
    """The pieces one after the other in one buffer, with `gap` between them, which is no line."""
    data, starts, ends = b"", [], []
    for piece in pieces:
        data += gap
        starts.append(len(data))
        data += piece.data
        ends.append(len(data))
    return RawBatch(
        data=np.frombuffer(data + gap, np.uint8),
        starts=np.array(starts, np.int64),
        ends=np.array(ends, np.int64),
        positions=np.array([p.position for p in pieces], np.uint64),
        cut_bytes=np.array([p.cut_bytes for p in pieces], np.int64),
        instances=[Instance(p.key, {"pod": p.key}) for p in pieces],
        observed_ns=observed_ns,
    )


def records(lines: Lines | None) -> list[Record]:
    """Rows as objects."""
    if lines is None:
        return []
    return [
        Record(
            lines.instances[lines.instance[i]].key,
            int(lines.stream[i]),
            int(lines.timestamp[i]),
            int(lines.position[i]),
            lines.body[i].as_py(),
            dict(lines.marks.get(i, {})),
        )
        for i in range(len(lines))
    ]
