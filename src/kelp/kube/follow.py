"""Reading a journal again and again of which only text with times is to be had: each entry once.

There is no cursor. What is asked for is what came since shortly before the last entry; in the
answer the entries that were given out before are found again, in the order they had, and what
stands behind them is new. So equal times, equal lines and an unfinished second do no harm.

A kubelet hands `sinceTime` to journalctl without its zone, and journalctl takes it for the node's
own time: on a node whose clock is not set to UTC an answer begins hours too early or too late. Too
early is seen by its first entry, too late by the last one being missing; both are learned from.

Left out: a clock that is set back by more than a few seconds. What the node writes until it has
caught up is older than what is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from kelp.kube.journal_text import TextEntry

OVERLAP_US = 2_000_000
"""The sender's time, which is shown, is a little before journald's, by which is chosen."""

MAX_TAIL = 64
"""Entries that are remembered: enough to tell any run of equal ones from another."""

_US = 1_000_000
_QUARTER_S = 900  # no zone differs from UTC by any other step
_WIDEST_S = 14 * 3600
_EARLY_US = _QUARTER_S * _US


class Place(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How far a journal was given out; of nothing, where `tail` is empty."""

    time_us: int = 0
    tail: list[str] = []  # digests of the last entries
    next: int = 0  # position of the next entry
    shift_s: int = 0  # what the node's clock is behind UTC, as far as known
    gone_s: int = 0  # since when its node is no more


class Taken(msgspec.Struct, frozen=True):
    """What of an answer is new."""

    entries: list[TextEntry]
    lost: bool = False  # the journal no longer holds what came behind the last entry


class Follower:
    """The state of one journal; pure. `start_us`: entries before this are left out at first."""

    def __init__(self, place: Place | None = None, start_us: int = 0) -> None:
        self.place = place or Place()
        self._start_us = start_us
        self._wide = False  # ask further back, for the last entry was not there

    @property
    def begun(self) -> bool:
        """Whether anything was given out yet."""
        return bool(self.place.tail)

    def since_us(self) -> int:
        """What to ask for: whole seconds."""
        from_us = self.place.time_us - OVERLAP_US if self.begun else self._start_us
        shift_s = _WIDEST_S if self._wide else self.place.shift_s
        return max(from_us // _US - shift_s, 0) * _US

    def take(self, entries: Sequence[TextEntry], asked_us: int, *, whole: bool = True) -> Taken:
        """What is new in the answer to `since_us`; the place is then behind it.

        An answer that is not `whole` proves nothing by ending before the last entry.
        """
        wide, self._wide = self._wide, False
        if not self.begun:
            new = [e for e in entries if e.time_us >= self._start_us]
            self._learn(entries, asked_us, wide=wide and bool(new))
            self._wide = not new and not wide
            return self._advanced(new)
        at = behind(self.place.tail, [e.digest for e in entries])
        if at is not None:
            self._learn(entries, asked_us, wide=wide)
            return self._advanced(entries[at:])
        if not wide:
            self._wide = True
            return Taken([])
        if not whole and not (entries and entries[-1].time_us > self.place.time_us):
            self._learn(entries, asked_us, wide=True)
            return Taken([])
        new = [e for e in entries if e.time_us > self.place.time_us]
        return self._advanced(new, lost=bool(new))

    def _learn(self, entries: Sequence[TextEntry], asked_us: int, *, wide: bool) -> None:
        """How far the node's clock is from UTC, by where an answer begins."""
        if not entries:
            return
        if wide:  # it begins late by the clock's being behind, or by a pause; never too early
            late_s = -(-(entries[0].time_us - asked_us) // _US // _QUARTER_S) * _QUARTER_S
            shift_s = min(late_s, _WIDEST_S)
        else:
            early_us = asked_us + self.place.shift_s * _US - entries[0].time_us
            if early_us < _EARLY_US:
                return
            shift_s = self.place.shift_s - early_us // _US // _QUARTER_S * _QUARTER_S
        self.place = msgspec.structs.replace(self.place, shift_s=shift_s)

    def _advanced(self, new: Sequence[TextEntry], *, lost: bool = False) -> Taken:
        if new:
            place = self.place
            self.place = msgspec.structs.replace(
                place,
                time_us=max(place.time_us, *(e.time_us for e in new)),
                tail=[*place.tail, *(e.digest for e in new)][-MAX_TAIL:],
                next=(place.next or new[0].time_us) + len(new),
            )
        return Taken(list(new), lost)


def behind(given: Sequence[str], found: Sequence[str]) -> int | None:
    """Where in `found` the entries begin that come behind `given`; None where `given` is not there.

    `found` begins anywhere, and `given` are its entries up to somewhere. Of several places the one
    counts with the most entries alike, and of these the first: a repeated line is then a new one.
    Where no place has all alike (the journal's files were put in another order), the last entry's.
    """
    best, most = None, 0
    for end in range(1, len(found) + 1):
        if found[end - 1] != given[-1]:
            continue
        length = min(end, len(given))
        if length > most and list(found[end - length : end]) == list(given[-length:]):
            best, most = end, length
    if best is None and given[-1] in found:
        best = len(found) - list(reversed(found)).index(given[-1])
    return best
