"""Joining the fragments of a batch: `P … P F` of one stream of one instance is one record.

Lanes (an instance's stream) without a fragment are not looked at. In the others the rows are
sorted by lane, and every run `P … F` of more than one row, or that goes on from an earlier batch
or into a later one, is joined.

A torn line (one of no format, as a runtime leaves it when it is killed, or a disk when it is full)
ends the records of its instance that are still open: nobody knows what was lost there, and a body
shall have no gap that does not show.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from kelp.agent.assemble import metrics
from kelp.agent.assemble.draft import DOCKER, LANES, Draft
from kelp.agent.assemble.partials import Lane, Partials, Pending
from kelp.base.gather import Places
from kelp.model.batch import ATTR_PARTIAL
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


class _Torn:
    """The torn lines of a batch, by the number of their instance."""

    def __init__(self, lanes: _Lanes, of_row: Places, rows: Places) -> None:
        self._span = len(of_row) + 1
        self._keys = np.sort(of_row[rows] * self._span + rows)
        self.instances: list[int] = np.unique(of_row[rows]).tolist()
        self._lanes = lanes

    def before(self, instance: Places, rows: Places) -> Places:
        """(n,) how many of the row's instance stand before it."""
        begin = np.searchsorted(self._keys, instance * self._span)
        count: Places = np.searchsorted(self._keys, instance * self._span + rows) - begin
        return count

    def take_untouched(self, touched: set[int], partials: Partials) -> list[Pending]:
        """The records of torn instances that nothing in this batch was added to."""
        lanes = {i + n for i in self.instances for n in range(LANES)} - touched
        found = [partials.take(self._lanes.lane(number)) for number in sorted(lanes)]
        return [p for p in found if p is not None]


def join(draft: Draft, raw: RawBatch, partials: Partials, torn_rows: Places) -> list[Pending]:
    """Make one row of each record's fragments; what has no end yet goes into `partials`.

    Gives those of earlier batches that a torn line has ended.
    """
    if not (partials or bool(draft.partial.any())):
        return []
    lanes = _Lanes(raw.instances)
    of_row = lanes.of_piece[draft.spans.piece]
    number = of_row + draft.lane
    wanted = np.zeros(len(lanes), np.bool_)
    wanted[number[draft.partial]] = True
    for i in range(len(lanes)):
        if lanes.lane(i) in partials:
            wanted[i] = True
    rows = np.flatnonzero(wanted[number])
    rows = rows[np.argsort(number[rows], kind="stable")]
    torn = _Torn(lanes, of_row, torn_rows)
    return _join_rows(_Joining(draft, raw, partials, lanes, torn), rows, number[rows])


class _Joining(NamedTuple):
    draft: Draft
    raw: RawBatch
    partials: Partials
    lanes: _Lanes
    torn: _Torn


def _join_rows(work: _Joining, rows: Places, number: Places) -> list[Pending]:
    draft, partials, torn = work.draft, work.partials, work.torn
    instance = number // LANES * LANES
    epoch = torn.before(instance, rows)
    later = torn.before(instance, np.full(len(rows), len(draft.partial))) - epoch
    ended: list[Pending] = []
    for first, last in _runs(number, epoch, draft.partial[rows]):
        run = rows[first : last + 1]
        lane = work.lanes.lane(int(number[first]))
        if epoch[first] and (open_before := partials.take(lane)) is not None:
            ended.append(open_before)
        if len(run) > 1 or draft.partial[run[0]] or lane in partials:
            _join_run(work, lane, run, torn=bool(later[last]))
    ended += torn.take_untouched(set(number.tolist()), partials)
    metrics.PARTIAL.labels("torn").inc(len(ended))
    return ended


def _runs(number: Places, epoch: Places, partial: np.ndarray) -> list[tuple[int, int]]:
    """(first, last) of each run of fragments, in rows sorted by lane."""
    if not len(number):
        return []
    ends = ~partial
    ends[:-1] |= (number[1:] != number[:-1]) | (epoch[1:] != epoch[:-1])
    ends[-1] = True
    last = np.flatnonzero(ends)
    first = np.concatenate(([0], last[:-1] + 1))
    return list(zip(first.tolist(), last.tolist(), strict=True))


def _join_run(work: _Joining, lane: Lane, run: Places, *, torn: bool) -> None:
    """Join one run; `torn`: a torn line follows, so that it has to end there."""
    draft, partials = work.draft, work.partials
    pending = partials.get(lane)
    if pending is None:
        row = int(run[0])
        instance = work.raw.instances[int(draft.spans.piece[row])]
        stream = lane[1] % DOCKER
        pending = Pending(instance, stream, int(draft.timestamp[row]), int(draft.position[row]))
        partials.extend(lane, pending)
    before = pending.size
    for row in run.tolist():
        piece = int(draft.spans.piece[row])
        pending.add(draft.bytes_of(row), int(work.raw.cut_bytes[piece]), partials.limit)
        pending.marks |= draft.marks.pop(row, {})
    pending.touched_ns = work.raw.observed_ns
    partials.grown(lane, pending.size - before)
    last = int(run[-1])
    draft.dropped[run] = True
    unfinished = bool(draft.partial[last])
    if unfinished and not torn:
        return
    partials.take(lane)
    draft.dropped[last] = False
    draft.timestamp[last], draft.position[last] = pending.timestamp, pending.position
    draft.own[last], marks = pending.finish()
    draft.mark(last, marks | ({ATTR_PARTIAL: "true"} if unfinished else {}))
    metrics.PARTIAL.labels("torn" if unfinished else "joined").inc()
