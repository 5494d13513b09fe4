"""Heads of a fixed form: told by a few comparisons of words, without a pattern.

A shape is written as an example: 9 stands for any digit, a for any letter, ? for any byte, and
everything else for itself.
"""

from __future__ import annotations

import numpy as np

from kelp.base import swar
from kelp.base.gather import Words
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
