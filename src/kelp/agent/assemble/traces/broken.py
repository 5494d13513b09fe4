"""Lines of klog that may be broken: rows that follow one of its heads and look like no record.

Nothing in such a row tells what it belongs to; only the row before it, of the same lane, does. So
these are found by column: where a batch has klog's lines and nothing between them, as most have,
no row is looked at.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from kelp.agent.assemble.traces.evidence import Bodies
from kelp.base.gather import Places


def _heads() -> npt.NDArray[np.bool_]:
    """By the first two bytes: `I1`, `E0` …"""
    table = np.zeros((256, 256), np.bool_)
    for letter in b"IWEF":
        table[list(b"01"), letter] = True
    return table.reshape(-1)


def _records() -> npt.NDArray[np.bool_]:
    """By the first two bytes: what begins another program's record (a date, JSON, a priority)."""
    table = np.zeros((256, 256), np.bool_)
    table[:, list(b"0123456789{<")] = True
    return table.reshape(-1)


_IS_HEAD, _IS_RECORD = _heads(), _records()


def behind_klog(bodies: Bodies, lane: npt.NDArray[np.int64]) -> list[tuple[int, int]]:
    """(row, the row before it in its lane) where that one begins like klog's and this like none."""
    pairs = bodies.first_two
    is_head = _IS_HEAD[pairs]
    if not is_head.any() or is_head.all():
        return []
    of_klog = np.bincount(lane[is_head], minlength=int(lane.max()) + 1) > 0
    rows = np.flatnonzero(~is_head & ~_IS_RECORD[pairs] & of_klog[lane])
    if not len(rows):
        return []
    before = _before(rows, lane)
    good = before >= 0
    good[good] = is_head[before[good]]
    return list(zip(rows[good].tolist(), before[good].tolist(), strict=True))


def _before(rows: Places, lane: npt.NDArray[np.int64]) -> Places:
    """The row before each in its lane; -1 where there is none."""
    order = np.argsort(lane, kind="stable")
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    at = place[rows] - 1
    before = order[np.maximum(at, 0)]
    return np.where((at >= 0) & (lane[before] == lane[rows]), before, -1)
