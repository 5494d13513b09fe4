"""Waiting for something on behalf of a client that may leave meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect

from kelp.server.http.body import until_gone
from kelp.server.http.endpoint import Call

T = TypeVar("T")


async def unless_gone(call: Call, answer: Coroutine[Any, Any, T]) -> T:
    """What `answer` gives; raises ClientDisconnect, and cancels it, where the client leaves first.

    The request's body must have been read.
    """
    coming = asyncio.ensure_future(answer)
    gone = asyncio.ensure_future(until_gone(call.request.receive))
    try:
        await asyncio.wait([coming, gone], return_when=asyncio.FIRST_COMPLETED)
        if not coming.done():
            raise ClientDisconnect
        return coming.result()
    finally:
        for task in (coming, gone):
            task.cancel()
