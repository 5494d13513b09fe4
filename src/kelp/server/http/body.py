"""Reading a request's body: bounded in size, in time, and in what all bodies hold together."""

from __future__ import annotations

import asyncio
import zlib
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import pyarrow as pa
from starlette.requests import ClientDisconnect, Request

from kelp.server.http.refusal import RefusalError, shown, too_large

# A sender that is silent for so long in the midst of a body is given up.
IDLE_S = 30.0

_CHUNK = 1 << 20

# What is still read, and thrown away, of a body that was refused for its size; and for how long.
_DISCARDED_BYTES = 1 << 28
_DISCARDING_S = 10.0


class BodyBudget:
    """Memory that the bodies of all requests may hold together; whoever comes late waits.

    A waiting request's bytes stay in the kernel's buffers and on the sender's side: that is the
    back-pressure. First come, first served. For one event loop.
    """

    def __init__(self, capacity_bytes: int) -> None:
        self._capacity = capacity_bytes
        self._free = capacity_bytes
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @property
    def used_bytes(self) -> int:
        """What is held now."""
        return self._capacity - self._free

    @asynccontextmanager
    async def hold(self, size: int) -> AsyncIterator[None]:
        """Hold `size` bytes within the block; more than there is at all counts as all."""
        size = min(size, self._capacity)
        await self._take(size)
        try:
            yield
        finally:
            self._give_back(size)

    async def _take(self, size: int) -> None:
        if not self._waiting and self._free >= size:
            self._free -= size
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((size, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._give_back(size)
            else:
                self._waiting = deque(w for w in self._waiting if w[1] is not turn)
                self._wake()
            raise

    def _give_back(self, size: int) -> None:
        self._free += size
        self._wake()

    def _wake(self) -> None:
        while self._waiting and self._waiting[0][0] <= self._free:
            size, turn = self._waiting.popleft()
            if not turn.done():
                self._free -= size
                turn.set_result(None)


def declared_size(request: Request, limit: int) -> int:
    """What the body will hold: its Content-Length, or the limit where it does not say."""
    length = request.headers.get("content-length", "")
    if not length:
        return limit
    if not (length.isascii() and length.isdigit()):
        raise RefusalError(400, "the header Content-Length", expected="a number", got=shown(length))
    if len(length) > 18 or int(length) > limit:
        raise too_large(limit)
    return int(length)


async def read_body(request: Request, limit: int) -> bytes:
    """The whole body; 413 as soon as it is known to be larger, 408 where its sender falls silent.

    Raises starlette's ClientDisconnect where the connection ends first.
    """
    declared_size(request, limit)
    parts: list[bytes] = []
    size = 0
    now = asyncio.get_running_loop().time
    try:
        async with asyncio.timeout(IDLE_S) as silence:
            async for chunk in request.stream():
                silence.reschedule(now() + IDLE_S)
                size += len(chunk)
                if size > limit:
                    raise too_large(limit)
                parts.append(chunk)
    except TimeoutError:
        raise RefusalError(
            408, "the request's body stopped coming", expected=f"bytes within {IDLE_S:g} s"
        ) from None
    return b"".join(parts)


async def discard_body(request: Request) -> None:
    """Read what is left of a body that is refused, so that its sender gets to see the answer.

    Most clients send everything before they read; a connection that is closed meanwhile is reset,
    and the answer is lost with it. Bounded in size and time; keeps nothing. A sender that waits to
    be told to go on (Expect: 100-continue) is answered at once.
    """
    if request.headers.get("expect", "").lower() == "100-continue":
        return
    size = 0
    # RuntimeError: starlette's word for a body that was read to its end before.
    with suppress(TimeoutError, ClientDisconnect, RuntimeError):
        async with asyncio.timeout(_DISCARDING_S):
            async for chunk in request.stream():
                size += len(chunk)
                if size > _DISCARDED_BYTES:
                    return


def decompress(data: bytes, encoding: str, limit: int) -> bytes:
    """Undo a Content-Encoding; 413 where more than `limit` bytes come out, 400 where it is broken.

    gzip, zstd, and deflate (zlib's format as the standard has it, or raw as many senders have it).
    """
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        return data
    if encoding in ("gzip", "x-gzip"):
        return _inflate(data, 31, limit, encoding)
    if encoding == "deflate":
        # zlib's header: method 8, and a multiple of 31 as a big-endian number.
        zlib_header = len(data) >= 2 and data[0] & 15 == 8 and (data[0] << 8 | data[1]) % 31 == 0
        return _inflate(data, 15 if zlib_header else -15, limit, encoding)
    if encoding == "zstd":
        return _unzstd(data, limit)
    raise RefusalError(
        415,
        "the header Content-Encoding",
        expected="gzip, deflate, zstd or none",
        got=shown(encoding),
    )


def _unzstd(data: bytes, limit: int) -> bytes:
    try:
        with pa.CompressedInputStream(pa.BufferReader(data), "zstd") as stream:
            out: bytes = stream.read(limit + 1)
    except OSError as e:
        raise _broken("zstd", str(e)) from None
    if len(out) > limit:
        raise too_large(limit, "decompressed request body")
    return out


def _inflate(data: bytes, window: int, limit: int, encoding: str) -> bytes:
    out: list[bytes] = []
    size = 0
    while data:
        inflater = zlib.decompressobj(window)
        while not inflater.eof:
            try:
                piece = inflater.decompress(data, _CHUNK)
            except zlib.error as e:
                raise _broken(encoding, str(e)) from None
            if not (piece or inflater.eof or inflater.unconsumed_tail):
                raise _broken(encoding, "it is cut short")
            data = inflater.unconsumed_tail
            size += len(piece)
            if size > limit:
                raise too_large(limit, "decompressed request body")
            out.append(piece)
        # gzip allows several members, one after the other.
        data = inflater.unused_data if window > 15 else b""
    return b"".join(out)


def _broken(encoding: str, why: str) -> RefusalError:
    return RefusalError(400, "the body cannot be decompressed", expected=encoding, got=why)


async def until_gone(receive: Callable[[], Awaitable[object]]) -> None:
    """Return when the client has gone away; the body must have been read before."""
    while True:
        message = await receive()
        if isinstance(message, dict) and message.get("type") == "http.disconnect":
            return
