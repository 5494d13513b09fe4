"""Heads of a fixed form: told by a few comparisons of words, without a pattern.

A shape is written as an example: 9 stands for any digit, a for any letter, ? for any byte, and
everything else for itself.
"""

from __future__ import annotations

import numpy as np

from kelp.base import swar
from kelp.base.gather import Bytes, Places, Words, words
from kelp.base.severity.bodies import Flags


def _words(example: bytes) -> Words:
    return np.frombuffer(example.ljust(-(-len(example) // 8) * 8, b"\0"), "<u8")


def _flags(example: bytes, sign: bytes) -> Words:
    return _words(bytes(0x80 if c in sign else 0 for c in example))


class Shape:
    """Compared with `len(shape)` bytes at once."""

    def __init__(self, example: bytes) -> None:
        self.length = len(example)
        self.words = -(-len(example) // 8)
        self._digits = _flags(example, b"9")
        self._letters = _flags(example, b"a")
        fixed = bytes(0 if c in b"9a?" else 0xFF for c in example)
        self._mask = _words(fixed)
        self._bytes = _words(example) & self._mask

    def match(self, head: Words) -> Flags:
        """(n,) whether rows of at least `self.words` words have the shape."""
        every = np.ones(len(head), np.bool_)
        for column in range(self.words):
            word = head[:, column]
            every &= (word & self._mask[column]) == self._bytes[column]
            for wanted, kind in ((self._digits, swar.digits), (self._letters, swar.letters)):
                if wanted[column]:
                    every &= (kind(word) & wanted[column]) == wanted[column]
        return every


# `I1120 00:00:00.470122 …`; the first byte says which severity.
KLOG = Shape(b"?9999 99:99:99.9")

_ACCESS_HEAD = 5  # words: an address, a name or two dashes, and the bracket
_ACCESS_TIME = Shape(b'[99/aaa/9999:99:99:99 ?9999] "')


def is_access_log(values: Bytes, start: Places, stop: Places) -> Flags:
    """Lines like `10.1.2.3 - - [20/Nov/2026:00:00:00 +0000] "GET …`, which have no severity.

    By `grammar.LEADING` a line that has one has a letter before its first quote, outside of the
    brackets of the time; here there is none. A parenthesis could hide the quote, so none may
    stand there either: the first of all these signs (letters and brackets come behind the colon
    in ASCII) is the bracket that the time begins with.
    """
    head = words(values, start, _ACCESS_HEAD)
    signs = swar.beyond(head, ord(":")) | swar.equal(head, ord("("))
    at = start + swar.first(signs)
    found: Flags = at + _ACCESS_TIME.length <= stop
    some = np.flatnonzero(found)
    found[some] = _ACCESS_TIME.match(words(values, at[some], _ACCESS_TIME.words))
    return found
