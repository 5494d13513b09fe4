"""What holds for every format, whoever describes it."""

from __future__ import annotations

import re

import pytest

from kelp.base.formats import FORMATS, TEXT, Format, UnknownFormatError, format_of, recognise
from kelp.base.formats.format import REST, Rest

NAME = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
FIELD = re.compile(r"[a-z][a-z0-9_]*")

EXAMPLES = [(f, line) for f in FORMATS for line in f.examples]


def test_names_are_unique_and_spelled_alike() -> None:
    names = [f.name for f in FORMATS]
    assert len(set(names)) == len(names)
    assert TEXT not in names
    assert [n for n in names if not NAME.fullmatch(n)] == []


@pytest.mark.parametrize("known", FORMATS, ids=lambda f: f.name)
def test_a_format_shows_examples_and_tells_its_fields(known: Format) -> None:
    assert known.examples
    groups = {g for p in known.compiled for g in p.groupindex} - {REST, REST.encode()}
    told = {g.decode() if isinstance(g, bytes) else g for g in groups} | set(known.aliases)
    assert set(known.fields) == told
    assert [name for name in known.fields if not FIELD.fullmatch(name)] == []


@pytest.mark.parametrize("known", FORMATS, ids=lambda f: f.name)
def test_a_format_can_be_known(known: Format) -> None:
    assert bool(known.patterns) != bool(known.keys)
    assert known.patterns or known.rest is not Rest.NOTHING


@pytest.mark.parametrize(("known", "line"), EXAMPLES, ids=lambda p: getattr(p, "name", "line"))
def test_an_example_is_of_its_own_format(known: Format, line: bytes) -> None:
    assert recognise(line) == known.name


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{",
        b'{"a":1',
        b"[1,2]",
        b"a sentence with a=b in it",
        b"key=value",
        b"\xff\xfe",
        b"{" * 100_000,
        b'{"a":' * 5_000,
        b"x" * 100_000,
    ],
)
def test_what_is_of_no_format(line: bytes) -> None:
    assert recognise(line) == ""


def test_an_unknown_name_says_which_there_are() -> None:
    with pytest.raises(UnknownFormatError, match=r"expected one of .*json.*; got 'jsn'"):
        format_of("jsn")
