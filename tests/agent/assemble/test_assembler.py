from __future__ import annotations

import time

import pytest
from prometheus_client import REGISTRY

from kelp.agent.assemble import CriAssembler
from kelp.model.batch import (
    ATTR_INVALID_UTF8,
    ATTR_MALFORMED,
    ATTR_PARTIAL,
    ATTR_TRUNCATED,
    TRUNCATION_MARKER,
)
from tests.agent.assemble.batches import OBSERVED_NS, Piece, raw_batch, records
from tests.agent.assemble.reference import Record

STAMP = b"2026-11-20T10:11:12.123456789Z"
NS = 1_795_169_472_123_456_789
LIMIT = 1 << 20


def new(limit: int = LIMIT, checkpoints: dict[str, bytes] | None = None) -> CriAssembler:
    return CriAssembler(limit, 60.0, checkpoints or {})


def assemble(assembler: CriAssembler, *lines: bytes, position: int = 0) -> list[Record]:
    data = b"".join(line + b"\n" for line in lines)
    return records(assembler.assemble(raw_batch([Piece("i", position, data)])))


def test_a_full_line() -> None:
    expected = [Record("i", 1, NS, 0, b"hello  world \r", {})]
    assert expected == assemble(new(), STAMP + b" stdout F hello  world \r")


@pytest.mark.parametrize(
    ("stamp", "ns"),
    [
        (b"2026-11-20T10:11:12Z", 1_795_169_472_000_000_000),
        (b"2026-11-20T10:11:12.1Z", 1_795_169_472_100_000_000),
        (b"2026-11-20T10:11:12.12345678Z", 1_795_169_472_123_456_780),
        (b"2026-11-20T12:11:12.123456789+02:00", NS),
        (b"2026-11-20T04:41:12.123456789-05:30", NS),
        (b"2026-11-20T12:11:12+02:00", 1_795_169_472_000_000_000),
        (b"1969-12-31T23:59:59.999999999Z", -1),
        (b"2024-02-29T00:00:00Z", 1_709_164_800_000_000_000),
    ],
)
def test_widths_and_zones_of_time_stamps(stamp: bytes, ns: int) -> None:
    assert [Record("i", 2, ns, 0, b"x", {})] == assemble(new(), stamp + b" stderr F x")


@pytest.mark.parametrize("end", [b" stdout F ", b" stdout F"])
def test_an_empty_body(end: bytes) -> None:
    assert [Record("i", 1, NS, 0, b"", {})] == assemble(new(), STAMP + end)


def test_more_tags() -> None:
    assert [Record("i", 1, NS, 0, b"x", {})] == assemble(new(), STAMP + b" stdout F:a:b x")


def test_streams_are_joined_each_for_itself() -> None:
    lines = [b" stdout P a", b" stderr P 1", b" stdout P b", b" stderr F 2", b" stdout F c"]
    found = assemble(new(), *(STAMP + line for line in lines))
    expected = [(2, len(STAMP) + 12, b"12"), (1, 0, b"abc")]
    assert expected == [(r.stream, r.position, r.body) for r in found]


def test_instances_are_joined_each_for_itself_and_pieces_of_one_together() -> None:
    pieces = [
        Piece("a", 0, STAMP + b" stdout P a1\n"),
        Piece("b", 7, STAMP + b" stdout F b\n"),
        Piece("a", 100, STAMP + b" stdout F a2\n"),
    ]
    found = records(new().assemble(raw_batch(pieces)))
    assert [(r.key, r.position, r.body) for r in found] == [("b", 7, b"b"), ("a", 0, b"a1a2")]


def test_time_and_place_are_those_of_the_first_fragment() -> None:
    assembler = new()
    assert assemble(assembler, STAMP + b" stdout P one ", position=40) == []
    late = b"2026-11-20T10:11:13Z stdout F two"
    assert [Record("i", 1, NS, 40, b"one two", {})] == assemble(assembler, late, position=99)


