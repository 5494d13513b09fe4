"""Stored records beside the fragments of a file: which are the same, and what is missing.

Compared are fragments, not records, so that it does not matter how long the agent waited for the
rest of one: a stored record is right where its body is that of the fragments from its position on,
one behind the other, with a newline where a line ended. Fragments that are in no record are
missing; records at whose position no line begins, or of another text, stream or time, differ.

Rows that are one whole line each are compared by column; the others (split lines, stack traces,
cut bodies, reports of the kernel with other lines between) are laid side by side one by one. What
is open at the end of a block is kept, so a file is compared in blocks, in memory for one of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from kelp.model.batch import TRUNCATION_MARKER
from kelp.model.fragments import LANES, Fragments

_STREAM = np.uint8(3)  # the bits of a lane that are the stream

# Records of one lane at the most that go on behind the beginning of others.
_MAX_OPEN = 16
# What _Open.row is where the record does not begin in this block: one that the block goes on with,
# and one behind which others have begun.
_LAST, _EARLIER = -1, -2


@dataclass(frozen=True)
class Records:
    """m stored records, by rising position.

    `truncated`: bytes that a body lacks. `malformed`: a line of it had not the form of its log.
    """

    stream_id: npt.NDArray[np.uint64]
    position: npt.NDArray[np.uint64]
    time: npt.NDArray[np.int64]
    stream: npt.NDArray[np.uint8]  # as in kelp.model.lines
    body: pa.BinaryArray
    truncated: npt.NDArray[np.int64]
    malformed: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.position)


@dataclass(frozen=True)
class Difference:
    """A stored record that is not what the file says; `why` is for people."""

    stream_id: int
    position: int
    why: str


@dataclass
class Outcome:
    """What came out of one block."""

    equal: int = 0
    equal_bytes: int = 0  # of bodies
    differing: list[Difference] = field(default_factory=list)
    repeated: list[Difference] = field(default_factory=list)
    missing: list[npt.NDArray[np.int64]] = field(default_factory=list)  # rows of the fragments

    def missing_rows(self) -> npt.NDArray[np.int64]:
        """(k,) rows of the block's fragments that are in no record, in order."""
        return np.sort(np.concatenate([np.empty(0, np.int64), *self.missing]))

    @property
    def clean(self) -> bool:
        """Whether everything is as it should be."""
        return not (self.differing or self.repeated or self.missing)


@dataclass
class _Open:
    """A record that is being compared: its body is matched up to `at`."""

    stream_id: int
    position: int
    body: bytes
    truncated: int
    row: int  # of its first fragment, in the block
    at: int = 0
    lacking: int = 0  # bytes of the file that the body does not have
    begun: bool = False
    line_ended: bool = False
    in_cut: bool = False  # the rest of the line was cut off
    wrong: str = ""

    @property
    def full(self) -> bool:
        """Whether no fragment is wanted any more; of a wrong one as many bytes as it has."""
        cut_ended = not self.in_cut or self.lacking >= self.truncated
        return self.begun and self.at >= len(self.body) and cut_ended

    @property
    def over(self) -> bool:
        """Whether no fragment can be its next; to an open line an empty one may."""
        return self.full and self.line_ended

    @property
    def decided(self) -> bool:
        """Whether it may be closed, now that another record has begun."""
        return bool(self.wrong) or self.at >= len(self.body)

    def has_room(self, text: bytes) -> bool:
        """Whether a fragment may be its next."""
        return not self.full or (not self.line_ended and not text)

    def goes_on_with(self, text: bytes) -> bool:
        """Whether a fragment is its next, beyond doubt."""
        if self.wrong or self.full or self.in_cut or not self.line_ended:
            return False
        return self.body.startswith(b"\n" + text, self.at)

    def take(self, text: bytes, missing: int, partial: bool) -> None:
        """Match the next fragment."""
        if self.wrong:
            self.at += len(text) + self.line_ended
        elif self.in_cut:
            self.lacking += len(text) + missing
        else:
            self._match(b"\n" + text if self.line_ended else text, missing)
        self.begun, self.line_ended = True, not partial
        self.in_cut = self.in_cut and partial

    def _match(self, text: bytes, missing: int) -> None:
        if not missing and self.body.startswith(text, self.at):
            self.at += len(text)
            return
        marker = self.body.find(TRUNCATION_MARKER, self.at) if self.truncated else -1
        if marker >= 0 and text.startswith(self.body[self.at : marker]):
            self.lacking += len(text) - (marker - self.at) + missing
            self.at = marker + len(TRUNCATION_MARKER)
            self.in_cut = True
            return
        self.wrong = _first_difference(self.body[self.at :], text)
        self.at += len(text)

    def verdict(self) -> str:
        """What is wrong with it, now that no fragment follows; empty where nothing is."""
        if self.wrong:
            return self.wrong
        if self.at < len(self.body):
            more = len(self.body) - self.at
            return f"the stored text goes on for {more} bytes that the file does not have"
        if self.lacking != self.truncated:
            return f"the file has {self.lacking} bytes more, and {self.truncated} are marked as cut"
        return ""


