"""Docker's json-file lines: the form that dockerd writes, and what only looks like it."""

from __future__ import annotations

import numpy as np
import pytest

from kelp.agent.assemble import CriAssembler, jsonfile
from kelp.agent.assemble.split import split
from kelp.model.batch import ATTR_MALFORMED, ATTR_PARTIAL
from tests.agent.assemble.batches import OBSERVED_NS, Piece, raw_batch, records
from tests.agent.assemble.reference import Record

STAMP = b"2026-11-20T10:11:12.123456789Z"
NS = 1_795_169_472_123_456_789


def line(log: bytes, stream: bytes = b"stdout", attrs: bytes = b"", time: bytes = STAMP) -> bytes:
    return b'{"log":"%s","stream":"%s",%s"time":"%s"}' % (log, stream, attrs, time)


def run(*lines: bytes) -> list[Record]:
    data = b"".join(each + b"\n" for each in lines)
    return records(CriAssembler(1 << 20, 60.0, {}).assemble(raw_batch([Piece("i", 0, data)])))


def on_the_fast_path(*lines: bytes) -> list[bool]:
    data = b"".join(each + b"\n" for each in lines)
    spans = split(raw_batch([Piece("i", 0, data)]))
    return jsonfile.read_json_file(spans, np.arange(len(lines))).valid.tolist()


@pytest.mark.parametrize(
    ("log", "body"),
    [
        (b"hello world\\n", b"hello world"),
        (b"\\n", b""),
        (b"\\r\\n", b"\r"),
        (b'a \\"b\\" c\\n', b'a "b" c'),
        (b"\\u003chtml\\u003e \\u0026\\n", b"<html> &"),
        (b"\\u0009at com.acme\\n", b"\tat com.acme"),
        (b"C:\\\\new\\n", b"C:\\new"),
        (b'{\\"a\\":\\"\\\\\\"b\\\\\\"\\"}\\n', b'{"a":"\\"b\\""}'),
        ("schön \\u2028\\n".encode(), "schön \u2028".encode()),
        (b"\\ufffd\\n", "\ufffd".encode()),
    ],
)
def test_every_escape_on_the_fast_path(log: bytes, body: bytes) -> None:
    others = [line(b"plain\\n"), line(b'with a \\"quote\\"\\n', b"stderr")]
    assert [True] * 3 == on_the_fast_path(line(log), *others)
    assert [body, b"plain", b'with a "quote"'] == [r.body for r in run(line(log), *others)]
    assert [Record("i", 1, NS, 0, body, {})] == run(line(log))


@pytest.mark.parametrize(
    ("time", "ns"),
    [
        (b"2026-11-20T10:11:12.12345678Z", 1_795_169_472_123_456_780),
        (b"2026-11-20T10:11:12.123Z", 1_795_169_472_123_000_000),
        (b"2026-11-20T10:11:12.1Z", 1_795_169_472_100_000_000),
        (b"2026-11-20T10:11:12Z", 1_795_169_472_000_000_000),
    ],
)
def test_times_without_the_zeros_at_their_end(time: bytes, ns: int) -> None:
    lines = line(b"some text\\n", time=time), line(b"some text\\n")
    assert [True, True] == on_the_fast_path(*lines)
    assert [ns, NS] == [r.timestamp for r in run(*lines)]


def test_a_log_without_a_newline_goes_on_in_its_stream() -> None:
    found = run(
        line(b"one "), line(b"1 \\\\", b"stderr"), line(b"two\\n"), line(b"2\\n", b"stderr")
    )
    assert [(1, b"one two"), (2, b"1 \\2")] == [(r.stream, r.body) for r in found]


def test_attrs_become_attributes() -> None:
    a, b = b'"attrs":{"tag":"web","x":"1"},', b'"attrs":{"tag":"db"},'
    lines = [line(b"one\\n", attrs=a), line(b"two\\n"), line(b'a\\"b\\n', b"stderr", b)]
    assert [True] * 3 == on_the_fast_path(*lines)
    expected = [
        (1, b"one", {"docker.attrs.tag": "web", "docker.attrs.x": "1"}),
        (1, b"two", {}),
        (2, b'a"b', {"docker.attrs.tag": "db"}),
    ]
    assert expected == [(r.stream, r.body, r.marks) for r in run(*lines)]


def test_attrs_of_more_kinds_than_are_learned() -> None:
    lines = [line(b"x\\n", attrs=b'"attrs":{"n":"%d"},' % n) for n in range(20)]
    assert [{"docker.attrs.n": str(n)} for n in range(20)] == [r.marks for r in run(*lines)]


@pytest.mark.parametrize(
    ("log", "body"),
    [
        (b"a\xc3\\n", b"a\xc3"),
        (b"\xff\\u003c\xfe\\n", b"\xff<\xfe"),
        (b"a\\ud800\\n", "a\ufffd".encode()),
        (b"\\udc80 \\ud83d\\ude00\\n", "\ufffd 😀".encode()),
        (b"\xff \\ud800\\n", b"\xff \xef\xbf\xbd"),
    ],
)
def test_a_log_that_is_no_text_is_unwrapped(log: bytes, body: bytes) -> None:
    (found,) = run(line(log))
    assert (body, False) == (found.body, ATTR_MALFORMED in found.marks)