def test_fragments_survive_a_restart() -> None:
    assembler = new()
    assemble(assembler, STAMP + b" stdout P one ", position=40)
    saved = {k: v for k, v in assembler.changes().items() if v is not None}
    assert assembler.changes() == {}
    again = new(checkpoints=saved)
    assemble(again, STAMP + b" stdout P two ", position=80)
    for key, value in again.changes().items():
        assert value is not None
        saved[key] = value
    third = new(checkpoints=saved)
    expected = [Record("i", 1, NS, 40, b"one two three", {})]
    assert expected == assemble(third, STAMP + b" stdout F three", position=120)
    assert dict.fromkeys(saved) == third.changes()


def test_a_checkpoint_that_cannot_be_read_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    assembler = new(checkpoints={"i#1#0": b"\xc1nonsense", "j#1#0": b"\x93\x01"})
    assert [r.body for r in assemble(assembler, STAMP + b" stdout F x")] == [b"x"]
    assert len(caplog.records) == 2


def test_a_rest_that_does_not_come_is_not_waited_for_for_ever() -> None:
    assembler = new()
    assemble(assembler, STAMP + b" stdout P one", position=3)
    assert assembler.expire(OBSERVED_NS + 59_000_000_000) is None
    late = assembler.expire(OBSERVED_NS + 60_000_000_000)
    assert [Record("i", 1, NS, 3, b"one", {ATTR_PARTIAL: "true"})] == records(late)
    assert assembler.changes() == {}
    assert [r.body for r in assemble(assembler, STAMP + b" stdout F two")] == [b"two"]


def test_after_a_restart_the_full_time_is_waited_again() -> None:
    assembler = new()
    assemble(assembler, STAMP + b" stdout P one")
    again = new(checkpoints={k: v for k, v in assembler.changes().items() if v is not None})
    days_later = OBSERVED_NS + 10**15
    assert again.expire(days_later) is None
    late = records(again.expire(days_later + 60_000_000_000))
    assert [(r.body, {"pod": r.key}) for r in late] == [(b"one", {"pod": "i"})]


def test_a_long_record_is_cut_and_says_so() -> None:
    long = b"x" * 25
    expected = Record("i", 1, NS, 0, b"x" * 10 + TRUNCATION_MARKER, {ATTR_TRUNCATED: "15"})
    assert [expected] == assemble(new(limit=10), STAMP + b" stdout F " + long)
    parts = [STAMP + b" stdout " + tag + b" " + long for tag in (b"P", b"P", b"F")]
    expected.marks = {ATTR_TRUNCATED: "65"}
    assert [expected] == assemble(new(limit=10), *parts)


def test_what_the_collector_has_cut_is_counted() -> None:
    piece = Piece("i", 0, STAMP + b" stdout F abc\xe2\x82\n", cut_bytes=1000)
    marks = {ATTR_TRUNCATED: "1002"}
    expected = [Record("i", 1, NS, 0, b"abc" + TRUNCATION_MARKER, marks)]
    assert expected == records(new().assemble(raw_batch([piece])))


def test_behind_a_cut_fragment_nothing_is_appended() -> None:
    pieces = [
        Piece("i", 0, STAMP + b" stdout P abc\n", cut_bytes=5),
        Piece("i", 100, STAMP + b" stdout F def\n"),
    ]
    expected = [Record("i", 1, NS, 0, b"abc" + TRUNCATION_MARKER, {ATTR_TRUNCATED: "8"})]
    assert expected == records(new().assemble(raw_batch(pieces)))


@pytest.mark.parametrize(
    "line", [b"plain", b"", b"2026-11-20T10:11:12Z stdout", b"2026-11-20 stdin F x", b"\x00" * 50]
)
def test_a_line_that_is_no_cri_is_kept_whole(line: bytes) -> None:
    expected = [Record("i", 0, OBSERVED_NS, 0, line, {ATTR_MALFORMED: "cri"})]
    assert expected == assemble(new(), line)


def test_a_time_stamp_that_cannot_be_read_stands_in_an_attribute() -> None:
    marks = {ATTR_MALFORMED: "cri", "kelp.timestamp_text": "3242"}
    expected = [Record("i", 2, OBSERVED_NS, 0, b"message", marks)]
    assert expected == assemble(new(), b"3242 stderr F message")


