"""The Journal Export Format: every value as it was, however the blocks fall."""

import struct
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kelp.wire.journal_export import MAX_VALUES, Entry, ExportParser

SHARED = Path(__file__).parents[3] / "shared" / "data" / "klog-journald"
LIMIT = 1 << 20


def export(fields: list[tuple[str, bytes]]) -> bytes:
    """As journald writes it: binary where a byte is a control character or no UTF-8."""
    out = b""
    for name, value in fields:
        if any(c < 32 and c != 9 for c in value) or not is_utf8(value):
            out += name.encode() + b"\n" + struct.pack("<Q", len(value)) + value + b"\n"
        else:
            out += name.encode() + b"=" + value + b"\n"
    return out + b"\n"


def is_utf8(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def parse(data: bytes, size: int = 1 << 16, limit: int = LIMIT) -> list[Entry]:
    parser = ExportParser(limit)
    found = []
    for at in range(0, len(data), size):
        found += parser.feed(data[at : at + size])
    return found


def values(entry: Entry) -> dict[str, list[bytes]]:
    return {n: [v, *entry.repeated.get(n, [])] for n, v in entry.fields.items()}


names = st.text("ABCXYZ_019", min_size=1, max_size=12).filter(lambda n: not n[0].isdigit())
entries = st.lists(
    st.lists(st.tuples(names, st.binary(max_size=40)), min_size=1, max_size=8), max_size=6
)


@given(entries, st.integers(1, 50))
def test_every_value_comes_back(given_entries: list[list[tuple[str, bytes]]], size: int) -> None:
    expected, sizes = [], []
    for fields in given_entries:
        of: dict[str, list[bytes]] = {}
        for name, value in fields:
            of.setdefault(name, []).append(value)
        if not all(name.startswith("__") for name in of):  # addresses alone are no entry
            expected.append(of)
            sizes.append(len(export(fields)))
    data = b"".join(map(export, given_entries))
    assert expected == [values(e) for e in parse(data, size)]
    assert sizes == [e.size for e in parse(data, size)]


@given(st.binary(max_size=300), st.integers(1, 40), st.integers(1, 20))
def test_any_bytes_are_taken(data: bytes, size: int, limit: int) -> None:
    whole = parse(data, len(data) or 1, limit)
    assert [values(e) for e in whole] == [values(e) for e in parse(data, size, limit)]


@given(st.lists(st.sampled_from([b"A", b"=", b"\n", b"\n\n", b"\0" * 7, b"\3\0\0\0\0\0\0\0"])))
def test_any_shape_is_taken_the_same_in_any_blocks(parts: list[bytes]) -> None:
    data = b"".join(parts)
    assert [values(e) for e in parse(data, 1 << 16, 4)] == [values(e) for e in parse(data, 1, 4)]


def test_a_binary_value_may_hold_what_ends_entries() -> None:
    value = b"a\n\nMESSAGE=b\n\n__CURSOR=no\n"
    data = export([("MESSAGE", value), ("PRIORITY", b"6")]) * 2
    expected = [{"MESSAGE": [value], "PRIORITY": [b"6"]}] * 2
    assert expected == [values(e) for e in parse(data, 7)]


def test_a_stream_that_is_cut_off_gives_the_whole_entries() -> None:
    data = export([("A", b"1")]) + export([("A", b"2\n"), ("B", b"3")])
    parser = ExportParser(LIMIT)
    assert [values(e) for e in parser.feed(data[:-1])] == [{"A": [b"1"]}]
    assert parser.inside
    assert [values(e) for e in parser.feed(data[-1:])] == [{"A": [b"2\n"], "B": [b"3"]}]
    assert not parser.inside


@pytest.mark.parametrize("value", [b"x" * 5000, b"x\n" * 2500])
@pytest.mark.parametrize("size", [100, 1 << 16])
def test_a_value_beyond_the_limit_is_cut(value: bytes, size: int) -> None:
    data = export([("MESSAGE", value), ("B", b"1")])
    (entry,) = parse(data, size, limit=1000)
    assert value[:1000] == entry.fields["MESSAGE"]
    assert entry.cut == {"MESSAGE": 4000}
    assert entry.fields["B"] == b"1"


def test_only_wanted_fields_are_kept() -> None:
    parser = ExportParser(LIMIT, ["B"])
    (entry,) = parser.feed(export([("A", b"1"), ("B", b"2"), ("C", b"\n"), ("B", b"3")]))
    assert values(entry) == {"B": [b"2", b"3"]}


def test_bytes_that_are_no_entry_are_skipped_and_counted() -> None:
    parser = ExportParser(LIMIT)
    data = b"not an entry\n\n" + export([("A", b"1")]) + b"A\n" + b"\xff" * 9 + b"\n\n"
    found = parser.feed(data + export([("A", b"2")]))
    assert [values(e) for e in found] == [{"A": [b"1"]}, {"A": [b"2"]}]
    assert parser.malformed == 2


def test_values_are_bounded_in_number() -> None:
    (entry,) = parse(export([("A", b"1")] * (MAX_VALUES + 5)))
    assert len(values(entry)["A"]) == MAX_VALUES


@pytest.mark.parametrize("value", [b"x" * (8 << 20), b"\n" * (8 << 20)])
def test_a_long_value_in_small_blocks_takes_linear_time(value: bytes) -> None:
    data = export([("MESSAGE", value)])
    began = time.process_time()
    (entry,) = parse(data, 4096, limit=16 << 20)
    assert value == entry.fields["MESSAGE"]
    assert time.process_time() - began < 5  # quadratic: minutes


def test_numbers() -> None:
    entry = Entry({"A": b"12", "B": b"x", "C": b"-1", "D": b"9" * 30, "E": "١".encode()})
    assert [entry.number(n) for n in "ABCDEF"] == [12, None, None, None, None, None]


def test_systemds_own_example() -> None:
    path = SHARED / "systemd-doc.export"
    if not path.exists():
        pytest.skip("the shared samples are not beside this project")
    first, second = parse(path.read_bytes())
    assert first.fields["SYSLOG_IDENTIFIER"] == b"gdm-password]"
    assert second.fields["MESSAGE"] == b"foo\nbar"


def test_what_journald_would_not_take_is_left_out() -> None:
    block = b"__CURSOR=a\n\n1st=x\nlower=x\nA-B=x\n=x\nMESSAGE=kept\n\n1st=x\n\n"
    assert [{"MESSAGE": [b"kept"]}] == [values(e) for e in parse(block)]
