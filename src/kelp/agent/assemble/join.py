"""Joining the fragments of a batch: `P … P F` of one stream of one instance is one record.

Lanes (an instance's stream) without a fragment are not looked at. In the others the rows are
sorted by lane, and every run `P … F` of more than one row, or that goes on from an earlier batch
or into a later one, is joined.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kelp.agent.assemble import metrics
from kelp.agent.assemble.draft import DOCKER, LANES, Draft
from kelp.agent.assemble.partials import Lane, Partials, Pending
from kelp.base.gather import Places
from kelp.model.raw import Instance, RawBatch


class _Lanes:
    """Numbers for the lanes of a batch: pieces of one instance share theirs."""

    def __init__(self, instances: Sequence[Instance]) -> None:
        self.instances: dict[str, Instance] = {}
        numbers: dict[str, int] = {}
        of_piece = np.empty(len(instances), np.int64)
        for piece, instance in enumerate(instances):
            of_piece[piece] = numbers.setdefault(instance.key, len(numbers)) * LANES
            self.instances.setdefault(instance.key, instance)
        self.of_piece = of_piece
        self.keys = list(numbers)

    def lane(self, number: int) -> Lane:
        return self.keys[number // LANES], number % LANES

    def __len__(self) -> int:
        return len(self.keys) * LANES


def join(draft: Draft, raw: RawBatch, partials: Partials) -> None:
    """Make one row of each record's fragments; what has no end yet goes into `partials`."""
    if not (partials or bool(draft.partial.any())):
        return
    lanes = _Lanes(raw.instances)
    number = lanes.of_piece[draft.spans.piece] + draft.lane
    wanted = np.zeros(len(lanes), np.bool_)
    wanted[number[draft.partial]] = True
    for i in range(len(lanes)):
        if lanes.lane(i) in partials:
            wanted[i] = True
    rows = np.flatnonzero(wanted[number])
    rows = rows[np.argsort(number[rows], kind="stable")]
    joined = 0
    for first, last in _runs(number[rows], draft.partial[rows], len(rows)):
        run = rows[first : last + 1]
        lane = lanes.lane(int(number[run[0]]))
        if len(run) > 1 or draft.partial[run[0]] or lane in partials:
            joined += _join_run(draft, raw, partials, lane, run)
    metrics.PARTIAL.labels("joined").inc(joined)


def _runs(number: Places, partial: np.ndarray, count: int) -> list[tuple[int, int]]:
    """(first, last) of each run of fragments, in rows sorted by lane."""
    if not count:
        return []
    ends = ~partial
    ends[:-1] |= number[1:] != number[:-1]
    ends[-1] = True
    last = np.flatnonzero(ends)
    first = np.concatenate(([0], last[:-1] + 1))
    return list(zip(first.tolist(), last.tolist(), strict=True))


def _join_run(draft: Draft, raw: RawBatch, partials: Partials, lane: Lane, run: Places) -> bool:
    """Join one run; whether its record is whole now."""
    pending = partials.get(lane)
    if pending is None:
        row = int(run[0])
        instance = raw.instances[int(draft.spans.piece[row])]
        stream = lane[1] % DOCKER
        pending = Pending(instance, stream, int(draft.timestamp[row]), int(draft.position[row]))
        partials.extend(lane, pending)
    before = pending.size
    for row in run.tolist():
        piece = int(draft.spans.piece[row])
        pending.add(draft.bytes_of(row), int(raw.cut_bytes[piece]), partials.limit)
        pending.marks |= draft.marks.pop(row, {})
    pending.touched_ns = raw.observed_ns
    partials.grown(lane, pending.size - before)
    last = int(run[-1])
    draft.dropped[run] = True
    if draft.partial[last]:
        return False
    partials.take(lane)
    draft.dropped[last] = False
    draft.timestamp[last], draft.position[last] = pending.timestamp, pending.position
    body, marks = pending.finish()
    draft.own[last] = body
    draft.mark(last, marks)
    return True
