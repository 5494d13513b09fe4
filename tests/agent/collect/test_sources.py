from __future__ import annotations

import gzip
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kelp.agent.collect.sources import GzSource, PlainSource, gz_head, gz_size_hint


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


def read_all(source: GzSource, step: int = 1000) -> bytes:
    data, room = b"", memoryview(bytearray(step))
    while n := source.read_at(len(data), room):
        data += bytes(room[:n])
        source.release(len(data))
    return data


@pytest.mark.parametrize("members", [1, 2, 5])
def test_all_members_are_read(opened: Callable[[bytes], int], members: int) -> None:
    parts = [os.urandom(5000) + b"x" * 300_000 for _ in range(members)]
    source = GzSource(opened(b"".join(map(gzip.compress, parts))))
    assert b"".join(parts) == read_all(source)
    assert (source.ended, source.broken) == (True, False)


@pytest.mark.parametrize("padding", [b"\0" * 512, b"rubbish", b"\x1f"])
def test_padding_behind_the_last_member_is_nothing(
    opened: Callable[[bytes], int], padding: bytes
) -> None:
    source = GzSource(opened(gzip.compress(b"content") + padding))
    assert read_all(source) == b"content"
    assert not source.broken


def test_a_file_cut_short_gives_what_it_has(opened: Callable[[bytes], int]) -> None:
    data = b"".join(b"%d line\n" % i for i in range(20_000))
    source = GzSource(opened(gzip.compress(data)[:-2000]))
    got = read_all(source)
    assert data.startswith(got)
    assert len(got) > len(data) // 2
    assert (source.broken, source.cut_short) == (True, True)


def test_a_damaged_file_gives_what_comes_before(opened: Callable[[bytes], int]) -> None:
    data = os.urandom(1 << 20)
    packed = bytearray(gzip.compress(data))
    packed[-5] ^= 0xFF  # the checksum
    source = GzSource(opened(bytes(packed)))
    assert len(data) - (1 << 18) <= len(read_all(source))
    assert (source.broken, source.cut_short) == (True, False)


@pytest.mark.parametrize(
    "content", [b"", b"not gzip", b"\x1f\x8b", b"\x1f\x8b\x08\0" + b"\xff" * 50]
)
def test_what_is_no_gzip_is_broken(opened: Callable[[bytes], int], content: bytes) -> None:
    source = GzSource(opened(content))
    assert read_all(source) == b""
    assert source.broken


def test_a_bomb_is_held_only_as_far_as_it_is_asked_for(opened: Callable[[bytes], int]) -> None:
    source = GzSource(opened(gzip.compress(b"\0" * (64 << 20))))
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
    plain, packed = PlainSource(fds[0]), GzSource(fds[1])
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
    assert data[:1024] == gz_head(fd, 1024)
    assert size == gz_size_hint(fd, len(packed))


def test_no_size_where_the_trailer_cannot_be_true(opened: Callable[[bytes], int]) -> None:
    assert gz_size_hint(opened(b"\x1f\x8b\xff\xff\xff\xff"), 6) == 0
    assert gz_head(opened(b"rubbish"), 1024) == b""
