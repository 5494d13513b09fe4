import bz2
import gzip
import io
import lzma

import pytest

from kelp.base.errors import KelpError
from kelp.node.oom.source import MAX_LINE_BYTES, LogCutOffError, blocks, unpacked


def opened(data):
    return io.BufferedReader(io.BytesIO(data))


def read(data, size=64):
    return list(blocks(unpacked(opened(data), "log"), "log", size))


TEXT = b"".join(b"line %d\n" % n for n in range(1000))


@pytest.mark.parametrize("pack", [bytes, gzip.compress, lzma.compress, bz2.compress])
def test_what_the_first_bytes_say_is_unpacked(pack):
    found = read(pack(TEXT))
    assert b"".join(found) == TEXT
    assert all(block.endswith(b"\n") for block in found)


def test_gzip_members_follow_one_another():
    assert b"".join(read(gzip.compress(b"a\n") + gzip.compress(b"b\n"))) == b"a\nb\n"


@pytest.mark.parametrize("data", [b"", b"\n", b"a", b"a\nb", b"\n\n\n"])
def test_small_logs(data):
    assert b"".join(read(data)) == data


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress, bz2.compress])
def test_a_log_that_is_cut_off_gives_what_is_there(pack):
    text = b"".join(b"%x\n" % (n * 2654435761) for n in range(200_000))
    packed = pack(text)
    found = []
    with pytest.raises(LogCutOffError, match="cut off or damaged"):
        found.extend(blocks(unpacked(opened(packed[: len(packed) // 2]), "log"), "log", 4096))


def test_what_was_read_before_the_damage_is_given():
    packed = gzip.compress(TEXT * 100)
    reader = blocks(unpacked(opened(packed[:-20]), "log"), "log", 64)
    assert TEXT.startswith(next(reader))


@pytest.mark.parametrize(
    ("data", "hint"),
    [
        (b"\x28\xb5\x2f\xfd....", "zstd -dc log | kelp oom --file -"),
        (b"LPKSHHRH....", "journalctl --file log -k -o export | kelp oom --file -"),
    ],
)
def test_what_cannot_be_read_is_told_with_a_way_out(data, hint):
    with pytest.raises(KelpError) as e:
        unpacked(opened(data), "log")
    assert hint in str(e.value)


def test_a_line_without_end_is_cut_and_the_next_one_is_whole():
    long = b"x" * (3 * MAX_LINE_BYTES)
    found = b"".join(read(b"a\n" + long + b"\nb\n", 65_536)).split(b"\n")
    assert found[0] == b"a"
    assert set(found[1]) == {ord("x")}
    assert MAX_LINE_BYTES <= len(found[1]) + 2 <= 2 * MAX_LINE_BYTES
    assert found[2:] == [b"b", b""]


def test_a_log_that_is_one_line_takes_a_blocks_memory():
    class Endless:
        left = 500

        def read(self, size):
            self.left -= 1
            return b"x" * size if self.left else b""

    assert sum(len(b) for b in blocks(Endless(), "log", 65_536)) <= 2 * MAX_LINE_BYTES


def test_a_read_error_is_told():
    class Broken:
        def read(self, size):
            raise OSError(5, "Input/output error")

    with pytest.raises(LogCutOffError, match="log: cannot read on: Input/output error"):
        list(blocks(Broken(), "log"))
