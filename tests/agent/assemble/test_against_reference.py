"""The assembler equals the reference on arbitrary lines, batch borders and restarts."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kelp.agent.assemble import CriAssembler
from kelp.model.batch import ATTR_PARTIAL
from tests.agent.assemble.batches import OBSERVED_NS, Piece, raw_batch, records
from tests.agent.assemble.reference import Record, ReferenceAssembler
from tests.agent.assemble.stamps import FULL, STAMPS

TIMEOUT_S = 60.0
KEYS = ["a/1/app/0", "a/1/app/1", "b/2/web/0"]

no_newline = st.binary(max_size=60).map(lambda b: b.replace(b"\n", b""))
tags = st.sampled_from(
    [b"F ", b"F ", b"P ", b"P ", b"F", b"P", b"F:x ", b"P:y:z ", b"X ", b"", b"FF "]
)
bodies = st.one_of(no_newline, st.text(max_size=20).map(lambda t: t.replace("\n", "").encode()))
cri = st.builds(
    lambda t, s, tag, body: t + b" " + s + b" " + tag + body,
    st.one_of(st.just(FULL), STAMPS.map(lambda s: s.replace(b"\n", b""))),
    st.sampled_from([b"stdout", b"stdout", b"stderr", b"stdin", b""]),
    tags,
    bodies,
)
docker = st.builds(
    lambda log, end, stream, time, extra: json.dumps(
        {"log": log + end, "stream": stream, "time": time, **extra}
    ).encode(),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=15),
    st.sampled_from(["", "\n", "\r\n"]),
    st.sampled_from(["stdout", "stderr", "x"]),
    st.sampled_from(["2026-11-20T10:11:12.1Z", "2026-11-20T10:11:12.123456789z", "", "hi!"]),
    st.sampled_from([{}, {"attrs": {"K": "v"}}, {"attrs": 3}, {"more": [1]}]),
)
# As dockerd writes it: in its order, without blanks, with its own manner of escaping.
dockerd = st.builds(
    lambda log, end, stream, attrs, digits: (
        b'{"log":"%s%s","stream":"%s",%s"time":"%s%sZ"}'
        % (log, end, stream, attrs, b"2026-11-20T10:11:12", digits)
    ),
    st.lists(
        st.one_of(
            st.sampled_from(
                [b"a", b'\\"', b"\\\\", b"\\n", b"\\u003c", b"\\ud83d\\ude00", "ä".encode()]
            ),
            # What no JSON string may hold: a quote, a control character, half a sequence.
            st.sampled_from([b'"', b"\\", b"\x01", b"\xc3", b"\\u00", b'","stream":"stdout",']),
            st.binary(max_size=4).map(lambda b: b.replace(b"\n", b"")),
        ),
        max_size=4,
    ).map(lambda parts: b"plenty" + b"".join(parts)),
    st.sampled_from([b"\\n", b"\\n", b"\\n", b"", b"\\\\n"]),
    st.sampled_from([b"stdout", b"stdout", b"stderr", b"stdin"]),
    st.sampled_from(
        [b"", b"", b"", b'"attrs":{"a":"b"},', b'"attrs":{"a":"\\n"},', b'"attrs":{"a":1},']
    ),
    st.sampled_from([b".123456789", b".1", b".12345678", b"", b".", b".1234567890", b".a"]),
)
good = st.sampled_from(
    [
        b'{"log":"%s\\n","stream":"stderr","time":"2026-11-20T10:11:12.123456789Z"}' % text
        for text in (b"plain", b'with \\"quotes\\"', b"<\\u003e", b"\\\\", "ä".encode(), b"")
    ]
)
lines = st.one_of(cri, cri, cri, docker, dockerd, good, no_newline)


@st.composite
def histories(draw: st.DrawFn) -> list[list[Piece]]:
    """Batches of pieces of three instances, each piece a few whole lines, or one cut line."""
    positions = dict.fromkeys(KEYS, 0)
    batches = []
    for _ in range(draw(st.integers(1, 4))):
        pieces = []
        for _ in range(draw(st.integers(0, 4))):
            key = draw(st.sampled_from(KEYS))
            cut_bytes = draw(st.sampled_from([0, 0, 0, 0, 7]))
            some = draw(st.lists(lines, max_size=1 if cut_bytes else 6))
            ending = draw(st.sampled_from([b"\n", b"\n", b""]))
            data = b"\n".join(some) + ending if some else b""
            pieces.append(Piece(key, positions[key], data, cut_bytes if some else 0))
            positions[key] += len(data) + 1
        batches.append(pieces)
    return batches


def lines_of(piece: Piece) -> list[tuple[int, bytes]]:
    """(position, line without its newline) of each line."""
    found, position = [], piece.position
    for line in piece.data.split(b"\n"):
        found.append((position, line))
        position += len(line) + 1
    return found[:-1] if found[-1][1] == b"" else found


@settings(max_examples=400, deadline=None)
@given(histories(), st.integers(1, 40), st.sets(st.integers(0, 4)), st.sampled_from([b"", b"?"]))
@example([[Piece(KEYS[0], 5, b"2026-11-20T10:11:12.5Z stdout P a\n")]], 40, {0}, b"")
@example([[Piece(KEYS[0], 0, FULL + b" stdout F"), Piece(KEYS[1], 0, b" x")]], 9, set(), b"")
def test_equals_the_reference(
    batches: list[list[Piece]], limit: int, restarts: set[int], gap: bytes
) -> None:
    reference = ReferenceAssembler(limit, TIMEOUT_S)
    assembler = CriAssembler(limit, TIMEOUT_S, {})
    checkpoints: dict[str, bytes] = {}
    for number, pieces in enumerate(batches):
        expected: list[Record] = []
        for piece in pieces:
            for position, line in lines_of(piece):
                expected += reference.line(piece.key, position, line, piece.cut_bytes, OBSERVED_NS)
        found = records(assembler.assemble(raw_batch(pieces, gap=gap)))
        # What a torn line has ended may stand behind it.
        assert sorted(expected, key=place) == sorted(found, key=place)
        assert [r for r in expected if not cut_off(r)] == [r for r in found if not cut_off(r)]
        if number in restarts:
            commit(checkpoints, assembler)
            assembler = CriAssembler(limit, TIMEOUT_S, checkpoints)
    assert assembler.expire(OBSERVED_NS) is None
    late = OBSERVED_NS + int(TIMEOUT_S * 1e9)
    assert sorted(reference.expire(late), key=place) == sorted(
        records(assembler.expire(late)), key=place
    )
    commit(checkpoints, assembler)
    assert checkpoints == {}


@settings(max_examples=400, deadline=None)
@given(st.lists(st.one_of(good, good, dockerd), min_size=1, max_size=8))
def test_a_file_of_dockers_alone(some: list[bytes]) -> None:
    piece = Piece(KEYS[0], 0, b"".join(line + b"\n" for line in some))
    reference, expected = ReferenceAssembler(1 << 20, TIMEOUT_S), []
    for position, line in lines_of(piece):
        expected += reference.line(piece.key, position, line, 0, OBSERVED_NS)
    found = records(CriAssembler(1 << 20, TIMEOUT_S, {}).assemble(raw_batch([piece])))
    assert sorted(expected, key=place) == sorted(found, key=place)


def cut_off(record: Record) -> bool:
    return ATTR_PARTIAL in record.marks


def place(record: Record) -> tuple[str, int]:
    return record.key, record.position


def commit(checkpoints: dict[str, bytes], assembler: CriAssembler) -> None:
    for key, value in assembler.changes().items():
        if value is None:
            del checkpoints[key]
        else:
            checkpoints[key] = value


@pytest.mark.parametrize(
    "line",
    [
        FULL + b" stdout F body",
        FULL + b" stderr P body",
        b"2026-11-20T10:11:12.5Z stdout F body",
        b"2026-11-20T10:11:12+02:00 stderr F",
    ],
)
def test_every_byte_of_a_head_counts(line: bytes) -> None:
    """Each byte of the head replaced by each other one, all in one batch."""
    others = [
        line[:at] + bytes([b]) + line[at + 1 :] for at in range(len(line)) for b in range(256)
    ]
    others = [o for o in others if b"\n" not in o]
    data = b"\n".join(others) + b"\n"
    reference = ReferenceAssembler(1 << 20, TIMEOUT_S)
    expected: list[Record] = []
    for position, each in lines_of(Piece(KEYS[0], 0, data)):
        expected += reference.line(KEYS[0], position, each, 0, OBSERVED_NS)
    assembler = CriAssembler(1 << 20, TIMEOUT_S, {})
    assert expected == records(assembler.assemble(raw_batch([Piece(KEYS[0], 0, data)])))
