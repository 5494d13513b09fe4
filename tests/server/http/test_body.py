"""Bodies: decompression within bounds, and the memory that all of them share."""

from __future__ import annotations

import asyncio
import gzip
import zlib

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kelp.server.http.body import BodyBudget, decompress
from kelp.server.http.refusal import RefusalError

LIMIT = 1 << 16


@given(st.binary(max_size=LIMIT), st.integers(0, LIMIT))
def test_what_was_compressed_comes_out_again(data: bytes, cut: int) -> None:
    assert data == decompress(gzip.compress(data), "gzip", LIMIT)
    assert data == decompress(gzip.compress(data[:cut]) + gzip.compress(data[cut:]), "gzip", LIMIT)
    assert data == decompress(zlib.compress(data), "deflate", LIMIT)
    assert data == decompress(data, "", LIMIT)
    assert data == decompress(pa.compress(data, "zstd", asbytes=True), "zstd", LIMIT)


@given(st.binary(max_size=300), st.sampled_from(["gzip", "deflate", "zstd"]))
def test_any_bytes_are_decompressed_or_refused(data: bytes, encoding: str) -> None:
    try:
        decompress(data, encoding, LIMIT)
    except RefusalError as e:
        assert e.status in (400, 413)


@given(st.binary(min_size=1, max_size=300), st.data())
def test_what_is_cut_short_is_refused(data: bytes, draw: st.DataObject) -> None:
    packed = gzip.compress(data)
    cut = draw.draw(st.integers(1, len(packed) - 1))
    with pytest.raises(RefusalError) as refused:
        decompress(packed[:cut], "gzip", LIMIT)
    assert refused.value.status == 400


def test_a_bomb_is_refused_before_it_is_large() -> None:
    bomb = gzip.compress(b"\0" * (256 << 20), 1)
    with pytest.raises(RefusalError) as refused:
        decompress(bomb, "gzip", LIMIT)
    assert refused.value.status == 413


def test_an_unknown_encoding_names_those_that_are_known() -> None:
    with pytest.raises(RefusalError, match="gzip, deflate, zstd") as refused:
        decompress(b"", "br", LIMIT)
    assert refused.value.status == 415


def test_bodies_wait_for_room_first_come_first_served() -> None:
    async def scenario() -> list[str]:
        budget, told = BodyBudget(10), []

        async def body(name: str, size: int, done: asyncio.Event) -> None:
            async with budget.hold(size):
                told.append(name)
                await done.wait()

        events = {n: asyncio.Event() for n in "abcd"}
        tasks = {}
        for name, size in (("a", 6), ("b", 8), ("c", 1), ("d", 99)):
            tasks[name] = asyncio.create_task(body(name, size, events[name]))
            await asyncio.sleep(0)
        assert told == ["a"]  # b has no room, and c does not overtake it
        tasks["b"].cancel()
        await asyncio.gather(tasks["b"], return_exceptions=True)
        await asyncio.sleep(0)
        assert told == ["a", "c"]
        events["a"].set()
        events["c"].set()
        await asyncio.gather(tasks["a"], tasks["c"])
        await asyncio.sleep(0)
        assert told == ["a", "c", "d"]  # larger than all there is: it gets all there is
        events["d"].set()
        await tasks["d"]
        assert budget.used_bytes == 0
        return told

    asyncio.run(scenario())
