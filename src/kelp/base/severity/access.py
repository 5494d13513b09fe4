"""Access logs: the status of the answer says how bad it was.

Servers write it behind the request, which stands in quotes. Most lines are told by their fixed
parts alone, eight bytes at a time: an address, the bracket with the time, a quote; then the next
quote is looked for, and behind it are a blank and three digits. What is not quite so (a user's
name, escaped quotes, HAProxy) is parsed by a pattern.
"""

from __future__ import annotations

import numpy as np
import pyarrow.compute as pc

from kelp.base import swar
from kelp.base.gather import Bytes, Places, Words, words
from kelp.base.severity import grammar, meaning
from kelp.base.severity.bodies import Bodies, Flags, flags
from kelp.base.severity.extract import settle_by_pattern
from kelp.base.severity.shapes import Shape
from kelp.base.severity.words import Answer, Distinct

_HEAD = 6  # words: an address, a name or two dashes, and the bracket
_FIRST_FIVE = np.uint64(0xFFFFFFFFFF)
_TIME = Shape(b'[99/aaa/9999:99:99:99 ?9999] "')
_ENVOY = Shape(b'[9999-99-99T99:99:99.999Z] "')
_STATUS = Shape(b'" 999')
_WINDOW = 6  # words in which the closing quote is looked for at once
_GROUPS = ("clf", "haproxy", "envoy")  # of grammar.ACCESS
_ROUNDS = 16  # half a kilobyte of request; longer ones are parsed by the pattern
_QUOTE, _BACKSLASH = ord('"'), ord("\\")
_DIGIT = np.uint64(0x0F)
# The byte behind `" 503`.
_SIXTH, _BLANK = np.uint64(0xFF << 40), np.uint64(ord(" ") << 40)


_IS_HEX = np.zeros(256, np.bool_)
_IS_HEX[list(b"0123456789abcdefABCDEF")] = True


def settle_access(answer: Answer, bodies: Bodies, rows: Places) -> Flags:
    """Settle rows that may begin with an address; (len(rows),) which are access logs."""
    head = words(bodies.values, bodies.start[rows], 1)
    marks = swar.equal(head, ord(".")) | swar.equal(head, ord(":"))
    first = head[:, 0].astype(np.uint8)
    some = np.flatnonzero((marks[:, 0] & _FIRST_FIVE != 0) & _IS_HEX[first])
    mine = rows[some]
    settled = np.zeros(len(rows), np.bool_)
    at = _behind_time(bodies.values, bodies.start[mine], bodies.stop[mine])
    settled[some] = _settle_fixed(answer, bodies, mine, *at)
    left = some[~settled[some]]
    settled[left] = _settle_by_pattern(answer, bodies.some(rows[left]))
    return settled


def settle_envoy(answer: Answer, bodies: Bodies, rows: Places) -> Flags:
    """Settle rows that begin with a bracket; (len(rows),) which are Envoy's or Istio's."""
    start, stop = bodies.start[rows], bodies.stop[rows]
    found = start + _ENVOY.length < stop
    some = np.flatnonzero(found)
    found[some] = _ENVOY.match(words(bodies.values, start[some], _ENVOY.words))
    settled = _settle_fixed(answer, bodies, rows, found, start + _ENVOY.length)
    left = np.flatnonzero(found & ~settled)
    settled[left] = _settle_by_pattern(answer, bodies.some(rows[left]))
    return settled | found


def _settle_by_pattern(answer: Answer, bodies: Bodies) -> Flags:
    settled = np.zeros(len(bodies), np.bool_)
    if len(bodies):
        mine = np.flatnonzero(flags(pc.match_substring_regex(bodies.array, grammar.ACCESS)))
        if len(mine):
            settled[mine] = settle_by_pattern(
                answer,
                bodies.some(mine),
                grammar.ACCESS,
                ("clf", "haproxy", "envoy"),
                meaning.status,
            )
    return settled


def _behind_time(values: Bytes, start: Places, stop: Places) -> tuple[Flags, Places]:
    """(which lines have a time in brackets and then a quote, where the request begins).

    The first bracket or parenthesis is the bracket that the time begins with.
    """
    head = words(values, start, _HEAD)
    signs = swar.equal(head, ord("[")) | swar.equal(head, ord("("))
    at = start + swar.first(signs)
    found: Flags = at + _TIME.length <= stop
    some = np.flatnonzero(found)
    found[some] = _TIME.match(words(values, at[some], _TIME.words))
    return found, at + _TIME.length


def _settle_fixed(
    answer: Answer, bodies: Bodies, rows: Places, found: Flags, request: Places
) -> Flags:
    """Settle the rows whose quote, from `request` on, has a status behind it."""
    settled = np.zeros(len(rows), np.bool_)
    some = np.flatnonzero(found)
    quote = _closing_quote(bodies.values, request[some], bodies.stop[rows[some]])
    room = bodies.stop[rows[some]] - quote
    window = words(bodies.values, quote, 1)
    ends = (window[:, 0] & _SIXTH == _BLANK) | (room == _STATUS.length)
    good = np.flatnonzero(_STATUS.match(window) & ends & (room >= _STATUS.length))
    settled[some[good]] = answer.settle(
        rows[some[good]], _statuses(window[good, 0]), meaning.status
    )
    return settled


def _statuses(window: Words) -> Distinct:
    """The three digits behind `" `."""
    number = np.zeros(len(window), np.int64)
    for byte in (2, 3, 4):
        number = number * 10 + ((window >> np.uint64(8 * byte)) & _DIGIT).astype(np.int64)
    found = np.flatnonzero(np.bincount(number, minlength=1))
    place = np.zeros(1000, np.int64)
    place[found] = np.arange(len(found))
    return Distinct(place[number], [b"%03d" % n for n in found.tolist()])


def _closing_quote(values: Bytes, at: Places, stop: Places) -> Places:
    """Where the first quote from `at` on stands; `stop` where there is none, or an escaped one."""
    place = stop.copy()
    left = np.arange(len(at))
    for _ in range(_ROUNDS):
        window = words(values, at, _WINDOW)
        offset = swar.first(swar.equal(window, _QUOTE))
        here = offset < 8 * _WINDOW
        found = at[here] + offset[here]
        place[left[here]] = np.minimum(found, stop[left[here]])
        left = left[~here]
        if not len(left):
            break
        at = np.minimum(at[~here] + 8 * _WINDOW, stop[left])
    escaped = values[np.maximum(place - 1, 0)] == _BACKSLASH
    return np.where(escaped, stop, place)
