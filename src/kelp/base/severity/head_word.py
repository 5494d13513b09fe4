"""The severity word in the head of one line; some microseconds each."""

from __future__ import annotations

from typing import NamedTuple

import re2

from kelp.base.severity import grammar

GROUPS = ("caps", "any", "weak", "value")


class HeadWord(NamedTuple):
    """line[at:end]; nothing where both are 0. `is_value`: it stands behind `level=`."""

    at: int
    end: int
    is_value: bool


_NONE = HeadWord(0, 0, False)


def _latin1() -> re2.Options:
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1  # bytes, as Arrow takes binary columns
    return options


_LEADING = re2.compile(grammar.LEADING.encode(), _latin1())
_NUMBERS = {name: _LEADING.groupindex[name.encode()] for name in GROUPS}


def find_word(line: bytes) -> HeadWord:
    """The word that `grammar.LEADING` finds."""
    match = _LEADING.match(line)
    if match is None:
        return _NONE
    name = next(n for n in GROUPS if match.start(_NUMBERS[n]) >= 0)
    at, end = match.span(_NUMBERS[name])
    return HeadWord(at, end, name == "value")
