"""The severity of every record of a batch, from its body.

Rows are told apart by their first byte, and each kind goes its own way, all its rows at once.
docs/reference/severity.md has the rules in words.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from kelp.base import swar
from kelp.base.gather import Places, words
from kelp.base.severity import grammar, meaning
from kelp.base.severity.access import settle_access, settle_envoy
from kelp.base.severity.bodies import Bodies, flags
from kelp.base.severity.extract import settle_by_pattern
from kelp.base.severity.json_level import settle_json
from kelp.base.severity.klog_json import settle_klog_json
from kelp.base.severity.leading import settle_leading
from kelp.base.severity.logfmt import settle_logfmt
from kelp.base.severity.shapes import KLOG
from kelp.base.severity.words import Answer, Distinct


def detect_severity(body: pa.BinaryArray) -> tuple[pa.UInt8Array, pa.StringArray]:
    """(n,) numbers as in `kelp.model.severity`, 0 for none; (n,) texts as they stood."""
    answer = Answer.empty(len(body))
    if len(body):
        _Batch(body, answer).settle()
    return answer.arrays()


class _Batch:
    """One call: the bodies, their first bytes, and what is known so far."""

    def __init__(self, body: pa.BinaryArray, answer: Answer) -> None:
        self.answer = answer
        self.bodies = Bodies.of(body)
        self.head = words(self.bodies.values, self.bodies.start, 2)
        is_empty = self.bodies.start == self.bodies.stop
        first = np.where(is_empty, np.uint8(0), self.head[:, 0].astype(np.uint8))
        self.kind = _KIND_OF_BYTE[first]

    def settle(self) -> None:
        """Each kind takes its rows; what is left goes on to the next."""
        self._klog(self._rows(_KLOG))
        self._priority(self._rows(_ANGLE))
        self._redis(self._rows(_DIGIT))
        self._access(self._rows(_DIGIT))
        self._envoy(self._rows(_MARK))
        self._json()
        self._logfmt()
        self._access_of_letters()
        text = self._rows(_LETTER, _BLANK, _DIGIT, _ANGLE, _MARK)
        if len(text):
            settle_leading(self.answer, self.bodies.some(text))

    def _rows(self, *kinds: int) -> Places:
        found = self.kind == kinds[0]
        for kind in kinds[1:]:
            found |= self.kind == kind
        return np.flatnonzero(found)

    def _klog(self, rows: Places) -> None:
        """`I1120 00:00:00.470122 …`; other lines that begin with such a letter are text."""
        if not len(rows):
            return
        length = self.bodies.stop[rows] - self.bodies.start[rows]
        is_klog = KLOG.match(self.head[rows]) & (length >= KLOG.length)
        self.kind[rows] = np.where(is_klog, _DONE, _LETTER)
        mine = rows[is_klog]
        letter = _KLOG_INDEX[self.head[mine, 0].astype(np.uint8)]
        self.answer.settle(mine, Distinct(letter, _KLOG_LETTERS), meaning.klog)

    def _priority(self, rows: Places) -> None:
        self._by_pattern(rows, grammar.SYSLOG, "priority", meaning.priority)

    def _redis(self, rows: Places) -> None:
        """`1:M 09 Nov …`: a colon that soon is rare, so the pattern has few lines to look at."""
        if len(rows):
            colon = swar.equal(self.head[rows, :1], ord(":"))[:, 0] != 0
            self._by_pattern(rows[colon], grammar.REDIS, "sign", meaning.redis)

    def _access(self, rows: Places) -> None:
        """Access logs begin with an address."""
        if len(rows):
            self.kind[rows[settle_access(self.answer, self.bodies, rows)]] = _DONE

    def _access_of_letters(self) -> None:
        """An address of IPv6 may begin with a letter; what logfmt took is none."""
        rows = self._rows(_LETTER)
        colon = swar.equal(self.head[rows, :1], ord(":"))[:, 0] & np.uint64(0xFFFFFFFFFF)
        self._access(rows[colon != 0])

    def _envoy(self, rows: Places) -> None:
        """`[2026-11-20T10:11:12.345Z] "GET …`."""
        is_digit = swar.digits(self.head[rows, :1])[:, 0] & np.uint64(0x8000) != 0
        bracket = rows[is_digit & (self.head[rows, 0].astype(np.uint8) == ord("["))]
        if len(bracket):
            self.kind[bracket[settle_envoy(self.answer, self.bodies, bracket)]] = _DONE

    def _by_pattern(self, rows: Places, pattern: str, group: str, lookup: meaning.Lookup) -> None:
        if not len(rows):
            return
        some = self.bodies.some(rows)
        mine = np.flatnonzero(flags(pc.match_substring_regex(some.array, pattern)))
        if len(mine):
            settle_by_pattern(self.answer, some.some(mine), pattern, (group,), lookup)
            self.kind[rows[mine]] = _DONE

    def _json(self) -> None:
        """Lines that begin with a brace; before it blanks, which is rare."""
        blank = self._rows(_BLANK)
        if len(blank):
            indented = pc.match_substring_regex(self.bodies.some(blank).array, r"^[ \t]+\{")
            self.kind[blank[flags(indented)]] = _BRACE
        rows = self._rows(_BRACE)
        if len(rows):
            settle_json(self.answer, self.bodies.some(rows))
            settle_klog_json(self.answer, self.bodies.some(rows))

    def _logfmt(self) -> None:
        rows = self._rows(_LETTER, _BLANK)
        if not len(rows):
            return
        some = self.bodies.some(rows)
        mine = np.flatnonzero(flags(pc.match_substring_regex(some.array, grammar.LOGFMT)))
        if len(mine):
            self.kind[rows[mine]] = _DONE
            settle_logfmt(self.answer, some.some(mine))


# What a line may be by its first byte; _NOTHING begins no line that has a severity.
_NOTHING, _DONE, _BRACE, _KLOG, _BLANK, _LETTER, _DIGIT, _ANGLE, _MARK = range(9)


def _kinds() -> npt.NDArray[np.uint8]:
    kinds = np.zeros(256, np.uint8)
    kinds[list(b"[(-|:*#>")] = _MARK
    kinds[[c for c in range(128) if chr(c).isalpha()] + list(b"_@")] = _LETTER
    kinds[list(b"0123456789")] = _DIGIT
    kinds[list(b" \t\x1b")] = _BLANK
    kinds[list(b"IWEF")] = _KLOG
    kinds[ord("{")] = _BRACE
    kinds[ord("<")] = _ANGLE
    return kinds


_KIND_OF_BYTE = _kinds()

_KLOG_LETTERS = [b"I", b"W", b"E", b"F"]
_KLOG_INDEX = np.zeros(256, np.int64)
_KLOG_INDEX[list(b"IWEF")] = range(4)
