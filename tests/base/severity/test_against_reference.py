"""Severity by column equals the reference, on bodies made of what severities are made of."""

from __future__ import annotations

import re
from random import Random
from unittest import mock

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from kelp.base.severity import detect_severity, leading
from kelp.model.severity import NUMBER_OF_WORD
from tests.base.severity.reference import KEYS, NUMBER_KEYS, severity

SEVERITIES = sorted(NUMBER_OF_WORD)
ANY_WORD = b"(?:" + b"|".join(w.encode() for w in sorted(SEVERITIES, key=len, reverse=True)) + b")"
BYTES = b' \t\x1b[]()<>"=:,|-x0Ae{}\\'

words = st.sampled_from(sorted(NUMBER_OF_WORD)).flatmap(
    lambda w: st.sampled_from([w, w.upper(), w.capitalize(), w[:-1], w + "s"])
)
keys = st.sampled_from(sorted(KEYS | NUMBER_KEYS)).flatmap(
    lambda k: st.sampled_from([k, k, k.upper(), k[:-1], k + "x"])
)
numbers = st.integers(0, 700).map(str)
blank = st.sampled_from(["", "", " ", "  ", "\t", " " * 9, "\r\n"])
values = st.one_of(
    words.map(lambda w: f'"{w}"'),
    numbers,
    numbers.map(lambda n: f'"{n}"'),
    st.sampled_from(
        ["null", "{", "}", "[", "]", '"\\"', '"a\\\\"', '"{"', '"', "\\", "1e3", "30.5", "-1", '""']
    ),
    st.builds(lambda k, v: f'{{"{k}":"{v}"}}', keys, words),
    st.builds(lambda k, v: f'"\\"{k}\\":\\"{v}\\""', keys, words),
    st.builds(lambda k, v: f'"{k}={v}"', keys, words),
)
pairs = st.builds(
    lambda a, k, b, c, v: f'{a}"{k}"{b}:{c}{v}', blank, st.one_of(keys, st.just("msg")), blank,
    blank, values,
)  # fmt: skip
json_lines = st.builds(
    lambda start, some, end: start + ",".join(some) + end,
    st.sampled_from(["{", "{", " {", "\t{", "{{", '{"']),
    st.lists(pairs, max_size=5),
    st.sampled_from(["}", "", "}}", "]"]),
)
tokens = st.one_of(
    words,
    words.map(lambda w: f"[{w}]"),
    words.map(lambda w: w + ":"),
    st.builds(lambda a, p, w, z: a + p + w + z, st.sampled_from("[<("),
              st.sampled_from(["", " ", "core:", "error:"]), words,
              st.sampled_from(["]", ")", ">", " ]", ": x]", ""])),
    st.builds(lambda k, q, w, r: f"{k}={q}{w}{r}", keys, st.sampled_from(["", '"']), words,
              st.sampled_from(["", '"', ","])),
    st.sampled_from([
        "2026-11-20", "10:11:12,123", "10.1.2.3", "1", "-", "--", "|", "[main]", "(x y)", "Mon",
        "Nov,", "UTC", "PHP", "a@b", "a@", "I,", "- my.logger - ", "- LOG - ", "- aB -", "=", '"',
        "<3>", "<191>", "<192>", "<03>", "1:M 09 Nov 13:27:36.276 #",
        "1:M 09 Nov 2026 13:27:36.276 *",
        "I1120 00:00:00.470122", "[20/Nov/2026:00:00:00 +0000]", '"GET',
        '10.1.2.3 - - [20/Nov/2026:00:00:00 +0000] "', '([20/Nov/2026:00:00:00 +0000] "a")',
        "W1120 00:00:00", "x=y", 'm="a b"', 'm="a \\" b"', 'm="', "word",
        "\x1b[0m", "\x1b[1;31m", "\x1b[", "[", "]", "\xff", "{", "ERROR|x", "log", "LOG:",
    ]),
)  # fmt: skip
gaps = st.sampled_from([" ", " ", " ", "", "\t", "  ", "\x1b[32m", ": "])
text_lines = st.lists(st.tuples(tokens, gaps), max_size=7).map(
    lambda parts: "".join(t + g for t, g in parts)
)
access_lines = st.builds(
    lambda *parts: "".join(parts),
    st.sampled_from(["10.0.0.1 - - ", "10.0.0.1 - bob ", "fd00::1 - - ", "a.b ", "2001:db8::1 x "]),
    st.sampled_from([
        "[20/Nov/2026:00:00:00 +0000]", "[20/Nov/2026:00:00:00]", "[20/nov/2026:00:00:00 -9999]",
        "[2026-11-20T10:11:12.345Z]",
    ]),
    st.sampled_from([" ", "", "  "]),
    st.text('ab "\\/', max_size=12).map(lambda t: f'"{t}"')
    | st.integers(20, 900).map(lambda n: '"' + "x" * n + '"'),
    st.sampled_from([" 200", " 404 5", " 503", " 600 ", " 20", " 2000", "", " -", '" 200 "']),
)  # fmt: skip
proxy_lines = st.builds(
    lambda *parts: " ".join(parts),
    st.sampled_from(["10.0.0.1:80", "10.0.0.1", "unix:1", "[::1]:9"]),
    st.sampled_from(["[20/Nov/2026:10:11:12.655]", "[20/Nov/2026:10:11:12.655"]),
    st.sampled_from(["in a/b", "in a", "in~ a/<NOSRV>"]),
    st.sampled_from(["0/0/0/0/0", "-1/+1/0/0/0", "0/0/0"]),
    st.sampled_from(["200 0 -", "404", "0 -", "212 --"]),
) | access_lines.map(lambda line: line[line.find("[") :])
bodies = st.one_of(
    access_lines.map(lambda t: t.encode("latin-1")),
    proxy_lines.map(lambda t: t.encode("latin-1")),
    json_lines.map(lambda t: t.encode("latin-1")),
    text_lines.map(lambda t: t.encode("latin-1")),
    st.binary(max_size=40),
)


