"""The level of JSON lines: the first known key of the outermost object with a known value.

Two ways. Where the first `"level"` (or another known key) of a line is the outermost object's for
sure, for there is no bracket and no backslash before it and an even number of quotes, its value is
read at once. For the other lines the structure is worked out over all their bytes together: which
quotes are escaped, which brackets stand in strings, how deep each key is.

No line is checked to be valid JSON: what is cut or broken gives its level as far as it goes. What
counts is: a string that begins outside of other strings at depth one, and is followed by a colon.
Blanks are skipped up to MAX_BLANKS at a time; a backslash hides the byte behind it, everywhere.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from kelp.agent.parse import meaning
from kelp.agent.parse.grammar import KEYS, NUMBER_KEYS
from kelp.agent.parse.words import MAX_WORD, Answer, distinct
from kelp.base.gather import Bytes, Places, slices, windows

MAX_BLANKS = 8
MAX_DIGITS = 4

_KEY_PATTERN = '(?i)"(?:' + "|".join(k.replace(".", r"\.") for k in KEYS) + ')"'
_KNOWN = frozenset(k.encode() for k in KEYS)
_NUMBER_KNOWN = frozenset(k.encode() for k in NUMBER_KEYS)
_LONGEST_KEY = max(map(len, KEYS))
_QUOTE, _BACKSLASH, _COLON = ord('"'), ord("\\"), ord(":")

_BLANK = np.zeros(256, np.bool_)
_BLANK[list(b" \t\r\n")] = True
_ENDS_NUMBER = _BLANK.copy()
_ENDS_NUMBER[list(b",}\0")] = True
_DIGIT = np.zeros(256, np.bool_)
_DIGIT[list(b"0123456789")] = True
# What opens (+1) and closes (-1) a level of depth.
_DEPTH = np.zeros(256, np.int64)
_DEPTH[list(b"{[")], _DEPTH[list(b"}]")] = 1, -1


def settle_json(answer: Answer, rows: Places, lines: pa.BinaryArray) -> None:
    """Set the severities of `rows`, whose bodies `lines` begin with `{` or blanks and `{`."""
    hits = pc.find_substring_regex(lines, _KEY_PATTERN).to_numpy(zero_copy_only=False)
    with_key = np.flatnonzero(hits >= 0)
    if not len(with_key):
        return
    values, start, stop = _layout(lines)
    start, stop, hit = start[with_key], stop[with_key], hits[with_key].astype(np.int64)
    at = start + hit
    sure = _is_outermost(values, start, at)
    settled = np.zeros(len(with_key), np.bool_)
    clear = np.flatnonzero(sure)
    settled[clear] = _settle_keys(answer, rows[with_key[clear]], values, at[clear] + 1, stop[clear])
    rest = with_key[~settled]
    if len(rest):
        _settle_nested(answer, rows[rest], lines.take(pa.array(rest)))


def _layout(lines: pa.BinaryArray) -> tuple[Bytes, Places, Places]:
    narrow = np.frombuffer(lines.buffers()[1], np.int32)[lines.offset :][: len(lines) + 1]
    offsets = narrow.astype(np.int64)
    data = lines.buffers()[2]
    values = np.frombuffer(data, np.uint8) if data is not None else np.empty(0, np.uint8)
    return values, offsets[:-1], offsets[1:]


def _is_outermost(values: Bytes, start: Places, at: Places) -> npt.NDArray[np.bool_]:
    """Whether what stands before `at` is one brace, no other bracket, and whole strings."""
    before = slices(start, at - start, values)
    data, begin, end = _layout(before)
    brackets = np.flatnonzero(((data & 0xDF) - 0x5B) <= 2)  # [ \ ] { | }: rather too many
    quotes = np.flatnonzero(data == _QUOTE)
    count = np.searchsorted(brackets, end) - np.searchsorted(brackets, begin)
    odd = (np.searchsorted(quotes, end) - np.searchsorted(quotes, begin)) & 1
    sure: npt.NDArray[np.bool_] = (count == 1) & (odd == 0)
    return sure


def _settle_keys(
    answer: Answer, rows: Places, values: Bytes, at: Places, stop: Places
) -> npt.NDArray[np.bool_]:
    """Settle rows by the key that begins at `at` (behind its quote), where it is a known one."""
    text = windows(values, at, _LONGEST_KEY + 1)
    length = (text == _QUOTE).argmax(axis=1)
    ids, found = distinct(values, at, length)
    kinds = np.array([_kind(k) for k in found] + [0], np.int8)[ids]
    value, is_value = _values(values, at + length + 1, stop)
    settled = np.zeros(len(rows), np.bool_)
    for kind, lookup in ((1, meaning.json_value), (2, meaning.otel_value)):
        mine = np.flatnonzero(is_value & (kinds == kind))
        if len(mine):
            where, size = _value_text(values, value[mine], stop[mine])
            settled[mine] = answer.settle(rows[mine], values, where, size, lookup)
    return settled


def _kind(key: bytes) -> int:
    key = key.lower()
    return 2 if key in _NUMBER_KNOWN else 1 if key in _KNOWN else 0


def _values(values: Bytes, at: Places, stop: Places) -> tuple[Places, npt.NDArray[np.bool_]]:
    """(where the value begins, whether there is one) behind a key's closing quote."""
    colon = _skip_blanks(values, at, stop)
    is_key = (colon < stop) & (_byte(values, colon) == _COLON)
    value = _skip_blanks(values, np.minimum(colon + 1, stop), stop)
    return value, is_key & (value < stop)


