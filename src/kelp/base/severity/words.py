"""Words at known places of many rows, told by what they are, not row by row.

A batch has few different severities. So the words are taken as two 64-bit integers each, and one
different word after the other is looked up once and compared with all rows that are left.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kelp.base.gather import Bytes, Places, words
from kelp.base.severity.bodies import Flags
from kelp.base.severity.meaning import Lookup

MAX_WORD = 16
_ROUNDS = 32  # different words found by comparison; what is left after that is sorted


# _KEEP[n]: masks that keep the first n bytes of two words
_KEEP = np.array(
    [[(1 << 8 * min(n, 8)) - 1, (1 << 8 * max(0, n - 8)) - 1] for n in range(MAX_WORD + 1)],
    np.uint64,
)


def _itself(text: bytes) -> bytes:
    return text


@dataclass
class Answer:
    """The severities of a batch: a number a row, and a place in the list of different texts."""

    number: npt.NDArray[np.uint8]
    text: npt.NDArray[np.int32]
    texts: list[str] = field(default_factory=lambda: [""])

    @classmethod
    def empty(cls, rows: int) -> Answer:
        """No row has a severity yet."""
        return cls(np.zeros(rows, np.uint8), np.zeros(rows, np.int32))

    def settle(
        self,
        rows: Places,
        found: Distinct,
        lookup: Lookup,
        text_of: Callable[[bytes], bytes] = _itself,
    ) -> Flags:
        """Give each row the number of its word; (len(rows),) whether it has one.

        A word that `lookup` gives 0 for changes nothing; `text_of` is what is kept of the others.
        """
        numbers = np.array([lookup(w) for w in found.words] + [0], np.uint8)
        good = np.flatnonzero(numbers)
        code = np.zeros(len(numbers), np.int32)
        code[good] = np.arange(len(self.texts), len(self.texts) + len(good))
        self.texts += [text_of(found.words[i]).decode() for i in good]
        number = numbers[found.ids]
        settled: Flags = number > 0
        where = rows[settled]
        self.number[where], self.text[where] = number[settled], code[found.ids[settled]]
        return settled

    def arrays(self) -> tuple[pa.UInt8Array, pa.StringArray]:
        """As Arrow arrays."""
        return pa.array(self.number), pa.array(self.texts, pa.string()).take(pa.array(self.text))


@dataclass(frozen=True)
class Distinct:
    """ids[i] is the index in `words` of place i's word; -1 for one that is too long."""

    ids: Places
    words: list[bytes]


def distinct(data: Bytes, at: Places, length: Places) -> Distinct:
    """The words at these places; those not of 0 … MAX_WORD bytes are left out."""
    return distinct_keys(words(data, at, 2), length)


def distinct_keys(window: npt.NDArray[np.uint64], length: Places) -> Distinct:
    """The same for (n, 2) words that were read already."""
    keys = window & _KEEP[np.clip(length, 0, MAX_WORD)]
    low, high = np.ascontiguousarray(keys[:, 0]), np.ascontiguousarray(keys[:, 1])
    ids = np.full(len(keys), -1, np.int64)
    left = np.flatnonzero((length >= 0) & (length <= MAX_WORD))
    found: list[bytes] = []
    while len(left) and len(found) < _ROUNDS:
        # Zeros behind a word are no part of it, so its length must be the same as well.
        first = left[0]
        same = low[left] == low[first]
        same &= (high[left] == high[first]) & (length[left] == length[first])
        ids[left[same]] = len(found)
        found.append(keys[first].tobytes()[: length[first]])
        left = left[~same]
    if len(left):
        rest = np.column_stack((keys[left], length[left].view(np.uint64)))
        unique, inverse = np.unique(rest, axis=0, return_inverse=True)
        ids[left] = inverse.reshape(-1) + len(found)
        found += [row[:2].tobytes()[: int(row[2])] for row in unique]
    return Distinct(ids, found)
