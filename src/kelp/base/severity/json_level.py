"""The level of JSON lines, from the outermost object.

Two ways. Where the first `"level"` of a line is a key of the outermost object for sure, for there
is one brace before it, no other bracket, no backslash and an even number of quotes, its value is
read at once; the same for lines without that, by the first of the other known keys. For what is
left the structure is worked out (`json_strings.py`).

No line is checked to be valid JSON: what is cut or broken gives its level as far as it goes. A key
is a string that begins outside of other strings at depth one, and is followed by a colon. Up to
MAX_BLANKS blanks are skipped at a time.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from kelp.base import swar
from kelp.base.gather import Bytes, Places, slices, words
from kelp.base.severity import meaning
from kelp.base.severity.bodies import Bodies, Flags
from kelp.base.severity.grammar import KEYS, NUMBER_KEYS
from kelp.base.severity.json_strings import outermost_strings
from kelp.base.severity.words import MAX_WORD, Answer, distinct, distinct_keys

MAX_BLANKS = 8
MAX_DIGITS = 4

_LEVEL = '"level"'
_OTHERS = '(?i)"(?:' + "|".join(k.replace(".", r"\.") for k in KEYS) + ')"'
_KNOWN = frozenset(k.encode() for k in KEYS)
_NUMBER_KNOWN = frozenset(k.encode() for k in NUMBER_KEYS)
_LONGEST_KEY = max(map(len, KEYS))
_QUOTE, _COLON = ord('"'), ord(":")

# What a key is, by its index in the table of lookups.
_NO_KEY, _WORD_KEY, _NUMBER_KEY, _FIRST_KEY = range(4)
_LOOKUPS = ((_WORD_KEY, meaning.json_value), (_NUMBER_KEY, meaning.otel_value))

_BLANK = np.zeros(256, np.bool_)
_BLANK[list(b" \t\r\n")] = True
_ENDS_NUMBER = _BLANK.copy()
_ENDS_NUMBER[list(b",}\0")] = True
_BEGINS_KEY = np.zeros(256, np.bool_)
_BEGINS_KEY[list({ord(c) for key in KEYS for c in (key[0], key[0].upper())})] = True
_FOLLOWS_KEY = _BLANK.copy()
_FOLLOWS_KEY[_COLON] = True
_NO_RANK = 2


def settle_json(answer: Answer, bodies: Bodies) -> None:
    """Settle lines that begin with `{`, or blanks and `{`."""
    hit = _numpy(pc.find_substring(bodies.array, _LEVEL))
    has_level = hit >= 0
    with_level, without = np.flatnonzero(has_level), np.flatnonzero(~has_level)
    left = with_level
    if len(with_level):
        settled = _settle_first(answer, bodies, with_level, hit[with_level], is_level=True)
        left = with_level[~settled]
    if len(without):
        some = bodies.some(without)
        matching = np.flatnonzero(
            pc.match_substring_regex(some.array, _OTHERS).to_numpy(zero_copy_only=False)
        )
        some = some.some(matching)
        hit = _numpy(pc.find_substring_regex(some.array, _OTHERS))
        settled = _settle_first(answer, some, np.arange(len(some)), hit)
        left = np.sort(np.concatenate((left, without[matching[~settled]])))
    if len(left):
        _settle_nested(answer, bodies.some(left))


def _settle_first(
    answer: Answer, bodies: Bodies, which: Places, hit: Places, *, is_level: bool = False
) -> Flags:
    """Settle bodies by a key whose quote is `hit` bytes in, where it is surely the outermost's."""
    settled = np.zeros(len(which), np.bool_)
    if not len(which):
        return settled
    start = bodies.start[which]
    sure = np.flatnonzero(_is_outermost(bodies.values, start, hit))
    at = start[sure] + hit[sure] + 1
    settle = _settle_levels if is_level else _settle_keys
    settled[sure] = settle(answer, bodies, which[sure], at)
    return settled


def _is_outermost(values: Bytes, start: Places, size: Places) -> Flags:
    """Whether the bytes before a key are one brace, no other bracket, and whole strings."""
    before = Bodies.of(slices(start, size, values))
    data = before.values
    odd = np.add.reduceat((data == _QUOTE).view(np.uint8), before.start, dtype=np.uint8) & 1
    special = ((data & 0xDF) - np.uint8(0x5B)) <= 2  # [ \ ] { | }: rather too many
    count = np.add.reduceat(special, before.start, dtype=np.int32)
    sure: Flags = (count == 1) & (odd == 0)
    return sure


