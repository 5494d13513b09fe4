"""Severity words in the heads of plain lines, by `grammar.LEADING`.

RE2 answers quickly whether a line matches, and slowly where a group of it did. So the word's place
is asked of few lines only: those of known layouts are told by comparison (`layouts.py`), of the
others those that do not match go first, and most of the rest is found by a search (`search.py`).
"""

from __future__ import annotations

import numpy as np
import pyarrow.compute as pc

from kelp.base.gather import Places
from kelp.base.severity import grammar, meaning
from kelp.base.severity.bodies import Bodies, flags
from kelp.base.severity.extract import settle_by_pattern
from kelp.base.severity.head_word import GROUPS, find_word
from kelp.base.severity.layouts import Layouts
from kelp.base.severity.search import settle_by_search
from kelp.base.severity.words import Answer, distinct

_SAMPLES = 4
# Rows that are parsed one by one: for Arrow the pattern is compiled anew each time, 0.3 ms.
_FEW = 64
# A layout that fewer rows have is not worth its round of comparisons …
_WORTH = 16
# … and after so many such in a row no more are tried.
_POOR = 4


def settle_leading(answer: Answer, bodies: Bodies) -> None:
    """Settle the lines that have a severity in their head."""
    left = _by_samples(answer, bodies)
    if len(left) > _FEW:
        bodies = bodies.some(left)
        matching = flags(pc.match_substring_regex(bodies.array, grammar.LEADING))
        bodies = bodies.some(np.flatnonzero(matching))
        left = _by_layouts(answer, bodies)
    if len(left) > _FEW:
        left = left[~settle_by_search(answer, bodies.some(left))]
    if len(left) > _FEW:
        settle_by_pattern(answer, bodies.some(left), grammar.LEADING, GROUPS, meaning.word)
    elif len(left):
        _one_by_one(answer, bodies, left)


def _by_samples(answer: Answer, bodies: Bodies) -> Places:
    """Settle by the layouts of a few rows as long as that is worth it; the rows that are left."""
    layouts, before = Layouts(answer, bodies), len(bodies) + _FEW + 1
    while len(layouts.left) > _FEW and before - len(layouts.left) > _FEW:
        before = len(layouts.left)
        for index in layouts.left[:: -(-before // _SAMPLES)].tolist():
            layouts.settle_like(index)
    return layouts.left


def _by_layouts(answer: Answer, bodies: Bodies) -> Places:
    """Settle rows that are known to match, by the layout of the first that is left, and so on."""
    layouts, poor = Layouts(answer, bodies), 0
    aside: list[int] = []
    while len(layouts.left) > _WORTH and poor < _POOR:
        before, index = len(layouts.left), int(layouts.left[0])
        if not layouts.settle_like(index):
            aside.append(index)
            layouts.left = layouts.left[1:]
        poor = poor + 1 if before - len(layouts.left) < _WORTH else 0
    return np.concatenate((np.array(aside, np.int64), layouts.left))


def _one_by_one(answer: Answer, bodies: Bodies, left: Places) -> None:
    found = [find_word(bodies.bytes_of(index)) for index in left.tolist()]
    at, end = (np.array([getattr(w, name) for w in found]) for name in ("at", "end"))
    words = distinct(bodies.values, bodies.start[left] + at, end - at)
    answer.settle(bodies.rows[left], words, meaning.word)