def _value_text(values: Bytes, at: Places, stop: Places) -> tuple[Places, Places]:
    """(place, length) of a string's text or a number's digits; length -1 where it is neither."""
    quoted = _byte(values, at) == _QUOTE
    at = at + quoted
    text = windows(values, at, MAX_WORD + 1)
    ends = text == _QUOTE
    string = np.where(ends.any(axis=1), ends.argmax(axis=1), -1)
    others = ~_DIGIT[text[:, : MAX_DIGITS + 1]]
    digits = np.where(others.any(axis=1), others.argmax(axis=1), -1)
    digits = np.minimum(digits, stop - at)
    after = text[np.arange(len(at)), np.maximum(digits, 0)]
    ended = (at + digits == stop) | _ENDS_NUMBER[after]
    length = np.where(quoted, string, np.where(ended & (digits > 0), digits, -1))
    return at, np.where(at + length <= stop - quoted, length, -1)


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


def _settle_nested(answer: Answer, rows: Places, lines: pa.BinaryArray) -> None:
    """Lines whose structure must be known: nested values, escapes, or an unknown first value."""
    values, start, stop = _layout(lines)
    row, opening, closing = _outermost_strings(values, start)
    short = closing - opening - 1 <= _LONGEST_KEY
    row, opening, closing = row[short], opening[short], closing[short]
    ids, found = distinct(values, opening + 1, closing - opening - 1)
    kinds = np.array([_kind(k) for k in found] + [0], np.int8)[ids]
    known = kinds > 0
    row, opening = row[known], opening[known]
    while len(row):
        first = np.concatenate(([True], row[1:] != row[:-1]))
        now = np.flatnonzero(first)
        settled = _settle_keys(answer, rows[row[now]], values, opening[now] + 1, stop[row[now]])
        done = np.zeros(len(lines), np.bool_)
        done[row[now[settled]]] = True
        more = ~first & ~done[row]
        row, opening = row[more], opening[more]


def _outermost_strings(values: Bytes, start: Places) -> tuple[Places, Places, Places]:
    """(row, opening quote, closing quote) of every string at depth one, in their order."""
    marks = np.flatnonzero((values == _QUOTE) | (_DEPTH[values] != 0))
    marks = marks[~_is_escaped(values, marks)]
    row = np.searchsorted(start, marks, side="right") - 1
    is_quote = values[marks] == _QUOTE
    # Quotes before each mark in its row: odd inside of a string.
    quotes = np.cumsum(is_quote) - is_quote
    first = np.concatenate(([True], row[1:] != row[:-1])) if len(row) else np.empty(0, np.bool_)
    run = np.cumsum(first) - 1
    inside = ((quotes - quotes[first][run]) & 1).astype(np.bool_)
    delta = np.where(inside | is_quote, 0, _DEPTH[values[marks]])
    depth = np.cumsum(delta)
    depth -= (depth - delta)[first][run]
    opens = np.flatnonzero(is_quote & ~inside & (depth == 1))
    quote_places = np.flatnonzero(is_quote)
    after = np.searchsorted(quote_places, opens, side="right")
    closed = after < len(quote_places)
    opens, close = opens[closed], quote_places[after[closed]]
    same = row[opens] == row[close]
    return row[opens[same]], marks[opens[same]], marks[close[same]]


def _is_escaped(values: Bytes, places: Places) -> npt.NDArray[np.bool_]:
    """Whether an odd number of backslashes stands right before each place."""
    backslashes = np.flatnonzero(values == _BACKSLASH)
    if not len(backslashes):
        return np.zeros(len(places), np.bool_)
    ends = np.concatenate((backslashes[1:] != backslashes[:-1] + 1, [True]))
    last = np.flatnonzero(ends)
    length = np.diff(last, prepend=-1)
    hidden = backslashes[last[length % 2 == 1]] + 1
    at = np.minimum(np.searchsorted(hidden, places), max(0, len(hidden) - 1))
    escaped: npt.NDArray[np.bool_] = (
        hidden[at] == places if len(hidden) else np.zeros(len(places), np.bool_)
    )
    return escaped
