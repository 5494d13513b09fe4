"""Gathers LogBatches until they make a segment, and encodes them.

Small batches of one segment are joined to one record batch: a buffer is compressed by itself, so
fewer and longer buffers compress better and cost less to read.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from kelp.agent.spool import Payload
from kelp.model.batch import LogBatch
from kelp.model.loss import Loss, SourceFile
from kelp.model.stream import Stream
from kelp.wire.segment import Segment, SegmentHeader, encode_segment

# A server refuses requests of more than server.max_request_bytes (64 MiB). What is read at once may
# complete many long records, so a segment is divided here, incompressible bodies allowed for.
MAX_BODY_BYTES = 32 << 20


class Segmenter:
    """The segment that is being filled."""

    def __init__(self, agent_id: str, node: str) -> None:
        self._agent_id = agent_id
        self._node = node
        self._batches: list[pa.RecordBatch] = []
        self._streams: dict[int, Stream] = {}

    def add(self, batch: LogBatch) -> None:
        """Put records at the segment's end."""
        if batch.records.num_rows:
            self._batches.append(batch.records)
            self._streams.update(batch.streams)

    def close(
        self, first_seq: int, now_ns: int, files: list[SourceFile], losses: list[Loss]
    ) -> list[Payload]:
        """Encode what was gathered, and begin anew: one segment, none, or several if it is large.

        Files and losses travel in the first; with them a segment may be without records.
        """
        encoded = []
        for i, records in enumerate(self._divided(bool(files or losses))):
            header = SegmentHeader(
                agent_id=self._agent_id,
                seq=first_seq + i,
                node=self._node,
                created_ns=now_ns,
                records=records.num_rows if records else 0,
                body_bytes=_body_bytes(records) if records else 0,
                streams=[s.labels for s in self._streams.values()],
                files=files if i == 0 else [],
                losses=losses if i == 0 else [],
            )
            data = encode_segment(Segment(header, [records] if records else []))
            encoded.append(Payload(memoryview(data), header.records, now_ns))
        self._batches = []
        self._streams = {}
        return encoded

    def _divided(self, needed: bool) -> Iterator[pa.RecordBatch | None]:
        if not self._batches:
            if needed:
                yield None
            return
        whole = pa.concat_batches(self._batches) if len(self._batches) > 1 else self._batches[0]
        self._batches = []
        yield from _pieces(whole)


def _pieces(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    offsets = _body_offsets(batch)
    begin = 0
    while begin < batch.num_rows:
        end = int(np.searchsorted(offsets, offsets[begin] + MAX_BODY_BYTES, side="right")) - 1
        end = max(end, begin + 1)
        yield batch.slice(begin, end - begin)
        begin = end


def _body_bytes(batch: pa.RecordBatch) -> int:
    offsets = _body_offsets(batch)
    return int(offsets[-1] - offsets[0])


def _body_offsets(batch: pa.RecordBatch) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
    """(rows + 1,): where each body begins in the column's buffer, and where the last one ends."""
    body = batch.column("body")
    offsets = np.frombuffer(body.buffers()[1], np.int32)
    return offsets[body.offset : body.offset + len(body) + 1]
