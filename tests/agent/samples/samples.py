"""Where the samples of other projects lie, and how their lines go through the agent's assembler."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kelp.agent.assemble.traces.assembler import RecordAssembler
from kelp.base.settings import Agent, Multiline
from tests.agent.assemble.batches import OBSERVED_NS, Piece, raw_batch, records
from tests.agent.assemble.reference import Record

DATA = Path(__file__).parents[3].parent / "shared" / "data"

AFTER_ALL_NS = OBSERVED_NS + 3600 * 10**9


def assembled(lines: Sequence[bytes], multiline: Sequence[Multiline] = ()) -> list[Record]:
    """The records of a container's file of these lines, in the order of their ends."""
    assembler = RecordAssembler(Agent(multiline=list(multiline)), {})
    data = b"".join(line + b"\n" for line in lines)
    found = records(assembler.assemble(raw_batch([Piece("i", 0, data)])))
    # The first call begins the waiting of what a fragment's end has made.
    for now_ns in (AFTER_ALL_NS, 2 * AFTER_ALL_NS):
        found += records(assembler.expire(now_ns))
    return found
