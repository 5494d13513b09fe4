"""A journal's text on its way to entries: torn ends, size and time are watched here."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from kelp.kube.client import Answer, LineSplitter
from kelp.kube.errors import AwayError
from kelp.kube.journal_text import JournalText, TextEntry
from kelp.kube.nodelogs import KUBELET_STOPS_AFTER_S, MAX_LINE_BYTES


class JournalReading:
    """One answer, once. After its entries the other fields are known.

    whole    the journal's end was reached, so that the last entry can be trusted
    error    why it was not, where the connection broke off
    stopped  the kubelet probably ended it for its own deadline's sake
    """

    def __init__(
        self,
        answer: Answer,
        now_ns: int,
        limit_bytes: int = 0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`limit_bytes`: leave the rest unread behind so much; 0 for no limit."""
        self._answer = answer
        self._text = JournalText(now_ns)
        self._limit = limit_bytes
        self._monotonic = monotonic
        self.whole = False
        self.stopped = False
        self.error: AwayError | None = None
        self.size = 0

    @property
    def notes(self) -> list[str]:
        """Lines that are no entry's: what the kubelet or journalctl complain of."""
        return self._text.notes

    def entries(self) -> Iterator[TextEntry]:
        """In the journal's order; ends where the answer does, without raising."""
        start = self._monotonic()
        splitter = LineSplitter()
        try:
            for block in self._answer.blocks():
                self.size += len(block)
                for line in splitter.feed(block):
                    yield from self._text.feed(line)
                if splitter.held > MAX_LINE_BYTES or 0 < self._limit <= self.size:
                    return
        except AwayError as e:
            self.error = e
            return
        self.stopped = splitter.held > 0 or self._monotonic() - start >= KUBELET_STOPS_AFTER_S
        self.whole = not self.stopped
        yield from self._text.end(whole=self.whole)


def complaint(notes: list[str]) -> str:
    """What the notes say of why there are no entries; empty where they do not."""
    told = [n for n in notes if n.startswith(_COMPLAINTS) or any(m in n for m in _WITHIN)]
    return "; ".join(told)


def in_a_file(notes: list[str]) -> bool:
    """Of an answer without entries: whether the unit writes to a file, which is what came then.

    A kubelet that finds no journal of a service looks for files of its name below /var/log, and
    wants to be asked for those without any option.
    """
    own = [n for n in notes if not n.startswith(_HINTS)]
    return any(_FILES in n for n in own) or bool(own and not complaint(own))


_FILES = "query resolved to log files"
_HINTS = ("Hint: ", " ", "try without specifying options")  # journalctl's, over several lines
_COMPLAINTS = (
    "log not found for ",
    "error: ",
    "error getting log for ",
    "failed to get ",
    "context error: ",
    "options present and query resolved to log files",
    "Failed to ",
)
_WITHIN = ("Compiled without pattern matching support", "No such boot ID in journal")
