"""Severity words of many different layouts: the first thing in a line that looks like one.

RE2 finds the first place of a pattern many times faster than the place of a group in a long one. If
all before that place may stand before a severity, it is the word that `grammar.LEADING` finds: an
earlier one would have been found here as well. Otherwise (`[ERROR: in brackets] INFO …`) nothing
is said of the line.
"""

from __future__ import annotations

import numpy as np
import pyarrow.compute as pc

from kelp.base import swar
from kelp.base.gather import Places, slices, words
from kelp.base.severity import grammar, meaning
from kelp.base.severity.bodies import Bodies, Flags, flags
from kelp.base.severity.words import Answer, distinct, distinct_keys

_EQUALS, _QUOTE = ord("="), ord('"')


def settle_by_search(answer: Answer, bodies: Bodies) -> Flags:
    """Settle rows that match `grammar.LEADING`; (n,) which are settled."""
    found = pc.find_substring_regex(bodies.array, grammar.ANYWHERE)
    hit: Places = found.to_numpy(zero_copy_only=False).astype(np.int64)
    before = slices(bodies.start, hit, bodies.values)
    settled = flags(pc.match_substring_regex(before, grammar.BEFORE_LEADING)).copy()
    some = np.flatnonzero(settled)
    at = _behind_key(bodies, bodies.start[some] + hit[some], bodies.stop[some])
    window = words(bodies.values, at, 2)
    length = np.minimum(swar.first(swar.others(swar.letters(window))), bodies.stop[some] - at)
    settled[some] = answer.settle(bodies.rows[some], distinct_keys(window, length), meaning.word)
    return settled


def _behind_key(bodies: Bodies, at: Places, stop: Places) -> Places:
    """Where the word begins: at the place itself, or behind the key and the quote there."""
    size = swar.first(swar.equal(words(bodies.values, at, 2), _EQUALS))
    found = distinct(bodies.values, at, size)
    is_key = np.array([meaning.is_key(w) for w in found.words] + [False])[found.ids]
    value = np.minimum(at + size + 1, stop)
    last = len(bodies.values) - 1
    value = value + (bodies.values[np.minimum(value, last)] == _QUOTE)
    return np.where(is_key, np.minimum(value, stop), at)