def detected(lines: list[bytes]) -> list[tuple[int, str]]:
    numbers, texts = detect_severity(pa.array(lines, pa.binary()))
    return list(zip(numbers.to_pylist(), texts.to_pylist(), strict=True))


@settings(max_examples=500, deadline=None)
@given(st.lists(bodies, max_size=40))
def test_equals_the_reference(lines: list[bytes]) -> None:
    assert [severity(line) for line in lines] == detected(lines)


@settings(max_examples=50, deadline=None)
@given(st.lists(bodies, min_size=1, max_size=20), st.integers(0, 5), st.integers(0, 5))
def test_a_slice_of_a_longer_array_is_the_same(lines: list[bytes], skip: int, drop: int) -> None:
    array = pa.array([b"ERROR x"] * skip + lines + [b'{"level":1}'] * drop, pa.binary())
    numbers, _ = detect_severity(array.slice(skip, len(lines)))
    assert [severity(line)[0] for line in lines] == numbers.to_pylist()


def variant(line: bytes, random: Random) -> bytes:
    """The line with other digits, and here and there another word or another byte."""
    line = re.sub(rb"[0-9]", lambda _: b"%d" % random.randrange(10), line)
    if random.random() < 0.7:
        some = random.choice(SEVERITIES).encode()
        word = random.choice((some, some.upper()))
        line = re.sub(rb"(?i)" + ANY_WORD, word, line, count=1)
    if line and random.random() < 0.2:
        at = random.randrange(len(line))
        line = line[:at] + bytes([random.choice(BYTES)]) + line[at + 1 :]
    return line


@settings(max_examples=150, deadline=None)
@given(
    st.lists(bodies, min_size=1, max_size=3), st.integers(0, 1 << 30), st.sampled_from([0, 8, 64])
)
def test_many_lines_of_few_layouts(lines: list[bytes], seed: int, few: int) -> None:
    random = Random(seed)
    many = [variant(random.choice(lines), random) for _ in range(400)]
    with mock.patch.multiple(leading, _FEW=few, _WORTH=few // 4):
        assert [severity(line) for line in many] == detected(many)
