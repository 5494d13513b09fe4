"""Gathers LogBatches until they make a segment, and encodes them.

Small batches of one segment are joined to one record batch: a buffer is compressed by itself, so
fewer and longer buffers compress better and cost less to read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

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

# What a batch has to hold for its buffers to compress as well as longer ones.
_JOINED_BYTES = 2 << 20


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
        groups = list(_groups(_pieces(_joined(self._batches)))) or [[]] * bool(files or losses)
        streams = [s.labels for s in self._streams.values()]
        self._batches = []
        self._streams = {}
        payloads = []
        for i, batches in enumerate(groups):
            header = SegmentHeader(
                agent_id=self._agent_id,
                seq=first_seq + i,
                node=self._node,
                created_ns=now_ns,
                records=sum(b.num_rows for b in batches),
                body_bytes=sum(map(_body_bytes, batches)),
                streams=streams,
                files=files if i == 0 else [],
                losses=losses if i == 0 else [],
            )
            data = memoryview(encode_segment(Segment(header, batches)))
            payloads.append(Payload(data, header.records, now_ns))
        return payloads


def _joined(batches: list[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Neighbours that are small together as one batch; a copy that large ones are not worth."""
    run: list[pa.RecordBatch] = []
    size = 0
    for batch in batches:
        if run and size + _body_bytes(batch) > _JOINED_BYTES:
            yield run[0] if len(run) == 1 else pa.concat_batches(run)
            run, size = [], 0
        run.append(batch)
        size += _body_bytes(batch)
    if run:
        yield run[0] if len(run) == 1 else pa.concat_batches(run)


def _pieces(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """No piece has more than MAX_BODY_BYTES, unless it is one record."""
    for batch in batches:
        offsets = _body_offsets(batch)
        begin = 0
        while begin < batch.num_rows:
            limit = offsets[begin].astype(np.int64) + MAX_BODY_BYTES
            end = max(int(np.searchsorted(offsets, limit, side="right")) - 1, begin + 1)
            yield batch.slice(begin, end - begin)
            begin = end


def _groups(pieces: Iterable[pa.RecordBatch]) -> Iterator[list[pa.RecordBatch]]:
    """Pieces, in their order, that make a segment each."""
    group: list[pa.RecordBatch] = []
    size = 0
    for piece in pieces:
        if group and size + _body_bytes(piece) > MAX_BODY_BYTES:
            yield group
            group, size = [], 0
        group.append(piece)
        size += _body_bytes(piece)
    if group:
        yield group


def _body_bytes(batch: pa.RecordBatch) -> int:
    offsets = _body_offsets(batch)
    return int(offsets[-1] - offsets[0])


def _body_offsets(batch: pa.RecordBatch) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
    """(rows + 1,): where each body begins in the column's buffer, and where the last one ends."""
    body = batch.column("body")
    offsets = np.frombuffer(body.buffers()[1], np.int32)
    return offsets[body.offset : body.offset + len(body) + 1]