def test_bad_utf8_is_kept_and_marked() -> None:
    lines = [b"good \xc3\xa9", b"bad \xe9", b"ascii"]
    found = assemble(new(), *(STAMP + b" stdout F " + line for line in lines))
    expected = [(lines[0], {}), (lines[1], {ATTR_INVALID_UTF8: "true"}), (lines[2], {})]
    assert expected == [(r.body, r.marks) for r in found]


def test_a_character_split_between_fragments_is_whole() -> None:
    found = assemble(new(), STAMP + b" stdout P \xc3", STAMP + b" stdout F \xa9")
    assert [("é".encode(), {})] == [(r.body, r.marks) for r in found]


def test_the_oldest_are_given_out_when_too_much_waits() -> None:
    assembler = new(limit=30 << 20)
    half = b"x" * (16 << 20)
    waiting = (120 << 20) // len(half)
    for number in range(waiting):
        piece = Piece(f"i{number}", 0, STAMP + b" stdout P " + half + b"\n")
        assert records(assembler.assemble(raw_batch([piece]))) == []
    pieces = [
        Piece("more", 0, STAMP + b" stdout P " + half + b"\n"),
        Piece("full", 0, STAMP + b" stdout F x\n"),
    ]
    found = records(assembler.assemble(raw_batch(pieces)))
    expected = [("full", {}), ("i0", {ATTR_PARTIAL: "true"})]
    assert expected == [(r.key, r.marks) for r in found]


def test_an_empty_batch() -> None:
    assert records(new().assemble(raw_batch([]))) == []
    assert records(new().assemble(raw_batch([Piece("i", 0, b"")]))) == []


def test_docker_lines_are_unwrapped() -> None:
    line = b'{"log":"a \\u00e9\\n","stream":"stderr","time":"2026-11-20T10:11:12.123456789Z"}'
    assert [Record("i", 2, NS, 0, "a é".encode(), {})] == assemble(new(), line)


def test_docker_splits_are_joined_apart_from_cri() -> None:
    docker = b'{"log":"%b","stream":"stdout","time":"2026-11-20T10:11:12.123456789Z"}'
    lines = [docker % b"a", STAMP + b" stdout F cri", docker % b"b\\n"]
    assert [r.body for r in assemble(new(), *lines)] == [b"cri", b"ab"]


def test_ten_mebibytes_in_fragments_cost_in_proportion() -> None:
    """640 fragments, each in a batch and a commit of its own: 16 times the work of 40."""
    fragment = STAMP + b" stdout P " + b"x" * 16384 + b"\n"

    def cost(fragments: int) -> tuple[float, int]:
        assembler, saved = CriAssembler(16 << 20, 60.0, {}), 0
        begin = time.process_time()
        for number in range(fragments):
            piece = Piece("i", number * len(fragment), fragment)
            assert len(assembler.assemble(raw_batch([piece]))) == 0
            saved += sum(len(v or b"") for v in assembler.changes().values())
        found = assemble(assembler, STAMP + b" stdout F end")
        assert [fragments * 16384 + 3] == [len(r.body) for r in found]
        return time.process_time() - begin, saved

    few, many = cost(40), cost(640)
    assert many[1] < 17 * few[1]
    assert many[0] < 3 * 16 * few[0]


def test_what_happened_is_counted() -> None:
    def value(name: str, **labels: str) -> float:
        return REGISTRY.get_sample_value(f"kelp_agent_{name}", labels) or 0.0

    def counts() -> list[float]:
        return [
            value("malformed_lines_total", format="cri"),
            value("malformed_lines_total", format="docker"),
            value("invalid_utf8_records_total"),
            value("truncated_records_total"),
            value("truncated_bytes_total"),
            value("partial_records_total", outcome="joined"),
        ]

    before = counts()
    assemble(
        new(limit=4),
        b"bad",
        b"{bad",
        STAMP + b" stdout F \xff",
        STAMP + b" stdout F 123456",
        STAMP + b" stdout P 1",
        STAMP + b" stdout F 2",
    )
    assert [b - a for a, b in zip(before, counts(), strict=True)] == [1, 1, 1, 1, 2, 1]