def test_attributes_are_text_whatever_the_line_holds() -> None:
    (found,) = run(line(b"a\\n", attrs=b'"attrs":{"a":"\xff\\ud800"},'))
    assert "\ufffd\ufffd" == found.marks["docker.attrs.a"]


@pytest.mark.parametrize(
    "lines",
    [
        # Quotes that end a string too early: each line alone, and two that make up for each other.
        [line(b'a\\"","b\\"c\\n')],
        [line(b'a","b\\n')],
        [line(b"a\\"), line(b',"b')],
        [line(b'a\\"b"c\\n'), line(b"plain\\n")],
        [line(b"a\x01b\\n")],
        [line(b"a\\x\\n")],
        [line(b"a\\n", attrs=b'"attrs":{"a":1},')],
        [line(b"a\\n", attrs=b'"attrs":{"a":"b"}, ')[:-1] + b" }}"],
    ],
)
def test_what_is_no_json_is_kept_whole(lines: list[bytes]) -> None:
    found = run(*lines)
    assert lines[:1] == [r.body for r in found][:1]
    assert "docker" == found[0].marks[ATTR_MALFORMED]


def test_a_control_character_in_a_last_line_without_a_newline() -> None:
    lines = [line(b"plain\\n"), line(b"a\x01b\\n")]
    piece = Piece("i", 0, b"\n".join(lines))
    found = records(CriAssembler(1 << 20, 60.0, {}).assemble(raw_batch([piece])))
    assert [b"plain", lines[1]] == [r.body for r in found]


def test_one_that_is_none_among_many() -> None:
    good = [line(b'n=%d \\"q\\" \\\\ \\n' % n) for n in range(1000)]
    lines = [*good[:500], line(b'a","b\\n'), *good[500:]]
    fast = on_the_fast_path(*lines)
    assert not fast[500]
    assert 1001 - 256 <= sum(fast)
    bodies = [r.body for r in run(*lines)]
    assert [b'n=%d "q" \\ ' % n for n in range(1000)] == bodies[:500] + bodies[501:]
    assert lines[500] == bodies[500]


def test_files_of_both_runtimes() -> None:
    cri = STAMP + b' stdout F {"log":"no docker"}'
    found = run(line(b"docker\\n"), cri, line(b'and \\"again\\"\\n'))
    assert [b"docker", b'{"log":"no docker"}', b'and "again"'] == [r.body for r in found]


@pytest.mark.parametrize(
    ("text", "body", "stream"),
    [
        (b'{"log":"no time\\n","stream":"stderr"}', b"no time", 2),
        (b'{"log":"no more\\n"}', b"no more", 0),
        (b'{"log":"empty\\n","stream":"stdout","time":""}', b"empty", 1),
    ],
)
def test_what_docker_has_left_out(text: bytes, body: bytes, stream: int) -> None:
    expected = [Record("i", stream, OBSERVED_NS, 0, body, {ATTR_MALFORMED: "docker"})]
    assert expected == run(text)


def test_some_other_programs_object_is_kept_whole() -> None:
    text = b'{"log":"text\\n","level":"info"}'
    assert [(text, {ATTR_MALFORMED: "docker"})] == [(r.body, r.marks) for r in run(text)]


@pytest.mark.parametrize("torn", [b"half a li", b'{"log":"half', b""])
def test_a_torn_line_ends_what_is_open(torn: bytes) -> None:
    found = run(line(b"one "), torn, line(b"two\\n"))
    assert [b"one ", torn, b"two"] == [r.body for r in found]
    assert "true" == found[0].marks[ATTR_PARTIAL]


def test_a_torn_line_ends_what_is_open_since_an_earlier_batch_in_its_instance_alone() -> None:
    assembler = CriAssembler(1 << 20, 60.0, {})
    opened = [line(b"one "), line(b"1 ", b"stderr"), STAMP + b" stdout P x"]
    some = b"".join(each + b"\n" for each in opened)
    assert [] == records(assembler.assemble(raw_batch([Piece("a", 0, some), Piece("b", 0, some)])))
    later = b"torn\n" + line(b"two\\n") + b"\n"
    found = records(assembler.assemble(raw_batch([Piece("a", 900, later)])))
    expected = {b"torn", b"two", b"one ", b"1 ", b"x"}
    assert expected == {r.body for r in found}
    assert {b"one ", b"1 ", b"x"} == {r.body for r in found if ATTR_PARTIAL in r.marks}
    rest = records(assembler.assemble(raw_batch([Piece("b", 900, line(b"two\\n") + b"\n")])))
    assert [b"one two"] == [r.body for r in rest]