def _first_difference(stored: bytes, text: bytes) -> str:
    at = next(
        (i for i, (a, b) in enumerate(zip(stored, text, strict=False)) if a != b),
        min(len(stored), len(text)),
    )
    return f"stored {_shown(stored, at)}, in the file {_shown(text, at)}"


def _shown(text: bytes, at: int) -> str:
    """The text around a place, as one line."""
    start = max(at - 20, 0)
    part = text[start : at + 40].decode("utf-8", "replace")
    before, after = "…" if start else "", "…" if len(text) > at + 40 else ""
    return f'"{before}{part}{after}"'


class Comparer:
    """Compares one log, block by block. `heads`: its lines should begin with a time."""

    def __init__(self, *, heads: bool = True) -> None:
        self._heads = heads
        self._open: dict[int, list[_Open]] = {}  # lane → records, the last one begun last

    def saved(self) -> dict[int, list[_Open]]:
        """What is kept between blocks, to go back to."""
        return {lane: [copy(one) for one in ones] for lane, ones in self._open.items()}

    def restore(self, saved: dict[int, list[_Open]]) -> None:
        """Go back to before a block."""
        self._open = {lane: [copy(one) for one in ones] for lane, ones in saved.items()}

    def feed(self, fragments: Fragments, records: Records) -> Outcome:
        """One block: all fragments, and all records at positions from its first to its last."""
        block = _Block(fragments, records, heads=self._heads)
        block.place()
        same = block.whole_lines()
        for lane in range(LANES):
            rows = np.flatnonzero(block.fragments.lane == lane)
            if len(rows):
                self._walk(_Lane(lane, rows, same, block))
        return block.outcome

    def finish(self, *, more: bool = False) -> Outcome:
        """No more comes; `more`: the file goes on, so what is right so far may well be right."""
        outcome = Outcome()
        for ones in self._open.values():
            for one in ones:
                if more and not one.wrong and not one.full:
                    one.body, one.truncated = one.body[: one.at], one.lacking
                _close(one, outcome)
        self._open = {}
        return outcome

    def _walk(self, lane: _Lane) -> None:
        """The rows of a lane that are not plainly the same, in order."""
        ones = self._open.setdefault(lane.number, [])
        outcome = lane.block.outcome
        for i in lane.wanted(any(not one.over for one in ones)).tolist():
            if lane.is_start[i]:
                self._begin(ones, lane, i)
            one = _owner(ones, lane, i)
            if one is None:
                outcome.missing.append(lane.rows[i : i + 1])
            else:
                one.take(*lane.fragment(i))
        last = int(lane.start[-1])
        for one in ones:
            one.row = _LAST if one.row == last else _EARLIER
        self._close_decided(ones, outcome)

    def _begin(self, ones: list[_Open], lane: _Lane, i: int) -> None:
        """Open the record that begins at a row; too many open ones are closed."""
        one = lane.block.opened(int(lane.rows[i]))
        one.row = i
        for other in ones:
            other.row = _EARLIER
        ones.append(one)
        self._close_decided(ones, lane.block.outcome)
        while len(ones) > _MAX_OPEN:
            _close(ones.pop(0), lane.block.outcome)

    def _close_decided(self, ones: list[_Open], outcome: Outcome) -> None:
        for one in [o for o in ones if o.row == _EARLIER and o.decided]:
            ones.remove(one)
            _close(one, outcome)


def _owner(ones: list[_Open], lane: _Lane, i: int) -> _Open | None:
    """The record that a row belongs to: the one begun last, or an earlier one that goes on."""
    text = lane.text(i)
    for one in reversed(ones):
        if one.row == lane.start[i] and one.has_room(text):
            return one
        if one.goes_on_with(text):
            return one
    return None


def _close(one: _Open, outcome: Outcome) -> None:
    why = one.verdict()
    if why:
        outcome.differing.append(Difference(one.stream_id, one.position, why))
    else:
        outcome.equal += 1
        outcome.equal_bytes += len(one.body)


