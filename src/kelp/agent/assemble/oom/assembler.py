"""Any source's assembler with the OOM joiner behind it: kmsg, the journal, plain files.

Both may keep what is unfinished; their checkpoints are told apart by their keys.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Generic, TypeVar

from kelp.agent.assemble.oom.facts import WhoIs
from kelp.agent.assemble.oom.joiner import OomJoiner, Source
from kelp.agent.assemble.oom.ledger import KillLedger
from kelp.agent.assemble.traces.assembler import Inner
from kelp.model.lines import Lines

_OOM = "oom:"

B = TypeVar("B")


class OomAssembler(Generic[B]):
    """For one thread."""

    def __init__(
        self,
        inner: Inner[B],
        source: Source,
        who_is: WhoIs,
        ledger: KillLedger,
        checkpoints: Mapping[str, bytes],
    ) -> None:
        self._inner = inner
        mine = {k.removeprefix(_OOM): v for k, v in checkpoints.items() if k.startswith(_OOM)}
        self._joiner = OomJoiner(source, who_is, ledger, mine)

    def assemble(self, raw: B, /) -> Lines:
        """The records that end in this batch."""
        return self._joiner.join(self._inner.assemble(raw))

    def expire(self, now_ns: int, /) -> Lines | None:
        """Records whose rest did not come in time; None where none."""
        inner = self._inner.expire(now_ns)
        # Late reports come with the next call then.
        return self._joiner.expire(now_ns) if inner is None else self._joiner.join(inner)

    def changes(self) -> dict[str, bytes | None]:
        """What to write (bytes) or delete (None) among the checkpoints since the last call."""
        mine = {_OOM + k: v for k, v in self._joiner.changes().items()}
        return self._inner.changes() | mine
