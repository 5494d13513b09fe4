"""Records as the pipeline wants them: what a source's assembler makes, then traces by TraceJoiner.

Both keep what is unfinished under one name in the agent's checkpoints, told apart by their keys.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Generic, Protocol, TypeVar

from kelp.agent.assemble.assembler import CriAssembler
from kelp.agent.assemble.traces.joiner import TraceJoiner
from kelp.agent.assemble.traces.output import concat
from kelp.base.settings import Agent
from kelp.model.lines import Lines
from kelp.model.raw import RawBatch

# Before the keys of the joiner's checkpoints; no instance's key begins so.
_TRACE = "trace:"

B_contra = TypeVar("B_contra", contravariant=True)
B = TypeVar("B")


class Inner(Protocol[B_contra]):
    """An assembler; see kelp.agent.pipeline.Assembler."""

    def assemble(self, raw: B_contra, /) -> Lines:
        """Records that the batch completes."""

    def expire(self, now_ns: int, /) -> Lines | None:
        """Records that waited too long."""

    def changes(self) -> dict[str, bytes | None]:
        """Checkpoints that changed."""


class TraceAssembler(Generic[B]):
    """Any source's records, each with all its lines. For one thread."""

    def __init__(self, inner: Inner[B], agent: Agent, checkpoints: Mapping[str, bytes]) -> None:
        """Of `checkpoints` it takes its own; those of `inner` are left to whoever makes that."""
        traces = {k.removeprefix(_TRACE): v for k, v in checkpoints.items() if k.startswith(_TRACE)}
        self._inner = inner
        self._joiner = TraceJoiner(
            agent.max_record_bytes,
            agent.trace_timeout_s,
            traces,
            agent.multiline,
            agent.join_traces,
        )

    def assemble(self, raw: B, /) -> Lines:
        """The records that end in this batch."""
        return self._joiner.join(self._inner.assemble(raw))

    def expire(self, now_ns: int, /) -> Lines | None:
        """Records whose rest, or next line, did not come in time; None where none.

        Call it when all that is readable has been read: a rest that waits in a file is not late.
        """
        fragments = self._inner.expire(now_ns)
        joined = None if fragments is None else self._joiner.join(fragments)
        late = self._joiner.expire(now_ns)
        if joined is None:
            return late
        return joined if late is None else concat(joined, late)

    def changes(self) -> dict[str, bytes | None]:
        """What to write (bytes) or delete (None) among the checkpoints since the last call."""
        traces = {_TRACE + k: v for k, v in self._joiner.changes().items()}
        return self._inner.changes() | traces


class RecordAssembler(TraceAssembler[RawBatch]):
    """The records of containers' logs: fragments joined by CriAssembler, then traces."""

    def __init__(self, agent: Agent, checkpoints: Mapping[str, bytes]) -> None:
        partials = {k: v for k, v in checkpoints.items() if not k.startswith(_TRACE)}
        cri = CriAssembler(agent.max_record_bytes, agent.partial_timeout_s, partials)
        super().__init__(cri, agent, checkpoints)
