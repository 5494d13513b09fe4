"""Records by the user's own regular expressions: agent.multiline.

A rule names containers by globs and says one of three things about a line: that it starts a
record, that it continues the one before, or that it is unfinished, so that the next belongs to it.
The expressions are RE2's: linear in the line, however they are written.
"""

from __future__ import annotations

from collections.abc import Sequence

import re2

from kelp.agent.assemble.traces.machine import NOWHERE, Machine, States
from kelp.base.glob import labels_fit
from kelp.base.settings import Multiline
from kelp.model.raw import Instance

_OPEN: States = frozenset(("record",))


class _ByPattern:
    """What the three kinds of rules share."""

    def __init__(self, pattern: str) -> None:
        # As bytes, so that a line that is no UTF-8 is matched like any other.
        self._search = re2.compile(pattern.encode()).search

    def matches(self, line: bytes) -> bool:
        return self._search(line) is not None

    def knows(self, states: States) -> bool:
        """See Machine."""
        return states <= _OPEN


class Start(_ByPattern):
    """A line that matches begins a record; what follows belongs to it."""

    def begin(self, line: bytes) -> States:
        """See Machine."""
        return _OPEN if self.matches(line) else NOWHERE

    def step(self, _states: States, line: bytes) -> tuple[States, bool]:
        """See Machine."""
        return (NOWHERE, False) if self.matches(line) else (_OPEN, True)


class Continue(_ByPattern):
    """A line that matches belongs to the one before."""

    def begin(self, _line: bytes) -> States:
        """See Machine."""
        return _OPEN

    def step(self, _states: States, line: bytes) -> tuple[States, bool]:
        """See Machine."""
        return (_OPEN, True) if self.matches(line) else (NOWHERE, False)


class Unfinished(_ByPattern):
    """The line behind one that matches belongs to it."""

    def begin(self, line: bytes) -> States:
        """See Machine."""
        return _OPEN if self.matches(line) else NOWHERE

    def step(self, _states: States, line: bytes) -> tuple[States, bool]:
        """See Machine."""
        return (_OPEN if self.matches(line) else NOWHERE), True


class Configured:
    """Which container has a rule; the first that fits counts."""

    def __init__(self, rules: Sequence[Multiline]) -> None:
        self._rules = [(rule, _machine(rule)) for rule in rules]

    def __bool__(self) -> bool:
        return bool(self._rules)

    def machine(self, instance: Instance) -> Machine | None:
        """The container's own rule; None where it has none."""
        for rule, machine in self._rules:
            if _fits(rule, instance):
                return machine
        return None


def _machine(rule: Multiline) -> Machine:
    if rule.start_pattern:
        return Start(rule.start_pattern)
    if rule.continue_pattern:
        return Continue(rule.continue_pattern)
    return Unfinished(rule.unfinished_pattern)


def _fits(rule: Multiline, instance: Instance) -> bool:
    return labels_fit(
        instance.labels, namespace=rule.namespace, pod=rule.pod, container=rule.container
    )
