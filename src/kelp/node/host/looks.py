"""Looks at a node, one after the other: who waits between them, and which of them is thrown away.

Rates need two looks. Here the first of them is made and thrown away where a report says nothing
without rates (`top`, `cgroups`), and kept where it is of the time since boot (`iostat`, `vmstat`).
"""

from __future__ import annotations

import msgspec

from kelp.base.clock import Clock
from kelp.node.host.process import Show
from kelp.node.host.question import Question, QuestionError, Sampler
from kelp.node.host.reading import Roots
from kelp.node.host.report import Report

# Rates need two looks; `top` looks again after as long.
FIRST_INTERVAL_S = 1.0
# An agent answers few at once, and each of them waits for so long at the most.
MAX_INTERVAL_S = 10.0
# Far above what a full node says (a process is about 1 KiB), far below what harms an agent.
MAX_REPORT_BYTES = 64 << 20


class LocalLooks:
    """Looks at the machine of `roots`."""

    def __init__(self, question: Question, roots: Roots, clock: Clock) -> None:
        """Raises KelpError where `roots` are none."""
        roots.check()
        self._primed = question.kind.primed
        self._clock = clock
        self._sampler: Sampler[Report] = question.sampler(roots, clock)

    def first(self, interval_s: float | None) -> Report:
        """The first report; rates are of up to one second, and of no more than the interval."""
        if self._primed:
            self._sampler.sample()
            self._clock.sleep(min(interval_s or FIRST_INTERVAL_S, FIRST_INTERVAL_S))
        return self._sampler.sample()

    def next(self, interval_s: float) -> Report:
        """Another one, so long after the last."""
        self._clock.sleep(interval_s)
        return self._sampler.sample()


def answer(
    question: Question, interval_s: float, roots: Roots, clock: Clock, show: Show | None
) -> bytes:
    """A report as JSON, for somebody elsewhere who asks once; rates are of `interval_s`.

    0: of one second where a report says nothing without rates, else since boot. Raises
    QuestionError, and KelpError where the node cannot be looked at.
    """
    roots.check()
    if not 0 <= interval_s <= MAX_INTERVAL_S:
        raise QuestionError(f"expected interval_s from 0 to {MAX_INTERVAL_S:g}; got {interval_s:g}")
    sampler = question.sampler(roots, clock, show)
    if question.kind.primed:
        interval_s = interval_s or FIRST_INTERVAL_S
    if question.kind.rated and interval_s:
        sampler.sample()
        clock.sleep(interval_s)
    data = msgspec.json.encode(sampler.sample())
    if len(data) > MAX_REPORT_BYTES:
        raise QuestionError(
            f"the report takes {len(data)} bytes, more than {MAX_REPORT_BYTES}: ask for less of it "
            "(a namespace, a pod)"
        )
    return data
