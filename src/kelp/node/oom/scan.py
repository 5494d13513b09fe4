"""A whole log to its kills, fast where there are none.

Most of a log is about something else. A block in which none of the kernel's key words stands is not
looked at line by line, unless a report is open; the block before the first key word is, because a
report whose beginning was lost has its table there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from kelp.node.oom.assemble import Assembler
from kelp.node.oom.calendar import Calendar
from kelp.node.oom.framing import Framer
from kelp.node.oom.kill import Kill

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


class Scanner:
    """Finds the kills in one log that comes in blocks of whole lines."""

    def __init__(self, calendar: Calendar) -> None:
        self._framer = Framer()
        self._assembler = Assembler(calendar)
        self._before: bytes | None = None

    def feed(self, block: bytes) -> Iterator[Kill]:
        """Take the next block; the kills of the reports that end in it."""
        if not self._assembler.busy and not has_key_word(block):
            self._before = block
            return
        if self._before is not None:
            # Blocks were passed over: what the framer knows is of a place long before.
            self._framer = Framer()
            yield from self._lines(self._before.split(b"\n"))
            self._before = None
        yield from self._lines(block.split(b"\n"))

    def end(self) -> Iterator[Kill]:
        """The kills of the reports that are open at the log's end."""
        for line in self._framer.end():
            yield from self._assembler.feed(line)
        yield from self._assembler.end()

    def _lines(self, lines: list[bytes]) -> Iterator[Kill]:
        if lines and not lines[-1]:
            lines.pop()
        for raw in lines:
            for line in self._framer.feed(raw):
                yield from self._assembler.feed(line)


def has_key_word(block: bytes) -> bool:
    """Could there be a word about an OOM in it?"""
    return any(word in block for word in _KEY_WORDS)


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