class _Lane:
    """Rows of one lane; `start` is the place of the start that each belongs to, or _LAST."""

    def __init__(
        self, number: int, rows: npt.NDArray[np.int64], same: npt.NDArray[np.bool_], block: _Block
    ) -> None:
        self.number = number
        self.rows = rows
        self.block = block
        self.is_start = block.record[rows] >= 0
        self._same = same[rows]
        places = np.where(self.is_start, np.arange(len(rows)), _LAST)
        self.start = np.maximum.accumulate(places)

    def wanted(self, goes_on: bool) -> npt.NDArray[np.int64]:
        """Places to look at; rows before which nothing is open are missing at once.

        `goes_on`: a record of an earlier block may.
        """
        slow = self.is_start & ~self._same
        behind = np.logical_or.accumulate(slow)
        rest = ~self.is_start
        if goes_on:
            behind = np.ones(len(self.rows), np.bool_)
        self.block.outcome.missing += _some(self.rows[rest & ~behind])
        return np.flatnonzero(slow | (rest & behind))

    def text(self, i: int) -> bytes:
        """The body of a row."""
        text: bytes = self.block.fragments.body[int(self.rows[i])].as_py()
        return text

    def fragment(self, i: int) -> tuple[bytes, int, bool]:
        """Its body, how many bytes that lacks, and whether its line goes on."""
        row = int(self.rows[i])
        fragments = self.block.fragments
        return self.text(i), fragments.missing.get(row, 0), bool(fragments.partial[row])


def _some(rows: npt.NDArray[np.int64]) -> Iterator[npt.NDArray[np.int64]]:
    if len(rows):
        yield rows


class _Block:
    """Fragments and records of one range of positions; `record` is the one that a row begins."""

    def __init__(self, fragments: Fragments, records: Records, *, heads: bool) -> None:
        self.heads = heads
        self.fragments = fragments
        self.records = records
        self.record = np.full(len(fragments), -1, np.int64)
        self.outcome = Outcome()

    def place(self) -> None:
        """Find the row of each record; those without one, and repeated ones, are told."""
        position = self.records.position
        again = np.zeros(len(position), np.bool_)
        again[1:] = position[1:] == position[:-1]
        for i in np.flatnonzero(again).tolist():
            self.outcome.repeated.append(self._difference(i, "another record has its position"))
        row = np.searchsorted(self.fragments.position, position)
        begins = row < len(self.fragments)
        begins[begins] = self.fragments.position[row[begins]] == position[begins]
        for i in np.flatnonzero(~begins & ~again).tolist():
            self.outcome.differing.append(self._difference(i, "no line begins at its position"))
        good = np.flatnonzero(begins & ~again)
        self.record[row[good]] = good

    def whole_lines(self) -> npt.NDArray[np.bool_]:
        """(n,) whether a row is one whole record, and stored as it is."""
        f, r = self.fragments, self.records
        simple = (self.record >= 0) & ~f.partial
        simple[list(f.missing)] = False
        rows = np.flatnonzero(simple)
        of = self.record[rows]
        bodies = pc.equal(f.body.take(pa.array(rows)), r.body.take(pa.array(of)))
        good = np.asarray(bodies.to_numpy(zero_copy_only=False), np.bool_)
        good &= r.stream[of] == (f.lane[rows] & _STREAM)
        if self.heads:
            good &= np.where(f.timed[rows], r.time[of] == f.timestamp[rows], r.malformed[of])
        good &= r.truncated[of] == 0
        same = np.zeros(len(f), np.bool_)
        same[rows[good]] = True
        self.outcome.equal += int(good.sum())
        lengths = pc.binary_length(r.body.take(pa.array(of[good])))
        self.outcome.equal_bytes += int(pc.sum(lengths).as_py() or 0)
        return same

    def opened(self, row: int) -> _Open:
        """The record that begins at a row; wrong from the start where stream or time are."""
        f, r, record = self.fragments, self.records, int(self.record[row])
        one = _Open(
            int(r.stream_id[record]),
            int(r.position[record]),
            r.body[record].as_py(),
            int(r.truncated[record]),
            row,
        )
        if r.stream[record] != f.lane[row] & _STREAM:
            one.wrong = "it is stored under another stream (stdout, stderr) than its line names"
        elif self.heads and not f.timed[row] and not r.malformed[record]:
            one.wrong = "its line has no time that can be read, and had one when it was stored"
        elif f.timed[row] and r.time[record] != f.timestamp[row]:
            by = int(r.time[record]) - int(f.timestamp[row])
            one.wrong = f"its time is {by / 1e9:+g} s from that of its line"
        return one

    def _difference(self, record: int, why: str) -> Difference:
        r = self.records
        return Difference(int(r.stream_id[record]), int(r.position[record]), why)
