"""Loki's tail: a WebSocket that says what comes, in messages of streams.

One task looks for entries and puts messages into a queue of bounded length, another sends them. A
reader who is too slow for the queue loses entries, and is told which.

Format: https://grafana.com/docs/loki/latest/reference/loki-http-api/#stream-logs
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any

import msgspec
from starlette.routing import BaseRoute, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from kelp.base.clock import Clock
from kelp.server.http.dispatch import refusal_of
from kelp.server.http.endpoint import Endpoint, Parameter, fields_of, read_arguments
from kelp.server.http.kinds import DELAY, TIME, at_least
from kelp.server.http.refusal import RefusalError
from kelp.server.http.times import HOUR, SECOND
from kelp.server.ports import Scope
from kelp.server.result import Entry, StreamEntries, Streams
from kelp.server.serve.askers import Asker
from kelp.server.serve.follow import LOOK_EVERY_S, Follower, Followers, pause
from kelp.server.serve.loki import DEFAULT_LIMIT, QUERY
from kelp.server.serve.loki_json import CATEGORIZE, streams, wants_categories
from kelp.server.serve.loki_query import FLAGS
from kelp.server.serve.queries import Queries, Record
from kelp.server.serve.seam import Seam

PATH = "/loki/api/v1/tail"
NAME = "tail"

_MAX_DELAY_S = 5
_QUEUED = 16  # messages
_MAX_DROPPED = 1000  # that are listed in one message

_GOING_AWAY, _INTERNAL = 1001, 1011  # https://www.rfc-editor.org/rfc/rfc6455#section-7.4.1


class Tail:
    """The handler; `queries` may be replaced while it is in use."""

    def __init__(
        self,
        queries: Queries,
        asker: Asker,
        clock: Clock,
        cursor_at: Callable[[int], Any],
        followers: Followers,
    ) -> None:
        """`cursor_at` makes the cursor with which following begins at a time in ns."""
        self.queries = queries
        self._asker = asker
        self._clock = clock
        self._cursor_at = cursor_at
        self._followers = followers

    async def run(self, socket: WebSocket) -> None:
        """One connection, from its request to its end."""
        try:
            arguments = _arguments(socket)
            with self._followers.one_more():
                session = await self._begin(socket, arguments)
                await socket.accept()
                await session.run()
        except WebSocketDisconnect:
            return
        except Exception as e:  # noqa: BLE001 - the last place that can tell the client
            await _tell(socket, refusal_of(e, NAME))

    async def _begin(self, socket: WebSocket, a: Mapping[str, Any]) -> _Session:
        """What lies in the past, asked before the upgrade: a wrong query is told by its status."""
        scope = Scope(socket.state.tenant)
        now_ns = self._clock.now_ns()
        start_ns = now_ns - HOUR if a["start"] is None else a["start"]

        def past(query_id: str) -> list[StreamEntries]:
            self.queries.check_log_query(a["query"])
            answer = self.queries.range(
                a["query"],
                scope,
                start_ns=min(start_ns, now_ns),
                end_ns=now_ns,
                step_ns=SECOND,
                limit=a["limit"],
                direction="backward",
                query_id=query_id,
            )
            return answer.data.streams if isinstance(answer.data, Streams) else []

        found = await self._asker.run(past)
        seam = Seam(start_ns, now_ns)
        for stream in found:
            for entry in stream.entries:
                seam.give(stream.labels, entry)
        times = [e.timestamp for s in found for e in s.entries]
        if len(times) >= a["limit"]:
            seam.begins_at(min(times))
        cursor = self._cursor_at(seam.since_ns)
        follower = Follower(self.queries, self._asker, a["query"], scope, cursor)
        messages = _Messages(categorize=wants_categories(a[FLAGS.name]))
        messages.put(_oldest_first(found))
        delay = _Delay(min(a["delay_for"], _MAX_DELAY_S * SECOND), seam, self._clock)
        return _Session(socket, follower, messages, delay, self._followers.stopping)

    def endpoint(self) -> Endpoint:
        """Its declaration."""
        return ENDPOINT

    def route(self) -> BaseRoute:
        """Its route; WebSockets have one of their own kind."""
        return WebSocketRoute(PATH, self.run, name=NAME)


class _Session:
    """An open connection."""

    def __init__(
        self,
        socket: WebSocket,
        follower: Follower,
        messages: _Messages,
        delay: _Delay,
        stopping: asyncio.Event,
    ) -> None:
        self._socket = socket
        self._follower = follower
        self._messages = messages
        self._delay = delay
        self._stopping = stopping

    async def run(self) -> None:
        """Until the client goes, the server stops, or something fails."""
        tasks = [asyncio.ensure_future(t) for t in (self._listen(), self._look(), self._send())]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _listen(self) -> None:
        """The client has nothing to say but that it goes."""
        while (await self._socket.receive())["type"] != "websocket.disconnect":
            pass

    async def _look(self) -> None:
        while True:
            found = await self._follower.look()
            if ready := self._delay.ready(found):
                self._messages.put(ready)
            if await pause(self._stopping, 0.01 if found else LOOK_EVERY_S):
                raise RefusalError(503, "the server is stopping", hint="tail again in a moment")

    async def _send(self) -> None:
        while True:
            await self._socket.send_text((await self._messages.next()).decode())


class _Delay:
    """Holds entries back for a while, so that those that come late are given in order."""

    def __init__(self, delay_ns: int, seam: Seam, clock: Clock) -> None:
        self._delay_ns = delay_ns
        self._seam = seam
        self._clock = clock
        self._held: list[Record] = []

    def ready(self, found: Iterable[StreamEntries]) -> list[StreamEntries]:
        """What is old enough of what is held and what was found."""
        now_ns = self._clock.now_ns()
        news = self._seam.news(found, now_ns)
        if not self._delay_ns:
            return _gathered(news)
        self._held = sorted(self._held + news, key=lambda r: (r[1].timestamp, r[1].position))
        due = [r for r in self._held if r[1].timestamp <= now_ns - self._delay_ns]
        self._held = self._held[len(due) :]
        return _gathered(due)


class _Messages:
    """A queue of messages between the task that finds entries and the one that sends them."""

    def __init__(self, *, categorize: bool) -> None:
        self._categorize = categorize
        self._queue: asyncio.Queue[list[StreamEntries]] = asyncio.Queue(_QUEUED)
        self._dropped: list[dict[str, Any]] = []

    def put(self, found: list[StreamEntries]) -> None:
        """Add a message; where there is no room, its entries are dropped."""
        if not found:
            return
        try:
            self._queue.put_nowait(found)
        except asyncio.QueueFull:
            gone = [
                {"labels": s.labels, "timestamp": str(e.timestamp)}
                for s in found
                for e in s.entries
            ]
            self._dropped = (self._dropped + gone)[-_MAX_DROPPED:]

    async def next(self) -> bytes:
        """The next message, encoded."""
        found = await self._queue.get()
        message: dict[str, Any] = {"streams": streams(found, categorize=self._categorize)}
        if self._categorize:
            message["encodingFlags"] = [CATEGORIZE]
        if self._dropped:
            message["dropped_entries"], self._dropped = self._dropped, []
        return msgspec.json.encode(message)


def _oldest_first(found: Iterable[StreamEntries]) -> list[StreamEntries]:
    return [StreamEntries(s.labels, s.entries[::-1]) for s in found]


def _gathered(records: Iterable[Record]) -> list[StreamEntries]:
    together: dict[tuple[tuple[str, str], ...], tuple[dict[str, str], list[Entry]]] = {}
    for labels, entry in records:
        together.setdefault(tuple(labels.items()), (labels, []))[1].append(entry)
    return [StreamEntries(labels, entries) for labels, entries in together.values()]


def _arguments(socket: WebSocket) -> dict[str, Any]:
    given = fields_of(socket.url.query.encode())
    return read_arguments(ENDPOINT, given, {}, socket.headers)


async def _tell(socket: WebSocket, refusal: RefusalError) -> None:
    """By the status of the answer where there was no upgrade yet, else by the closing code."""
    with suppress(RuntimeError, WebSocketDisconnect):  # the client may be gone already
        if socket.application_state.name == "CONNECTING":
            await socket.send_denial_response(refusal.as_response(as_json=False))
        else:
            code = _INTERNAL if refusal.status == 500 else _GOING_AWAY
            # A close frame holds 125 bytes, two of which are the code.
            reason = refusal.text().encode()[:120].decode("utf-8", "ignore")
            await socket.close(code, reason)


async def _only_websocket(_call: object) -> Any:
    raise RefusalError(
        400, "this route is a WebSocket", expected="the header Upgrade: websocket", got="none"
    )


ENDPOINT = Endpoint(
    PATH,
    ("GET",),
    NAME,
    "A WebSocket of what comes; messages are {streams, dropped_entries}.",
    _only_websocket,
    (
        QUERY,
        Parameter("delay_for", "Seconds to wait for late entries, up to 5.", DELAY, default=0),
        Parameter(
            "limit", "Entries of the past to begin with.", at_least(1), default=DEFAULT_LIMIT
        ),
        Parameter("start", "Where the past begins; default: one hour ago.", TIME),
        FLAGS,
    ),
    statuses=(400, 422, 429, 503),
)
