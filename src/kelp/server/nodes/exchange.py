"""One question under way: handed to an agent once, its answer passed on part by part.

The agent's side puts parts in, the caller's side takes them out; neither is ahead of the other by
more than a few. Whichever side ends it, the other is told. For one event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import TypeVar

from kelp.wire.asks import Ask, Outcome

T = TypeVar("T")

# Parts that lie here when the agent is faster than the caller.
_AHEAD = 2


class GoneError(Exception):
    """Nobody waits for this answer (any more)."""


class LateError(Exception):
    """The question's time is over."""


class OrderError(Exception):
    """A part came that is not the next one."""


@dataclass(frozen=True)
class Part:
    """A piece of an answer; `data` is the reason where `outcome` is not ok."""

    number: int
    data: bytes
    last: bool = True
    outcome: Outcome = "ok"


class Exchange:
    """A question with its deadline, in seconds of the event loop's clock."""

    def __init__(self, ask: Ask, tenant: str, node: str, deadline: float) -> None:
        self.ask = ask
        self.tenant = tenant
        self.node = node
        self.deadline = deadline
        self.agent_id = ""  # empty until it is handed out
        self.ended = False
        self._next = 0
        self._parts: asyncio.Queue[Part | None] = asyncio.Queue(_AHEAD)
        self._putting = asyncio.Lock()

    @property
    def handed_out(self) -> bool:
        """Whether an agent has it."""
        return bool(self.agent_id)

    @property
    def left_s(self) -> float:
        """Seconds until the deadline."""
        return self.deadline - asyncio.get_running_loop().time()

    async def put(self, part: Part) -> None:
        """Take the next part of the agent; returns when it lies here or further on.

        One that came before is passed over: an agent that did not hear of it sends it again. Raises
        OrderError, LateError, and GoneError where the caller has left.
        """
        async with self._putting:
            if self.ended and part.number >= self._next:
                raise GoneError
            if self.left_s <= 0:
                raise LateError
            if part.number < self._next:
                return
            if part.number > self._next:
                raise OrderError(f"expected part {self._next}; got {part.number}")
            await self._in_time(self._parts.put(part))
            self._next += 1
            if part.last or part.outcome != "ok":
                self.ended = True

    async def part(self) -> Part:
        """The next part for the caller; raises LateError, GoneError where the server stops."""
        part = await self._in_time(self._parts.get())
        if part is None:
            raise GoneError
        return part

    def abandon(self) -> None:
        """The caller takes no more of it; an agent that waits with a part is let go."""
        self.ended = True
        while not self._parts.empty():
            self._parts.get_nowait()

    def stop(self) -> None:
        """Let both sides go: the server stops."""
        self.abandon()
        self._parts.put_nowait(None)

    async def _in_time(self, waiting: Awaitable[T]) -> T:
        try:
            async with asyncio.timeout_at(self.deadline):
                return await waiting
        except TimeoutError:
            raise LateError from None
