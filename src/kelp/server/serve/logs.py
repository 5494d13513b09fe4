"""/kelp/v1/logs: any number of records as JSON lines, with bounded memory on both sides.

The engine is asked piece by piece, each in its turn, so that a reader who is slow, or follows for
days, holds no place that another could use.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from starlette.responses import Response, StreamingResponse

from kelp.base.clock import Clock
from kelp.server.http.dispatch import refusal_of
from kelp.server.http.endpoint import Call, Endpoint, Parameter
from kelp.server.http.kinds import BOOLEAN, DURATION, TIME, at_least, one_of
from kelp.server.http.refusal import RefusalError
from kelp.server.http.times import MAX_NS
from kelp.server.serve.askers import Asker, new_query_id
from kelp.server.serve.follow import LOOK_EVERY_S, Follower, Followers, pause
from kelp.server.serve.loki import QUERY, ScopeOf
from kelp.server.serve.ndjson import end_line, error_line
from kelp.server.serve.queries import Queries
from kelp.server.serve.ranges import range_of
from kelp.server.serve.reading import News, Question, Reading
from kelp.server.serve.seam import Seam

NDJSON = "application/x-ndjson"
NAME = "logs"

MAX_TAIL = 100_000  # `tail` must be held in memory to be turned round

# With `follow`: an empty line where nothing was said for so long.
_SIGN_OF_LIFE_S = 1.0
_LOSSES_EVERY_S = 5.0


class Logs:
    """The handler; `queries` may be replaced while it is in use."""

    def __init__(
        self,
        queries: Queries,
        asker: Asker,
        scope_of: ScopeOf,
        clock: Clock,
        cursor_at: Callable[[int], Any],
        followers: Followers,
    ) -> None:
        """`cursor_at` makes the cursor with which following begins at a time in ns."""
        self.queries = queries
        self._asker = asker
        self._scope_of = scope_of
        self._clock = clock
        self._cursor_at = cursor_at
        self._followers = followers

    async def get(self, call: Call) -> Response:
        """The records of a query, and with `follow` those that come."""
        a = call.arguments
        _check(a)
        now_ns = self._clock.now_ns()
        asked = range_of({**a, "end": a["end"] or MAX_NS}, now_ns, now_ns)
        question = Question(
            a["query"],
            self._scope_of(call),
            asked,
            limit=a["limit"],
            newest=a["tail"],
            backward=a["direction"] == "backward",
            losses=a["losses"],
        )
        seam = Seam(asked.start_ns, now_ns) if a["follow"] else None
        reading = Reading(self.queries, question, new_query_id(), seam)
        # The first piece comes before the status does, so that a wrong query has its own.
        first = await self._asker.ask(call.request, lambda _: reading.piece(), reading.query_id)
        following = None
        if seam is not None:
            cursor = self._cursor_at(seam.since_ns)
            following = (
                Follower(self.queries, self._asker, question.query, question.scope, cursor),
                News(self.queries, question, reading, seam),
            )
        return StreamingResponse(self._lines(reading, first, following), media_type=NDJSON)

    async def _lines(
        self, reading: Reading, first: bytes, following: tuple[Follower, News] | None
    ) -> AsyncIterator[bytes]:
        piece = first
        try:
            while piece:
                yield piece
                piece = await self._asker.run(lambda _: reading.piece(), reading.query_id)
            if following is None:
                yield end_line(reading.count, reading.warnings) + b"\n"
                return
            with self._followers.one_more():
                async for piece in self._coming(*following):
                    yield piece
        except Exception as e:  # noqa: BLE001 - the status is out: the error becomes the last line
            yield error_line(refusal_of(e, NAME)) + b"\n"

    async def _coming(self, follower: Follower, news: News) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        spoken = looked = loop.time()
        while True:
            found = await follower.look()
            piece = news.lines(found, self._clock.now_ns())
            if news.wants_losses and loop.time() - looked >= _LOSSES_EVERY_S:
                looked = loop.time()
                piece += await self._asker.run(
                    lambda query_id: news.losses(self._clock.now_ns(), query_id)
                )
            if piece or loop.time() - spoken >= _SIGN_OF_LIFE_S:
                spoken = loop.time()
                yield piece or b"\n"
            # Where there was something, there may be more at once.
            if await pause(self._followers.stopping, 0.01 if found else LOOK_EVERY_S):
                raise RefusalError(503, "the server is stopping", hint="follow again in a moment")

    def endpoint(self) -> Endpoint:
        """Its declaration."""
        return Endpoint(
            "/kelp/v1/logs",
            ("GET", "POST"),
            NAME,
            "Records of a log query in total order, one JSON object a line.",
            self.get,
            _PARAMETERS,
            content_types=(NDJSON,),
            statuses=(400, 422, 429, 503),
        )


def _check(a: Mapping[str, Any]) -> None:
    exclusive = [("tail", "limit"), ("tail", "direction"), ("follow", "end"), ("follow", "limit")]
    for one, other in exclusive:
        if a[one] and a[other] is not None:
            raise RefusalError(
                400,
                f"the parameters '{one}' and '{other}' exclude each other",
                hint="tail gives the newest records, oldest first; follow has no end",
            )
    if a["follow"] and a["direction"] == "backward":
        raise RefusalError(
            400, "the parameter 'direction'", expected="forward with follow", got="backward"
        )


_PARAMETERS = (
    QUERY,
    Parameter("start", "From here, inclusive; default: the oldest record.", TIME),
    Parameter("end", "Up to here, exclusive; default: the newest record.", TIME),
    Parameter("since", "Duration before `end` (or now), in place of `start`.", DURATION),
    Parameter("limit", "At the most so many records; default: no limit.", at_least(1)),
    Parameter("tail", "The newest so many records, oldest first.", at_least(1, MAX_TAIL)),
    Parameter("direction", "forward (default) or backward.", one_of("forward", "backward")),
    Parameter("follow", "true: go on with what comes.", BOOLEAN, default=False),
    Parameter("losses", "false: leave out losses.", BOOLEAN, default=True),
)
