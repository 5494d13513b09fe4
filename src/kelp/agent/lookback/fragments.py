"""Bytes of a log file to fragments, by the parsers of the stage `assemble`."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from kelp.agent.assemble.assembler import line_positions
from kelp.agent.assemble.cri import no_heads, parse_heads
from kelp.agent.assemble.draft import DOCKER, Draft
from kelp.agent.assemble.foreign import read_foreign
from kelp.agent.assemble.split import split
from kelp.agent.assemble.timestamp import parse_texts
from kelp.agent.lookback.content import Piece
from kelp.model.fragments import Fragments
from kelp.model.raw import Instance, RawBatch

_NOBODY = Instance("", {})


def fragments_of(piece: Piece, base: int, *, container: bool) -> Fragments:
    """The lines of a piece of the file whose first byte has the position `base`.

    `container` False: a plain file, in which a line is all body.
    """
    raw = _raw(piece, base)
    spans = split(raw)
    position = line_positions(spans, raw)
    if container:
        heads = parse_heads(spans)
        draft = Draft.of(spans, heads, position)
        timed = heads.valid.copy()
        _read_foreign(draft, np.flatnonzero(~heads.valid), timed)
    else:
        draft = Draft.of(spans, no_heads(spans), position)
        timed = np.zeros(len(position), np.bool_)
    end = position + (spans.stop - spans.start).view(np.uint64) + np.uint64(1)
    if len(end):
        end[-1] = base + piece.end
    return Fragments(
        position=position,
        end=end,
        timestamp=draft.timestamp,
        timed=timed,
        lane=draft.lane,
        partial=draft.partial,
        body=draft.bodies(np.arange(len(position))),
        missing={len(position) - 1: piece.missing} if piece.missing else {},
    )


def _raw(piece: Piece, base: int) -> RawBatch:
    return RawBatch(
        data=np.frombuffer(piece.data, np.uint8),
        starts=np.zeros(1, np.int64),
        ends=np.array([len(piece.data)], np.int64),
        positions=np.array([base + piece.offset], np.uint64),
        cut_bytes=np.array([piece.missing], np.int64),
        instances=[_NOBODY],
        observed_ns=0,
    )


def _read_foreign(draft: Draft, rows: npt.NDArray[np.int64], timed: npt.NDArray[np.bool_]) -> None:
    """Fill in the few lines that are no ordinary CRI."""
    spans = draft.spans
    found = [read_foreign(spans.data[spans.start[r] : spans.stop[r]].tobytes()) for r in rows]
    if not found:
        return
    draft.timestamp[rows], timed[rows] = parse_texts([f.time for f in found])
    for row, line in zip(rows.tolist(), found, strict=True):
        draft.lane[row] = line.stream + (DOCKER if line.format == "docker" else 0)
        draft.partial[row] = line.partial
        draft.own[row] = line.body
