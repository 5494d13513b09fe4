"""A whole log to its kills, fast where there are none.

Most of a log is about something else. Unless a report is open, only lines around the kernel's key
words are looked at; many before one, because a report whose beginning was lost has its table there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from kelp.base.oom.assemble import Assembler
from kelp.base.oom.calendar import Calendar
from kelp.base.oom.framing import Framer
from kelp.base.oom.kill import Kill

# At least one of these stands in every report that makes a kill or says that there is no victim.
_KEY_WORDS = (
    b"oom-kill",
    b"illed process ",
    b"ill process ",
    b"killed as a result of limit of",
    b"Memory limit reached of cgroup",
    b"no killable processes",
    b"panic_on_oom",
    b"is deadlocked on memory",
    # journalctl -o json writes a message that is not printable as a list of bytes.
    b'"MESSAGE":[',
    b'"MESSAGE": [',
    b'"MESSAGE" : [',
)
_LOOK_BACK_BYTES = 1 << 18  # a task table of 2,000 rows
_STEP_BYTES = 1 << 12  # looked at before asking again whether a report is still open


class Scanner:
    """Finds the kills in one log that comes in blocks of whole lines."""

    def __init__(self, calendar: Calendar) -> None:
        self._framer = Framer()
        self._assembler = Assembler(calendar)
        self._before = b""  # the end of what was passed over

    def feed(self, block: bytes) -> Iterator[Kill]:
        """Take the next block; the kills of the reports that end in it."""
        data = self._before + block
        words = _KeyWords(data)
        at = 0
        while at < len(data):
            if not self._assembler.busy:
                word = words.first_from(at)
                if word is None:
                    break
                start = _line_start(data, max(at, word - _LOOK_BACK_BYTES), at)
                if start > at:  # what the framer knows is of a place before
                    self._framer = Framer()
                at, end = start, _line_end(data, word)
            else:
                end = _line_end(data, min(at + _STEP_BYTES, len(data)))
            yield from self._lines(data[at:end])
            at = end
        self._before = data[_line_start(data, max(at, len(data) - _LOOK_BACK_BYTES), at) :]

    def end(self) -> Iterator[Kill]:
        """The kills of the reports that are open at the log's end."""
        for line in self._framer.end():
            yield from self._assembler.feed(line)
        yield from self._assembler.end()

    def _lines(self, data: bytes) -> Iterator[Kill]:
        for raw in data.removesuffix(b"\n").split(b"\n"):
            for line in self._framer.feed(raw):
                yield from self._assembler.feed(line)


class _KeyWords:
    """Where the key words stand in some bytes, each looked for once on the way through."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._next = dict.fromkeys(_KEY_WORDS, 0)

    def first_from(self, at: int) -> int | None:
        """The place of the first key word at `at` or after; `at` must not go back."""
        for word, place in list(self._next.items()):
            if place < at or place == 0:
                found = self._data.find(word, at)
                if found < 0:
                    del self._next[word]
                else:
                    self._next[word] = found
        return min(self._next.values(), default=None)


def _line_start(data: bytes, at: int, least: int) -> int:
    """Where the line begins in which `at` is, `least` (the beginning of a line) at the earliest."""
    return max(least, data.rfind(b"\n", least, at) + 1)


def _line_end(data: bytes, at: int) -> int:
    """Where the line ends in which `at` is, its line end included."""
    found = data.find(b"\n", at)
    return len(data) if found < 0 else found + 1


def scan(blocks: Iterable[bytes], calendar: Calendar) -> Iterator[Kill]:
    """All kills in a log, in the order of their reports; `blocks` must end at lines' ends."""
    scanner = Scanner(calendar)
    for block in blocks:
        yield from scanner.feed(block)
    yield from scanner.end()


def kills_in(lines: Iterable[bytes], calendar: Calendar) -> Iterator[Kill]:
    """All kills in a log that comes line by line, each line looked at (as from a short file)."""
    framer, assembler = Framer(), Assembler(calendar)
    for raw in lines:
        for line in framer.feed(raw.rstrip(b"\n")):
            yield from assembler.feed(line)
    for line in framer.end():
        yield from assembler.feed(line)
    yield from assembler.end()
