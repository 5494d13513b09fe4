"""From the bytes that a sender posted to records that the store can trust.

Nothing that the sender says of itself is believed: stream ids are computed anew from the labels,
for the tenant. (That the Arrow memory is sound was seen to by `kelp.wire.segment`.)
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kelp.model.stream import Stream
from kelp.server.ports import Received
from kelp.wire.segment import Segment, SegmentError

_MAX_SEQ = (1 << 63) - 1


def received(tenant: str, segment: Segment, agent_id: str | None = None) -> Received:
    """The segment as the tenant's; raises SegmentError where its content does not hold together.

    `agent_id` goes before the header's: empty for a push of another protocol, which has no number.
    """
    header = segment.header
    if header.seq > _MAX_SEQ:
        raise SegmentError(f"expected seq up to 2^63-1; got {header.seq}")
    sent = [Stream(labels) for labels in header.streams]
    owned = [stream.of_tenant(tenant) for stream in sent]
    ids = _Renaming(sent, owned)
    batches = [ids.apply(_checked(batch)) for batch in segment.batches if batch.num_rows]
    agent_id = header.agent_id if agent_id is None else agent_id
    seq = header.seq if agent_id else 0
    return Received(tenant, agent_id, seq, batches, owned, header.files, header.losses)


def memory_bytes(part: Received) -> int:
    """What its records take in memory."""
    return sum(batch.nbytes for batch in part.batches)


def _checked(batch: pa.RecordBatch) -> pa.RecordBatch:
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        if column.null_count:
            raise SegmentError(f"expected no nulls in {name}; got {column.null_count}")
    return batch


class _Renaming:
    """The ids that a sender used, and those that its tenant's streams have."""

    def __init__(self, sent: Sequence[Stream], owned: Sequence[Stream]) -> None:
        by_id = {a.id: b.id for a, b in zip(sent, owned, strict=True)}
        self._known = np.array(sorted(by_id), np.uint64)
        self._new = np.array([by_id[int(i)] for i in self._known], np.uint64)
        self._same = bool(np.array_equal(self._known, self._new))

    def apply(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        column = batch.column(0)
        used = pc.unique(column).to_numpy()
        unknown = used[~np.isin(used, self._known)]
        if len(unknown):
            raise SegmentError(
                f"expected records of the {len(self._known)} streams in the header; "
                f"got one of stream {unknown[0]}"
            )
        if self._same:
            return batch
        at = np.searchsorted(self._known, column.to_numpy())
        return batch.set_column(0, batch.schema.field(0), pa.array(self._new[at]))
