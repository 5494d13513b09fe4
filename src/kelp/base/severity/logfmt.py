"""The level of logfmt lines, `ts=… level=info msg="…"`.

The first `level=` of a line is found by its bytes alone. It is a key, and not part of a value, if
all before it is whole fields, which RE2 answers quickly. Lines where it is not so, or that have
another key, are parsed by a pattern with groups.

Format: https://brandur.org/logfmt
"""

from __future__ import annotations

import numpy as np
import pyarrow.compute as pc

from kelp.base.gather import slices, words
from kelp.base.severity import grammar, meaning
from kelp.base.severity.bodies import Bodies, Flags, flags
from kelp.base.severity.extract import settle_by_pattern
from kelp.base.severity.layouts import with_delimiter
from kelp.base.severity.words import Answer, distinct_keys

_NEEDLE = "level="


def settle_logfmt(answer: Answer, bodies: Bodies) -> None:
    """Settle lines that begin with a key."""
    hit = pc.find_substring(bodies.array, _NEEDLE).to_numpy(zero_copy_only=False)
    settled = np.zeros(len(bodies), np.bool_)
    some = np.flatnonzero(hit >= 0)
    if len(some):
        settled[some] = _first_hits(answer, bodies.some(some), hit[some].astype(np.int64))
    for pattern in (grammar.LOGFMT_LEVEL, grammar.LOGFMT_OTHER):
        rest = bodies.some(np.flatnonzero(~settled))
        if not len(rest):
            return
        mine = np.flatnonzero(flags(pc.match_substring_regex(rest.array, pattern)))
        if len(mine):
            left = np.flatnonzero(~settled)[mine]
            settled[left] = settle_by_pattern(
                answer, rest.some(mine), pattern, ("value",), meaning.word
            )


def _first_hits(answer: Answer, bodies: Bodies, hit: np.ndarray) -> Flags:
    """Settle by the first `level=` at `hit`; (n,) which are."""
    before = slices(bodies.start, hit, bodies.values)
    is_key = flags(pc.match_substring_regex(before, grammar.LOGFMT_FIELDS))
    some = np.flatnonzero(is_key)
    at = bodies.start[some] + hit[some] + len(_NEEDLE)
    at = np.minimum(
        at + (bodies.values[np.minimum(at, len(bodies.values) - 1)] == ord('"')), bodies.stop[some]
    )
    window = words(bodies.values, at, 2)
    size = with_delimiter(window, bodies.stop[some] - at)
    settled = np.zeros(len(bodies), np.bool_)
    settled[some] = answer.settle(
        bodies.rows[some], distinct_keys(window, size), meaning.value_and_delimiter, meaning.word_of
    )
    return settled
