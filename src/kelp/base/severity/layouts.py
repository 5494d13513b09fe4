"""Lines that are laid out like one of them up to their severity.

`2026-11-20 10:11:12,123 [main] INFO …` and the next line of that logger differ in digits and in
the word, not in where the word stands. The pattern of heads does not tell one digit from another;
so a line whose bytes before the word are those of another line, digits apart, is parsed alike up
to there. One line of each layout is parsed with the whole pattern, the others are compared with
it, eight bytes at a time, and only their word is looked at.
"""

from __future__ import annotations

import numpy as np

from kelp.base import swar
from kelp.base.gather import Places, Words, words
from kelp.base.severity import meaning
from kelp.base.severity.bodies import Bodies, Flags
from kelp.base.severity.head_word import HeadWord, find_word
from kelp.base.severity.words import MAX_WORD, Answer, distinct_keys

_HEAD_WORDS = 8  # a layout whose word begins behind 64 bytes is not compared

_MASK = np.array([(1 << 8 * n) - 1 for n in range(8)], np.uint64)


class Layouts:
    """Settles rows by the layouts of others; `left` are the indexes of those not settled."""

    def __init__(self, answer: Answer, bodies: Bodies) -> None:
        self._answer, self._bodies = answer, bodies
        self._heads: Words | None = None
        self.left: Places = np.arange(len(bodies))

    def settle_like(self, index: int) -> bool:
        """Settle all rows that are laid out as this one; whether it is settled itself."""
        at = int(np.searchsorted(self.left, index))
        if at == len(self.left) or self.left[at] != index:
            return True
        word = find_word(self._bodies.bytes_of(index))
        if not word.end or word.at >= 8 * _HEAD_WORDS:
            return False
        settled = self._settle(index, word)
        self.left = self.left[~settled]
        return bool(settled[at])

    def _settle(self, index: int, word: HeadWord) -> Flags:
        """(len(left),) the rows that are settled by the layout of this one."""
        bodies, same = self._bodies, self._same_head(index, word.at)
        some = np.flatnonzero(same)
        rows = self.left[some]
        at = bodies.start[rows] + word.at
        window = words(bodies.values, at, 2)
        found = distinct_keys(window, with_delimiter(window, bodies.stop[rows] - at))
        lookup = meaning.value_and_delimiter if word.is_value else meaning.word_and_delimiter
        same[some] = self._answer.settle(bodies.rows[rows], found, lookup, meaning.word_of)
        return same

    def _same_head(self, index: int, size: int) -> Flags:
        """(len(left),) the rows whose first `size` bytes are those of this one, digits apart."""
        if self._heads is None:
            heads = words(self._bodies.values, self._bodies.start, _HEAD_WORDS)
            self._heads = swar.same_digits(np.ascontiguousarray(heads.T))  # (words, rows)
        left = self.left
        same: Flags = self._bodies.stop[left] - self._bodies.start[left] > size
        whole, part = divmod(size, 8)
        for column in self._heads[:whole]:
            same &= column[left] == column[index]
        if part:
            column = self._heads[whole]
            same &= (column[left] ^ column[index]) & _MASK[part] == 0
        return same


def with_delimiter(window: Words, room: Places) -> Places:
    """How many bytes are a word and what must be seen behind it; too many where it is no word.

    That is one byte, or two where it is a colon or a quote; fewer where the line ends (`room`).
    """
    length = swar.first(swar.others(swar.letters(window)))
    behind = swar.equal(window, ord(":")) | swar.equal(window, ord('"'))
    two = swar.first(behind) == length
    size = np.where(length < MAX_WORD - 1, length + 1 + two, MAX_WORD + 1)
    return np.minimum(size, room)
