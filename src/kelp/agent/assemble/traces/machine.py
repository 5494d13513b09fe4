"""The automaton: the states that a line leads to, for all languages at once.

An exception's first line may belong to several languages, so a trace is followed in a set of
states until its frames tell which it is. What a set of states tries is put together once and kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

import re2

from kelp.agent.assemble.traces.rules import END, LOG_LINE, LOOKED_AT_BYTES, Language, Rule

States = frozenset[str]
NOWHERE: States = frozenset()


class Machine(Protocol):
    """What tells which lines are one record. Must be pure: the same answers for the same lines."""

    def begin(self, line: bytes) -> States:
        """The states behind a line that may begin a record; NOWHERE where it stands alone."""

    def step(self, states: States, line: bytes) -> tuple[States, bool]:
        """(the states behind the next line, whether it joins what came before).

        (NOWHERE, False): the line is none of it. (NOWHERE, True): it is the last one.
        """

    def knows(self, states: States) -> bool:
        """Whether these states, out of a checkpoint, are of this machine."""


def looked_at(body: bytes) -> bytes:
    """What of a line the rules see."""
    return body[:LOOKED_AT_BYTES].rstrip(b"\r\n")


class TraceMachine:
    """The rule sets of several languages as one automaton."""

    def __init__(self, languages: Sequence[Language]) -> None:
        starts = [r for language in languages for r in language.starts]
        self._start_states = [r.to for r in starts]
        self._starts = _Patterns([r.pattern or b"" for r in starts])
        self._log_line = re2.compile(LOG_LINE, OPTIONS).search
        self._states: dict[str, _State] = {}
        for language in languages:
            self._states.update({n: _State(rules) for n, rules in language.states.items()})

    def begin(self, line: bytes) -> States:
        """See Machine. A line of JSON holds its trace in itself."""
        if line.startswith(b"{"):
            return NOWHERE
        names = self._start_states
        return frozenset(names[i] for i in self._starts.found(line))

    def step(self, states: States, line: bytes) -> tuple[States, bool]:
        """See Machine. In each state the first rule that fits counts, and one that joins goes
        before those of other states that only bear.
        """
        fitting = [rule for s in states if (rule := self._states[s].rule(line)) is not None]
        joining = [r for r in fitting if r.joins]
        if any(r.pattern is None for r in joining) and self._is_its_own(line):
            joining = [r for r in joining if r.pattern is not None]
        if joining:
            return frozenset({r.to for r in joining} - {END}), True
        if not fitting or self.is_log_line(line):
            return NOWHERE, False
        if not all(r.pattern is None for r in fitting) or not self._starts.found(line):
            return frozenset(r.to for r in fitting), False
        return NOWHERE, False

    def _is_its_own(self, line: bytes) -> bool:
        return self.is_log_line(line) or bool(self._starts.found(line))

    def is_log_line(self, line: bytes) -> bool:
        """Whether a line looks like a logger's own; such a one is never merely borne."""
        return self._log_line(line) is not None

    def knows(self, states: States) -> bool:
        """See Machine."""
        return states <= self._states.keys()

    def missing_states(self) -> set[str]:
        """States that a rule leads to and that have no rules: a mistake in a language."""
        targets = {r.to for state in self._states.values() for r in state.rules}
        return (targets | set(self._start_states)) - {END} - self._states.keys()


class _State:
    """The rules of one state."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.rules = rules
        self._patterns = _Patterns([r.pattern or b"" for r in rules])

    def rule(self, line: bytes) -> Rule | None:
        """The first rule that fits; whether one for messages really does is not looked at."""
        found = self._patterns.found(line)
        return self.rules[min(found)] if found else None


class _Patterns:
    """Many patterns looked for at once; put together at the first use."""

    def __init__(self, patterns: Sequence[bytes]) -> None:
        self._patterns = patterns
        self._set: re2.Set | None = None

    def found(self, line: bytes) -> list[int]:
        """The numbers of the patterns that are found in the line."""
        if self._set is None:
            self._set = re2.Set.SearchSet(OPTIONS)
            for pattern in self._patterns:
                self._set.Add(pattern)
            self._set.Compile()
        return self._set.Match(line) or []


def _options() -> re2.Options:
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1  # bytes are bytes, whatever they mean
    options.max_mem = 8 << 20  # of the automaton's cache; all starts together need some 2 MiB
    return options


OPTIONS = _options()


def _unique(patterns: Iterable[bytes]) -> list[bytes]:
    return list(dict.fromkeys(patterns))


def evidence_of(languages: Sequence[Language]) -> Mapping[bytes, bytes]:
    """Prefix of one or two bytes → pattern of the lines that prove a trace near them."""
    found: dict[bytes, list[bytes]] = {}
    for language in languages:
        for prefixes, pattern in language.evidence:
            for prefix in prefixes:
                found.setdefault(prefix, []).append(pattern)
    return {prefix: b"|".join(_unique(patterns)) for prefix, patterns in found.items()}
