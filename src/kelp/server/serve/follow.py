"""Following a query: asks again and again for what has become searchable, until someone stops it.

Each look takes its turn like any query. Between looks nothing is held but the cursor.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from prometheus_client import CollectorRegistry, Gauge

from kelp.server.http.refusal import RefusalError, busy
from kelp.server.ports import Scope
from kelp.server.result import StreamEntries
from kelp.server.serve.askers import Asker
from kelp.server.serve.queries import Queries

LOOK_EVERY_S = 0.5
PAGE = 2000

# A look reaches back a minute; whoever comes later than that may have missed something.
MAX_PAUSE_S = 45.0


MAX_FOLLOWERS = 200


class Followers:
    """All who follow; `stopping` is set when they must end. For one event loop."""

    def __init__(self, registry: CollectorRegistry, at_most: int = MAX_FOLLOWERS) -> None:
        self.stopping = asyncio.Event()
        self._gauge = Gauge("kelp_server_followers", "Readers who follow.", registry=registry)
        self._at_most = at_most
        self._count = 0

    @contextmanager
    def one_more(self) -> Iterator[None]:
        """A place within the block; raises RefusalError (429) where there is none."""
        if self._count >= self._at_most:
            raise busy(f"{self._count} readers follow already, as many as may", 10.0)
        self._count += 1
        self._gauge.inc()
        try:
            yield
        finally:
            self._count -= 1
            self._gauge.dec()


class TooSlowError(RefusalError):
    """The reader took so long that entries may be missing: it must begin anew where it was."""

    def __init__(self) -> None:
        super().__init__(
            503,
            "the reader is too slow to follow",
            expected=f"what is sent to be read within {MAX_PAUSE_S:g} s",
            hint="follow again from the last record's time",
        )


class Follower:
    """One reader's place. For one task."""

    def __init__(
        self, queries: Queries, asker: Asker, query: str, scope: Scope, cursor: Any
    ) -> None:
        self._queries = queries
        self._asker = asker
        self._query = query
        self._scope = scope
        self._cursor = cursor
        self._looked = time.monotonic()

    async def look(self) -> list[StreamEntries]:
        """What is new, at most PAGE entries; nothing where the engine is too busy just now."""
        if time.monotonic() - self._looked > MAX_PAUSE_S:
            raise TooSlowError
        try:
            found, self._cursor = await self._asker.run(self._tail)
        except RefusalError as e:
            if e.status != 429:
                raise
            return []
        self._looked = time.monotonic()
        return found

    def _tail(self, query_id: str) -> tuple[list[StreamEntries], Any]:
        return self._queries.tail(
            self._query, self._scope, after=self._cursor, limit=PAGE, query_id=query_id
        )


async def pause(stopping: asyncio.Event, seconds: float = LOOK_EVERY_S) -> bool:
    """Wait; True where the server stops meanwhile."""
    try:
        await asyncio.wait_for(stopping.wait(), seconds)
    except TimeoutError:
        return False
    return True
