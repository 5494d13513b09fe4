"""Words found by a pattern with groups: right for every row, and some microseconds each.

RE2 needs its slow engines to say where a group matched. The quick ways leave few rows for this.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow.compute as pc

from kelp.base.severity.bodies import Bodies, Flags, flags
from kelp.base.severity.meaning import Lookup
from kelp.base.severity.words import Answer, distinct


def settle_by_pattern(
    answer: Answer, bodies: Bodies, pattern: str, names: Sequence[str], lookup: Lookup
) -> Flags:
    """Settle the rows by the one of the groups that matched; (n,) which are settled."""
    found = pc.extract_regex_span(bodies.array, pattern)
    matched = flags(found.is_valid())
    at, length = np.zeros(len(bodies), np.int64), np.zeros(len(bodies), np.int64)
    for name in names:
        group = found.field(name)
        spans = group.values.to_numpy(zero_copy_only=False).reshape(-1, 2)
        there = matched & flags(group.is_valid())
        at[there], length[there] = spans[there, 0], spans[there, 1]
    some = np.flatnonzero(length > 0)
    words = distinct(bodies.values, bodies.start[some] + at[some], length[some])
    settled = np.zeros(len(bodies), np.bool_)
    settled[some] = answer.settle(bodies.rows[some], words, lookup)
    return settled
