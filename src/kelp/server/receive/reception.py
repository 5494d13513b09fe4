"""What all handlers that take something have in common: how a body gets in, and what may stop it.

Decoding and fsync block, so they happen in threads; bodies are held within a budget, so that many
senders at once wait at the door instead of filling the memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from starlette.requests import Request

from kelp.server.http.body import BodyBudget, declared_size, read_body
from kelp.server.http.refusal import busy
from kelp.server.receive.inbox import InboxFull

T = TypeVar("T")


class Reception:
    """Takes bodies of up to `max_bytes`; `threads` do what blocks. For one event loop."""

    def __init__(self, bodies: BodyBudget, max_bytes: int, threads: ThreadPoolExecutor) -> None:
        self._bodies = bodies
        self.max_bytes = max_bytes
        self._threads = threads

    async def take(self, request: Request, work: Callable[[bytes], T]) -> T:
        """`work(body)` in a thread; RefusalError (429) where the inbox is full, 413, 408."""
        async with self._bodies.hold(declared_size(request, self.max_bytes)):
            data = await read_body(request, self.max_bytes)
            loop = asyncio.get_running_loop()
            try:
                return await loop.run_in_executor(self._threads, work, data)
            except InboxFull as e:
                raise busy(f"the inbox is full: {e}", e.retry_after_s) from e
