"""A request that waits for a query, and stops it when its client goes away."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from typing import TypeVar

from starlette.requests import ClientDisconnect, Request

from kelp.server.serve.turns import Turns

T = TypeVar("T")


class Asker:
    """Runs queries for requests. `cancel` stops the query with an id."""

    def __init__(self, turns: Turns, cancel: Callable[[str], None]) -> None:
        self._turns = turns
        self._cancel = cancel

    async def ask(self, request: Request, work: Callable[[str], T], query_id: str = "") -> T:
        """`work(query_id)` in its turn; raises ClientDisconnect where the client leaves first.

        The request's body must have been read.
        """
        answer = asyncio.ensure_future(self.run(work, query_id))
        left = asyncio.ensure_future(_left(request))
        try:
            await asyncio.wait([answer, left], return_when=asyncio.FIRST_COMPLETED)
            if not answer.done():
                raise ClientDisconnect
            return answer.result()
        finally:
            left.cancel()
            if not answer.done():
                answer.cancel()
                await asyncio.wait([answer])

    async def run(self, work: Callable[[str], T], query_id: str = "") -> T:
        """`work(query_id)` in its turn; cancelled as the awaiting task is."""
        query_id = query_id or new_query_id()
        return await self._turns.run(lambda: work(query_id), lambda: self._cancel(query_id))


def new_query_id() -> str:
    """A name for a query that nobody else has."""
    return secrets.token_hex(8)


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
