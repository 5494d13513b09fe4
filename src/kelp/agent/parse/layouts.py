"""Severity words in the heads of plain lines, by the few layouts that the heads have.

`2026-11-20 10:11:12,123 [main] INFO …` and the next line of that logger differ in digits and in
the word, not in where the word stands. The patterns of `grammar.py` do not tell one digit from
another; so a line whose bytes before the word are those of another line, digits apart, is parsed
alike up to there. One line of each layout is parsed with the whole pattern, the others are
compared with it, eight bytes at a time, and only their word is looked at.

Lines of no known layout are first sorted out by whether the pattern matches at all, which RE2
answers quickly; only what is left then is parsed one by one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow.compute as pc
import re2

from kelp.agent.parse import grammar, meaning
from kelp.agent.parse.bodies import Bodies, Flags, flags
from kelp.agent.parse.extract import settle_by_pattern
from kelp.agent.parse.words import MAX_WORD, Answer, distinct_keys
from kelp.base import swar
from kelp.base.gather import Places, Words, words

_HEAD_WORDS = 8  # a word that begins behind 64 bytes is found the slow way
_SAMPLES = 4
# A layout that fewer rows have is not worth its round of comparisons.
_WORTH = 16
_MAX_LAYOUTS = 64

_MASK = np.array([(1 << 8 * n) - 1 for n in range(8)], np.uint64)


def _latin1() -> re2.Options:
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1  # bytes, as Arrow takes binary columns
    return options


_LEADING = re2.compile(grammar.LEADING.encode(), _latin1())
_GROUPS = {name.decode(): index for name, index in _LEADING.groupindex.items()}


@dataclass(frozen=True)
class _Layout:
    head: Words  # the first words of the line, every digit 0
    at: int  # where the severity begins
    is_value: bool  # of `level=`; then other delimiters hold


def settle_leading(answer: Answer, bodies: Bodies) -> None:
    """Settle the lines that have a severity in their head."""
    left = _by_samples(answer, bodies)
    if not len(left):
        return
    rest = bodies.some(left)
    matching = rest.some(np.flatnonzero(flags(pc.match_substring_regex(rest.array, _PATTERN))))
    left = _by_layouts(answer, matching)
    if len(left):
        settle_by_pattern(answer, matching.some(left), _PATTERN, _NAMES, meaning.word)


_PATTERN = grammar.LEADING
_NAMES = ("caps", "any", "weak", "value")


def _by_samples(answer: Answer, bodies: Bodies) -> Places:
    """Settle by the layouts of a few rows as long as that is worth it; the rows that are left."""
    left = np.arange(len(bodies))
    heads: Words | None = None
    while len(left) > _SAMPLES * _WORTH:
        before = len(left)
        for index in left[:: -(-len(left) // _SAMPLES)].tolist():
            layout = _layout(bodies, index)
            if layout is not None and index in left:
                if heads is None:
                    heads = _heads(bodies)
                left = left[~_settle(answer, bodies, heads, left, layout)]
        if before - len(left) < _SAMPLES * _WORTH:
            break
    return left


def _by_layouts(answer: Answer, bodies: Bodies) -> Places:
    """Settle rows that are known to match, by the layout of the first that is left, and so on."""
    left, heads, poor = np.arange(len(bodies)), None, 0
    for _ in range(_MAX_LAYOUTS):
        if len(left) < _WORTH or poor > 3:
            break
        heads = _heads(bodies) if heads is None else heads
        layout = _layout(bodies, int(left[0]))
        if layout is None:
            break
        settled = _settle(answer, bodies, heads, left, layout)
        poor += int(settled.sum()) < _WORTH
        left = left[~settled]
        if not settled.any():
            break
    return left


def _layout(bodies: Bodies, index: int) -> _Layout | None:
    """The layout of one row; None where its head has no severity, or none near enough."""
    match = _LEADING.match(bodies.bytes_of(index))
    if match is None:
        return None
    at, is_value = next(
        (match.start(_GROUPS[n]), n == "value") for n in _NAMES if match.start(_GROUPS[n]) >= 0
    )
    if at >= 8 * _HEAD_WORDS:
        return None
    place = bodies.start[index : index + 1]
    return _Layout(swar.same_digits(words(bodies.values, place, _HEAD_WORDS))[0], at, is_value)


def _heads(bodies: Bodies) -> Words:
    """(words, rows): a column of `_Layout.head` of every row lies in one piece."""
    heads = words(bodies.values, bodies.start, _HEAD_WORDS)
    return swar.same_digits(np.ascontiguousarray(heads.T))


def _settle(answer: Answer, bodies: Bodies, heads: Words, left: Places, layout: _Layout) -> Flags:
    """Settle the rows of this layout; (len(left),) which are."""
    same = bodies.stop[left] - bodies.start[left] > layout.at
    whole, part = divmod(layout.at, 8)
    for column in range(whole):
        same &= heads[column][left] == layout.head[column]
    if part:
        same &= (heads[whole][left] ^ layout.head[whole]) & _MASK[part] == 0
    some = np.flatnonzero(same)
    rows = left[some]
    at = bodies.start[rows] + layout.at
    window = words(bodies.values, at, 2)
    size = _with_delimiter(window, bodies.stop[rows] - at)
    lookup = meaning.value_and_delimiter if layout.is_value else meaning.word_and_delimiter
    same[some] = answer.settle(
        bodies.rows[rows], distinct_keys(window, size), lookup, meaning.word_of
    )
    return same


def _with_delimiter(window: Words, room: Places) -> Places:
    """Bytes of each word and of what must be seen behind it; too many where it is no word."""
    length = swar.first(swar.others(swar.letters(window)))
    behind = swar.equal(window, ord(":")) | swar.equal(window, ord('"'))
    two = swar.first(behind) == length
    size = np.where(length < MAX_WORD - 1, length + 1 + two, MAX_WORD + 1)
    return np.minimum(size, room)
