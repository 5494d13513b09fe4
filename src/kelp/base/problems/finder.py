"""Which lines of a batch tell of a problem, and of which.

Literals are looked for in all lines at once, as in one block; only lines that have one are looked
at by themselves, with the patterns of the rules. So a batch without problems costs one scan.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cache, cached_property

import numpy as np
import pyarrow as pa
import re2
from msgspec import Struct

from kelp.base.problems.container import CONTAINER_RULES
from kelp.base.problems.kernel import KERNEL_RULES
from kelp.base.problems.node import NODE_RULES
from kelp.base.problems.rule import PROBLEM, Rule, Where
from kelp.base.problems.subject import groups, subject_of


def _options(memory_bytes: int) -> re2.Options:
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1  # bodies are bytes: one of them is one character
    options.max_mem = memory_bytes
    return options


# RE2 takes what it is given for the states that it has met: for one line at a time little will do.
_OPTIONS, _WORDS_OPTIONS = _options(1 << 20), _options(4 << 20)

# What is looked at of one line by itself: a trace may be long, and says it early or at its end.
_HEAD_BYTES, _TAIL_BYTES = 16_384, 4_096
# What an attribute holds of a name or a path; the whole stands in the body.
_MAX_VALUE_CHARS = 256


class Problem(Struct, frozen=True):
    """What a line tells of: `attributes` has PROBLEM, and what the rule caught."""

    severity: int
    attributes: dict[str, str]


class Finder:
    """The rules of one kind of place; a pattern is compiled when a line has one of its words."""

    def __init__(self, rules: Sequence[Rule], *, names_pods: bool = False) -> None:
        self._rules = rules
        self._names_pods = names_pods
        self._of_word: dict[bytes, list[int]] = {}
        for number, rule in enumerate(rules):
            for word in rule.words:
                self._of_word.setdefault(word.encode(), []).append(number)

    @cached_property
    def _words(self) -> re2._Regexp[bytes]:
        words = (re2.escape(word.decode()) for word in self._of_word)
        return re2.compile("|".join(words).encode(), _WORDS_OPTIONS)

    def find(self, bodies: pa.BinaryArray) -> Iterator[tuple[int, Problem]]:
        """(row, its problem) of the rows that have one, in their order."""
        _, offsets, data = bodies.buffers()
        begins = np.frombuffer(offsets, np.int32)[bodies.offset :][: len(bodies) + 1]
        at, end = (int(begins[0]), int(begins[-1])) if len(bodies) else (0, 0)
        while at < end and (word := self._words.search(data, at, end)) is not None:
            row = int(np.searchsorted(begins, word.start(), side="right")) - 1
            problem = self.of(bodies[row].as_py())
            if problem is not None:
                yield row, problem
            at = int(begins[row + 1])

    def of(self, body: bytes) -> Problem | None:
        """The problem of one line, None where it has none."""
        looked_at = _looked_at(body)
        found = set(self._words.findall(looked_at))
        for number in sorted({number for word in found for number in self._of_word[word]}):
            rule = self._rules[number]
            match = _compiled(rule.pattern).search(looked_at)
            if match is not None:
                return self._problem(rule, groups(match), looked_at)
        return None

    def _problem(self, rule: Rule, caught: dict[str, str], body: bytes) -> Problem:
        if self._names_pods:
            caught = subject_of(body) | caught
        attributes = {name: value[:_MAX_VALUE_CHARS] for name, value in caught.items()}
        return Problem(rule.severity, {PROBLEM: rule.reason, **attributes})


@cache
def _compiled(pattern: str) -> re2._Regexp[bytes]:
    return re2.compile(pattern.encode(), _OPTIONS)


def _looked_at(body: bytes) -> bytes:
    if len(body) <= _HEAD_BYTES + _TAIL_BYTES:
        return body
    return body[:_HEAD_BYTES] + b"\n" + body[-_TAIL_BYTES:]


FINDERS: dict[Where, Finder] = {
    "kernel": Finder(KERNEL_RULES),
    "node": Finder(NODE_RULES, names_pods=True),
    "container": Finder(CONTAINER_RULES),
}
# What the kernel's audit log holds, where a daemon keeps it apart from the kernel's log.
_DENIALS = ("AppArmorDenied", "SELinuxDenied", "SeccompDenied")
DENIALS = Finder([rule for rule in KERNEL_RULES if rule.reason in _DENIALS])


def tells_of_kernel_problem(line: bytes) -> bool:
    """Does a kernel line tell of another problem than an OOM kill?"""
    problem = FINDERS["kernel"].of(line)
    return problem is not None and problem.attributes[PROBLEM] not in _PARTS_OF_A_REPORT


# An OOM report's own lines, which it must not lose: the panic that panic_on_oom asks for.
_PARTS_OF_A_REPORT = ("OOMKilling", "KernelPanic", "KernelWarning")


def all_rules() -> Iterable[tuple[Where, Rule]]:
    """Every rule with where it is looked for."""
    for where, rules in (
        ("kernel", KERNEL_RULES), ("node", NODE_RULES), ("container", CONTAINER_RULES),
    ):  # fmt: skip
        for rule in rules:
            yield where, rule  # type: ignore[misc]  # the literals above are of Where
