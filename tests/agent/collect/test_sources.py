from __future__ import annotations

import bz2
import gzip
import lzma
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kelp.agent.collect.sources import PackedSource, PlainSource, packed_head, packed_size_hint


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[[bytes], int]]:
    fds: list[int] = []

    def write(data: bytes) -> int:
        path = tmp_path / f"{len(fds)}.gz"
        path.write_bytes(data)
        fds.append(os.open(path, os.O_RDONLY))
        return fds[-1]

    yield write
    for fd in fds:
        os.close(fd)


def read_all(source: PackedSource, step: int = 1000) -> bytes:
    data, room = b"", memoryview(bytearray(step))
    while n := source.read_at(len(data), room):
        data += bytes(room[:n])
        source.release(len(data))
    return data


def zstd(data: bytes) -> bytes:
    return bytes(pa.compress(data, "zstd", asbytes=True))


PACKERS = [gzip.compress, bz2.compress, lzma.compress, zstd]


@pytest.mark.parametrize("pack", PACKERS)
@pytest.mark.parametrize("members", [1, 2, 5])
def test_all_members_are_read(
    opened: Callable[[bytes], int], members: int, pack: Callable[[bytes], bytes]
) -> None:
    parts = [os.urandom(5000) + b"x" * 300_000 for _ in range(members)]
    source = PackedSource(opened(b"".join(map(pack, parts))))
    assert b"".join(parts) == read_all(source)
    assert (source.ended, source.broken) == (True, False)
    assert parts[0][:1024] == packed_head(opened(pack(parts[0])), 1024)


@pytest.mark.parametrize("pack", PACKERS)
def test_any_file_cut_short_gives_what_it_has(
    opened: Callable[[bytes], int], pack: Callable[[bytes], bytes]
) -> None:
    data = b"".join(os.urandom(20) + b"%d line\n" % i for i in range(60_000))
    source = PackedSource(opened(pack(data)[:-2000]))
    got = read_all(source)
    assert data.startswith(got)
    assert len(got) > len(data) // 2
    assert (source.broken, source.cut_short) == (True, True)


@pytest.mark.parametrize("pack", PACKERS)
def test_any_damaged_file_is_broken(
    opened: Callable[[bytes], int], pack: Callable[[bytes], bytes]
) -> None:
    packed = bytearray(pack(os.urandom(1 << 20)))
    packed[len(packed) // 2 : len(packed) // 2 + 64] = bytes(64)
    source = PackedSource(opened(bytes(packed)))
    read_all(source)
    assert source.ended
    # zstd has no checksum unless it is asked for one.
    assert source.broken or pack is zstd


def test_xz_that_asks_for_too_much_memory_is_broken(opened: Callable[[bytes], int]) -> None:
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 256 << 20}]
    packed = lzma.compress(b"line\n", filters=filters)
    source = PackedSource(opened(packed))
    assert b"" == read_all(source)
    assert source.broken


@pytest.mark.parametrize("padding", [b"\0" * 512, b"rubbish", b"\x1f"])
def test_padding_behind_the_last_member_is_nothing(
    opened: Callable[[bytes], int], padding: bytes
) -> None:
    source = PackedSource(opened(gzip.compress(b"content") + padding))
    assert read_all(source) == b"content"
    assert not source.broken


def test_a_file_cut_short_gives_what_it_has(opened: Callable[[bytes], int]) -> None:
    data = b"".join(b"%d line\n" % i for i in range(20_000))
    source = PackedSource(opened(gzip.compress(data)[:-2000]))
    got = read_all(source)
    assert data.startswith(got)
    assert len(got) > len(data) // 2
    assert (source.broken, source.cut_short) == (True, True)


def test_a_damaged_file_gives_what_comes_before(opened: Callable[[bytes], int]) -> None:
    data = os.urandom(1 << 20)
    packed = bytearray(gzip.compress(data))
    packed[-5] ^= 0xFF  # the checksum
    source = PackedSource(opened(bytes(packed)))
    assert len(data) - (1 << 18) <= len(read_all(source))
    assert (source.broken, source.cut_short) == (True, False)


@pytest.mark.parametrize(
    "content", [b"", b"not gzip", b"\x1f\x8b", b"\x1f\x8b\x08\0" + b"\xff" * 50]
)
def test_what_is_no_gzip_is_broken(opened: Callable[[bytes], int], content: bytes) -> None:
    source = PackedSource(opened(content))
    assert read_all(source) == b""
    assert source.broken


def test_a_bomb_is_held_only_as_far_as_it_is_asked_for(opened: Callable[[bytes], int]) -> None:
    source = PackedSource(opened(gzip.compress(b"\0" * (64 << 20))))
    room = memoryview(bytearray(1000))
    for offset in range(0, 60 << 20, 10 << 20):
        assert source.read_at(offset, room) == 1000
        assert source.reached - offset <= 1 << 20


reads = st.lists(st.tuples(st.integers(0, 5000), st.integers(1, 3000)), max_size=20)


@settings(max_examples=60)
@given(st.binary(max_size=4000), reads)
def test_reading_anywhere_gives_the_same_from_both(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, reads: list[tuple[int, int]]
) -> None:
    folder = tmp_path_factory.mktemp("sources")
    (folder / "plain").write_bytes(data)
    (folder / "gz").write_bytes(gzip.compress(data))
    fds = [os.open(folder / n, os.O_RDONLY) for n in ("plain", "gz")]
    plain, packed = PlainSource(fds[0]), PackedSource(fds[1])
    for offset, size in reads:
        rooms = [memoryview(bytearray(size)) for _ in range(2)]
        sizes = [s.read_at(offset, r) for s, r in zip((plain, packed), rooms, strict=True)]
        assert sizes[0] == sizes[1] == max(0, min(size, len(data) - offset))
        assert bytes(rooms[0]) == bytes(rooms[1])
    for fd in fds:
        os.close(fd)


@pytest.mark.parametrize("size", [0, 10, 5000, 3 << 20])
def test_head_and_size(opened: Callable[[bytes], int], size: int) -> None:
    data = (b"line of a log\n" * (size // 14 + 1))[:size]
    packed = gzip.compress(data)
    fd = opened(packed)
    assert data[:1024] == packed_head(fd, 1024)
    assert size == packed_size_hint(fd, len(packed))


def test_no_size_where_the_trailer_cannot_be_true(opened: Callable[[bytes], int]) -> None:
    assert packed_size_hint(opened(b"\x1f\x8b\xff\xff\xff\xff"), 6) == 0
    assert packed_head(opened(b"rubbish"), 1024) == b""