def _settle_keys(answer: Answer, bodies: Bodies, which: Places, at: Places) -> Flags:
    """Settle bodies by the key that begins at `at` (behind its quote), where it is a known one."""
    settled = np.zeros(len(which), np.bool_)
    if not len(which):
        return settled
    window = words(bodies.values, at, 3)
    length = swar.first(swar.equal(window, _QUOTE))
    kinds = _kinds(bodies.values, at, length)
    for kind, lookup in _LOOKUPS:
        mine = np.flatnonzero(kinds == kind)
        if len(mine):
            behind = at[mine] + length[mine] + 1
            settled[mine] = _settle_values(answer, bodies, which[mine], behind, lookup)
    return settled


def _settle_levels(answer: Answer, bodies: Bodies, which: Places, at: Places) -> Flags:
    """The same where the key is known to be `level`."""
    return _settle_values(answer, bodies, which, at + len(_LEVEL) - 1, meaning.json_value)


def _settle_values(
    answer: Answer, bodies: Bodies, which: Places, behind: Places, lookup: meaning.Lookup
) -> Flags:
    """Settle bodies by the value of the key whose closing quote is right before `behind`."""
    stop = bodies.stop[which]
    value, is_value = _values(bodies.values, behind, stop)
    text, size = _value_text(bodies.values, value, stop)
    found = distinct_keys(text, np.where(is_value, size, -1))
    return answer.settle(bodies.rows[which], found, lookup)


def _kinds(values: Bytes, at: Places, length: Places) -> npt.NDArray[np.int8]:
    """What key each word is."""
    found = distinct(values, at, length)
    return np.array([_kind(k) for k in found.words] + [_NO_KEY], np.int8)[found.ids]


def _kind(key: bytes) -> int:
    key = key.lower()
    return _NUMBER_KEY if key in _NUMBER_KNOWN else _WORD_KEY if key in _KNOWN else _NO_KEY


def _values(values: Bytes, at: Places, stop: Places) -> tuple[Places, Flags]:
    """(where the value begins, whether there is one) behind a key's closing quote."""
    colon = _skip_blanks(values, at, stop)
    is_key = (colon < stop) & (_byte(values, colon) == _COLON)
    value = _skip_blanks(values, np.minimum(colon + 1, stop), stop)
    return value, is_key & (value < stop)


def _value_text(values: Bytes, at: Places, stop: Places) -> tuple[npt.NDArray[np.uint64], Places]:
    """(text, length) of a string's text or a number's digits; length -1 where it is neither."""
    quoted = _byte(values, at) == _QUOTE
    at = np.minimum(at + quoted, len(values))
    text = words(values, at, 3)
    string = swar.first(swar.equal(text, _QUOTE))
    string = np.where((string <= MAX_WORD) & (string < stop - at), string, -1)
    if bool(quoted.all()):
        return text[:, :2], string
    digits = np.minimum(swar.first(swar.others(swar.digits(text))), stop - at)
    ended = (at + digits == stop) | _ENDS_NUMBER[_byte(values, at + digits)]
    digits = np.where(ended & (digits > 0) & (digits <= MAX_DIGITS), digits, -1)
    return text[:, :2], np.where(quoted, string, digits)


def _skip_blanks(values: Bytes, at: Places, stop: Places) -> Places:
    for _ in range(MAX_BLANKS):
        blank = (at < stop) & _BLANK[_byte(values, at)]
        if not blank.any():
            break
        at = at + blank
    return at


def _byte(values: Bytes, at: Places) -> Bytes:
    """The bytes at these places; places at the very end give the last byte."""
    found: Bytes = values[np.minimum(at, len(values) - 1)]
    return found


def _settle_nested(answer: Answer, bodies: Bodies) -> None:
    """Lines whose structure must be known: nested values, escapes, or an unknown first value."""
    strings = outermost_strings(bodies)
    row, at, length = strings.row, strings.opening + 1, strings.closing - strings.opening - 1
    maybe = np.flatnonzero(
        (length <= _LONGEST_KEY)
        & _BEGINS_KEY[_byte(bodies.values, at)]
        & _FOLLOWS_KEY[_byte(bodies.values, strings.closing + 1)]
    )
    row, at, length = row[maybe], at[maybe], length[maybe]
    found = distinct(bodies.values, at, length)
    # A key that is `level` to the letter goes before the others.
    rank = np.array([_rank(w) for w in found.words] + [_NO_RANK], np.int8)[found.ids]
    order = np.lexsort((at, rank, row))
    order = order[rank[order] != _NO_RANK]
    row, at = row[order], at[order]
    while len(row):
        first = np.concatenate(([True], row[1:] != row[:-1]))
        settled = np.zeros(len(bodies), np.bool_)
        settled[row[first]] = _settle_keys(answer, bodies, row[first], at[first])
        more = ~first & ~settled[row]
        row, at = row[more], at[more]


def _rank(key: bytes) -> int:
    return 0 if key == b"level" else 1 if _kind(key) != _NO_KEY else _NO_RANK


def _numpy(array: object) -> Places:
    found: Places = array.to_numpy(zero_copy_only=False).astype(np.int64)  # type: ignore[attr-defined]
    return found
