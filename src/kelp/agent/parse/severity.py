"""The severity of every record of a batch, from its body.

Rows are told apart by their first byte, and each kind goes its own way on all its rows at once:
JSON (`json_level.py`), klog's head (fixed places), and the patterns of `grammar.py`, which RE2
runs inside of Arrow. docs/reference/severity.md has the rules in words.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from kelp.agent.parse import grammar, meaning
from kelp.agent.parse.json_level import settle_json
from kelp.agent.parse.words import Answer
from kelp.base.gather import Places, Words, words

_KLOG_LENGTH = 16  # of `I1120 00:00:00.4`

Flags = npt.NDArray[np.bool_]


def detect_severity(body: pa.BinaryArray) -> tuple[pa.UInt8Array, pa.StringArray]:
    """(n,) numbers as in `kelp.model.severity`, 0 for none; (n,) texts as they stood."""
    answer = Answer.empty(len(body))
    if len(body):
        _Batch(body, answer).settle()
    return answer.arrays()


class _Batch:
    """One call: the bodies, where they lie, and what is known so far."""

    def __init__(self, body: pa.BinaryArray, answer: Answer) -> None:
        offsets = np.frombuffer(body.buffers()[1], np.int32)[body.offset :][: len(body) + 1]
        data = body.buffers()[2]
        self.body, self.answer = body, answer
        self.start = offsets[:-1].astype(np.int64)
        self.length = np.diff(offsets).astype(np.int64)
        self.values = np.frombuffer(data, np.uint8) if data is not None else np.empty(0, np.uint8)

    def settle(self) -> None:
        head = words(self.values, self.start, 2)
        first = np.where(self.length > 0, head[:, 0].astype(np.uint8), np.uint8(0))
        kind = _KIND_OF_BYTE[first]
        self._json(np.flatnonzero(kind == _JSON), np.flatnonzero(kind == _BLANK))
        klog = np.flatnonzero(kind == _KLOG)
        is_klog = _is_klog(head[klog], self.length[klog])
        self._klog(klog[is_klog])
        others = (kind == _TEXT) | (kind == _BLANK)
        others[klog[~is_klog]] = True
        self._text(np.flatnonzero(others & (self.answer.number == 0)))

    def _json(self, rows: Places, blank: Places) -> None:
        """Lines that begin with a brace; before it blanks, which is rare."""
        if len(blank):
            indented = pc.match_substring_regex(self._of(blank), r"^[ \t]+\{")
            rows = np.sort(np.concatenate((rows, blank[_flags(indented)])))
        if len(rows):
            settle_json(self.answer, rows, self._of(rows))

    def _klog(self, rows: Places) -> None:
        one = np.ones(len(rows), np.int64)
        self.answer.settle(rows, self.values, self.start[rows], one, meaning.klog)

    def _text(self, rows: Places) -> None:
        """Each pattern takes its rows from those behind it, even where they have no level."""
        for begin, pattern, names, lookup in _PATTERNS:
            if not len(rows):
                return
            lines = self._of(rows)
            mine = _flags(pc.match_substring_regex(lines, begin))
            if mine.any():
                some = np.flatnonzero(mine)
                self._extract(rows[some], lines.take(pa.array(some)), pattern, names, lookup)
                rows = rows[~mine]

    def _extract(
        self,
        rows: Places,
        lines: pa.BinaryArray,
        pattern: str,
        names: Sequence[str],
        lookup: Callable[[bytes], int],
    ) -> None:
        found = pc.extract_regex_span(lines, pattern)
        matched = _flags(found.is_valid())
        at, length = np.zeros(len(rows), np.int64), np.full(len(rows), -1, np.int64)
        for name in names:
            group = found.field(name)
            spans = group.flatten() if group.null_count == 0 else group.fill_null([0, 0]).flatten()
            pairs = spans.to_numpy(zero_copy_only=False).reshape(-1, 2)
            there = matched & (pairs[:, 1] > 0)
            at[there], length[there] = pairs[there, 0], pairs[there, 1]
        some = np.flatnonzero(length > 0)
        self.answer.settle(
            rows[some], self.values, self.start[rows[some]] + at[some], length[some], lookup
        )

    def _of(self, rows: Places) -> pa.BinaryArray:
        return self.body if len(rows) == len(self.body) else self.body.take(pa.array(rows))


# (what tells the rows, what finds the word, its groups, what the word means)
_PATTERNS: tuple[tuple[str, str, tuple[str, ...], Callable[[bytes], int]], ...] = (
    (grammar.SYSLOG, grammar.SYSLOG, ("priority",), meaning.priority),
    (grammar.REDIS, grammar.REDIS, ("sign",), meaning.redis),
    (grammar.LOGFMT, grammar.LOGFMT_LEVEL, ("any",), meaning.word),
    (grammar.LEADING, grammar.LEADING, ("caps", "any", "weak", "value"), meaning.word),
)

_NOTHING, _JSON, _KLOG, _BLANK, _TEXT = range(5)


def _kinds() -> npt.NDArray[np.uint8]:
    """What a line may be by its first byte; other bytes begin no line that has a severity."""
    kinds = np.zeros(256, np.uint8)
    letters = range(ord("A"), ord("Z") + 1)
    kinds[[*letters, *(c + 32 for c in letters), *b"0123456789_@[(<-|:*#>"]] = _TEXT
    kinds[list(b" \t\x1b")] = _BLANK
    kinds[list(b"IWEF")] = _KLOG
    kinds[ord("{")] = _JSON
    return kinds


_KIND_OF_BYTE = _kinds()

_KLOG_SHAPE = b".9999 99:99:99.9"  # 9: a digit, the first byte anything
_SHAPE = np.frombuffer(_KLOG_SHAPE, np.uint8)
_DIGIT_BYTES = np.where(ord("9") == _SHAPE, 0xFF, 0).astype(np.uint8).view("<u8")
_FIXED_BYTES = np.where(np.isin(_SHAPE, list(b" :")) | (np.arange(16) == 14), 0xFF, 0)
_FIXED_BYTES = _FIXED_BYTES.astype(np.uint8).view("<u8")
_FIXED = _SHAPE.view("<u8") & _FIXED_BYTES
_HIGH, _ZERO, _SIX = (np.uint64(b * 0x0101010101010101) for b in (0xF0, 0x30, 0x06))


def _is_klog(head: Words, length: Places) -> Flags:
    """Rows whose first 16 bytes have klog's shape; their first byte is known to be IWEF."""
    digits = head & _DIGIT_BYTES
    shape = ((head & _FIXED_BYTES) == _FIXED) & ((digits & _HIGH) == (_ZERO & _DIGIT_BYTES))
    shape &= ((digits + (_SIX & _DIGIT_BYTES)) & _HIGH) == (_ZERO & _DIGIT_BYTES)
    flags: Flags = shape.all(axis=1) & (length >= _KLOG_LENGTH)
    return flags


def _flags(array: pa.BooleanArray) -> Flags:
    flags: Flags = array.to_numpy(zero_copy_only=False)
    return flags
