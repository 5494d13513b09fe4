"""The reports of `kelp node` as files: as JSON for tools, as text for people."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from kelp.base.clock import Clock
from kelp.base.errors import KelpError
from kelp.base.redact import Redactor
from kelp.node.bundle.entry import Entry
from kelp.node.host.looks import FIRST_INTERVAL_S, answer
from kelp.node.host.question import Question
from kelp.node.host.reading import Roots
from kelp.node.host.report import Report
from kelp.node.host.show import text_of

# Redacting takes some ten times as much memory, and the agent has little: 16,000 processes or so.
MAX_REPORT_BYTES = 16 << 20

# All there is of each: whoever reads it cannot ask again.
QUESTIONS = (
    Question(report="top"),
    Question(report="ps", tree=True),
    Question(report="iostat", all=True),
    Question(report="vmstat"),
    Question(report="ss", states="all", protocols="tcp,udp,unix"),
    Question(report="route", all=True),
    Question(report="pressure"),
    Question(report="cgroups", all=True),
)


def report_entries(roots: Roots, clock: Clock, redactor: Redactor) -> Iterator[Entry]:
    """`node/NAME.json` and `node/NAME.txt` of each, out of one look."""
    for question in QUESTIONS:
        look = _Look(question, roots, clock, redactor)
        yield Entry(f"node/{question.report}.json", look.data)
        yield Entry(f"node/{question.report}.txt", look.text)


class _Look:
    def __init__(self, question: Question, roots: Roots, clock: Clock, redactor: Redactor) -> None:
        self._question = question
        self._roots = roots
        self._clock = clock
        self._redactor = redactor
        self._report: Report | None = None

    def data(self) -> bytes:
        """Looks."""
        self._report = self._look()
        return msgspec.json.encode(self._report)

    def _look(self) -> Report:
        interval_s = FIRST_INTERVAL_S if self._question.kind.rated else 0.0
        show = self._redactor.arguments
        found = answer(self._question, interval_s, self._roots, self._clock, show)
        if len(found) > MAX_REPORT_BYTES:
            raise KelpError(
                f"the report takes {len(found)} bytes, more than {MAX_REPORT_BYTES}: "
                f"ask for parts of it with kelp node {self._question.report}"
            )
        # Text is made of what is redacted already: a column that is cut off hides no secret.
        value = self._redactor.value(msgspec.json.decode(found))
        return msgspec.convert(value, self._question.kind.type)

    def text(self) -> bytes:
        """Shows the same look, which is forgotten then."""
        report = self._report or self._look()
        self._report = None
        lines = [*text_of(self._question.report, report), *(f"note: {n}" for n in report.notes)]
        return "".join(f"{line}\n" for line in lines).encode("utf-8", "backslashreplace")
