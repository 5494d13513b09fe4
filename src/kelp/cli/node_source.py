"""Where `kelp node` gets its reports: from this machine, or through a server from a node's agent.

Both take the same questions. An agent keeps nothing between two questions, so where a report tells
of the time between two looks the question says how long that is, and the agent looks twice.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

import msgspec

from kelp.base.clock import Clock, SystemClock
from kelp.base.errors import KelpError
from kelp.node.host.looks import FIRST_INTERVAL_S, MAX_INTERVAL_S, LocalLooks
from kelp.node.host.question import Question
from kelp.node.host.reading import Roots
from kelp.node.host.report import Report

PATH = "/kelp/v1/nodes"


class NotNowError(KelpError):
    """This look failed; the next may not."""


class Looks(Protocol):
    """Looks at a node, one after the other."""

    def first(self, interval_s: float | None) -> Report:
        """The first report; `interval_s` until the next, None where there is none."""

    def next(self, interval_s: float) -> Report:
        """Another one, so long after the last; raises NotNowError where waiting may help."""


class Source(Protocol):
    """A node that can be looked at."""

    @property
    def clock(self) -> Clock:
        """The time by which looks are apart."""

    def looks(self, question: Question) -> Looks:
        """Begin to ask a question; raises KelpError."""


class ThisMachine:
    """The machine that this runs on."""

    def __init__(self, roots: Roots, clock: Clock | None = None) -> None:
        self._roots = roots
        self.clock = clock or SystemClock()

    def looks(self, question: Question) -> Looks:
        """See Source."""
        return LocalLooks(question, self._roots, self.clock)


class Fetch(Protocol):
    """The client's part that is needed here."""

    def get_bytes(self, path: str, params: dict[str, str | int | list[str]]) -> bytes:
        """The body of an answer; raises KelpError."""


class Elsewhere:
    """A node whose agent is asked through a server."""

    def __init__(self, fetch: Fetch, node: str, clock: Clock | None = None) -> None:
        self._fetch = fetch
        self._node = node
        self.clock = clock or SystemClock()

    def looks(self, question: Question) -> Looks:
        """See Source."""
        return _RemoteLooks(self._fetch, self._node, question, self.clock)


class _RemoteLooks:
    def __init__(self, fetch: Fetch, node: str, question: Question, clock: Clock) -> None:
        self._fetch = fetch
        self._path = f"{PATH}/{quote(node, safe='')}/{question.report}"
        self._question = question
        self._clock = clock

    def first(self, interval_s: float | None) -> Report:
        primed = self._question.kind.primed
        wanted = min(interval_s or FIRST_INTERVAL_S, FIRST_INTERVAL_S) if primed else 0.0
        return self._ask(wanted)

    def next(self, interval_s: float) -> Report:
        """Where rates are wanted the agent waits, as long as it may; else we do."""
        from kelp.cli.client import AwayError  # noqa: PLC0415 - takes a while to load

        there_s = min(interval_s, MAX_INTERVAL_S) if self._question.kind.rated else 0.0
        self._clock.sleep(interval_s - there_s)
        try:
            return self._ask(there_s)
        except AwayError as e:
            raise NotNowError(str(e)) from e

    def _ask(self, interval_s: float) -> Report:
        params: dict[str, Any] = dict(self._question.parameters())
        if interval_s:
            params["interval_s"] = f"{interval_s:g}"
        data = self._fetch.get_bytes(self._path, params)
        try:
            return msgspec.json.decode(data, type=self._question.kind.type)
        except msgspec.DecodeError as e:
            raise KelpError(
                f"the answer cannot be read ({e}): has the agent another version than this "
                "command? `kelp node list` shows it"
            ) from e


def machine(proc: Path | None, sys: Path | None, pods: Path | None) -> Roots:
    """The roots that options name, the usual ones for the rest."""
    usual = Roots()
    return Roots(proc or usual.proc, sys or usual.sys, pods or usual.pods)
