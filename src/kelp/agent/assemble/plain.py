"""PlainAssembler: one record a line, whatever program wrote the file.

A line has the time that it begins with, or else the time at which it was read. It is kept whole,
its time included: what it means is for later stages.
"""

from __future__ import annotations

from datetime import tzinfo

import numpy as np

from kelp.agent.assemble.assembler import cut_long, line_positions, lines_of
from kelp.agent.assemble.cri import Heads
from kelp.agent.assemble.draft import Draft
from kelp.agent.assemble.linetime import line_times
from kelp.agent.assemble.split import split
from kelp.agent.assemble.wall import Wall
from kelp.model.lines import Lines
from kelp.model.raw import RawBatch


class PlainAssembler:
    """`zone` is that of times that name none; None is the machine's. Nothing is kept."""

    def __init__(self, max_record_bytes: int, zone: tzinfo | None) -> None:
        self._limit = max_record_bytes
        self._zone = zone

    def assemble(self, raw: RawBatch, /) -> Lines:
        """The lines of the batch, each a record."""
        spans = split(raw)
        count = len(spans.start)
        times, known = line_times(spans, Wall(self._zone, raw.observed_ns))
        heads = Heads(
            valid=np.ones(count, np.bool_),
            timestamp=np.where(known, times, raw.observed_ns),
            stream=np.zeros(count, np.uint8),
            partial=np.zeros(count, np.bool_),
            body=spans.start,
        )
        draft = Draft.of(spans, heads, line_positions(spans, raw))
        cut_long(draft, raw, self._limit)
        return lines_of(draft, raw)

    def expire(self, _now_ns: int) -> Lines | None:
        """Nothing waits."""
        return None

    def changes(self) -> dict[str, bytes | None]:
        """Nothing is kept."""
        return {}
