"""Any bytes, and reports with anything done to them: no exception, and nothing out of thin air."""

import random

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from kelp.base.cgroup import locate
from kelp.base.oom.assemble import Assembler
from kelp.base.oom.framing import Framer
from kelp.base.oom.grammar import event_of
from kelp.base.oom.kill import Kill
from kelp.base.oom.line import peel
from kelp.node.oom.render import details, json_line, summary, tasks

from .found import calendar, kills
from .reports import global_6, group_6, memcg_3_10, memcg_4_19, memcg_6
from .test_prefixes import STYLES

WHOLE = [f() for f in (memcg_3_10, memcg_4_19, memcg_6, global_6, group_6)]
LINES = sorted({line for report in WHOLE for line in report})
TOKENS = sorted({token for line in LINES for token in line.replace(",", " , ").split(" ")})
OFTEN = settings(max_examples=400, deadline=1000)

line = st.one_of(
    st.sampled_from(LINES),
    st.text(max_size=200),
    st.lists(st.sampled_from(TOKENS), max_size=30).map(" ".join),
    st.from_regex(r"\[ *\d{1,6}\] +\d+ +\d+ +\d+ +\d+ +-?\d+ +\d+ +-?\d+ .{0,20}", fullmatch=True),
)


def shown(kill):
    """All ways of showing a kill; a JSON object that reads back as the same."""
    assert msgspec.json.decode(json_line(kill), type=Kill) == kill
    return [summary(kill), *details(kill), *tasks(kill)]


@OFTEN
@given(st.lists(st.binary(max_size=300), max_size=40))
def test_any_bytes(raw):
    for kill in kills(piece for data in raw for piece in data.split(b"\n")):
        shown(kill)


@OFTEN
@given(st.lists(line, max_size=60), st.sampled_from(sorted(STYLES)))
def test_any_lines_under_any_prefix(lines, style):
    put, _ = STYLES[style]
    for kill in kills(put(lines)):
        shown(kill)


@OFTEN
@given(st.text(max_size=400))
def test_any_text_is_a_line_an_event_or_neither(text):
    peeled = peel(text)
    event_of(peeled.text)
    assert len(peeled.text) <= len(text)


@OFTEN
@given(st.one_of(st.text(max_size=300), st.lists(st.sampled_from(TOKENS)).map("/".join)))
def test_any_path_is_a_place(path):
    place = locate(path)
    assert place.container_id is None or place.container_id in path


@OFTEN
@given(
    st.sampled_from(WHOLE),
    st.sampled_from(sorted(STYLES)),
    st.integers(0, 2**32),
    st.sampled_from(["drop", "double", "swap", "cut", "byte", "join"]),
)
def test_a_damaged_report(report, style, seed, damage):
    put, _ = STYLES[style]
    lines = [x if isinstance(x, bytes) else x.encode() for x in put(report)]
    for kill in kills(damaged(lines, damage, random.Random(seed))):
        shown(kill)


def damaged(lines, how, chance):
    at = chance.randrange(len(lines))
    other = chance.randrange(len(lines))
    text = lines[at]
    middle = chance.randrange(len(text) + 1)
    match how:
        case "drop":
            lines[at : at + chance.randrange(1, 8)] = []
        case "double":
            lines.insert(other, text)
        case "swap":
            lines[at], lines[other] = lines[other], lines[at]
        case "cut":
            lines[at] = text[:middle]
        case "byte":
            lines[at] = text[:middle] + bytes([chance.randrange(256)]) + text[middle + 1 :]
        case "join":
            lines[at] = text + lines[other]
    return lines


@OFTEN
@given(st.lists(st.sampled_from(LINES), max_size=80))
def test_every_victim_was_named_by_a_line(lines):
    text = "\n".join(lines)
    for kill in kills(lines):
        assert kill.pid is None or f"process {kill.pid} " in text or f"pid={kill.pid}," in text
        assert kill.task_cgroup is None or kill.task_cgroup in text


@OFTEN
@given(st.lists(line, max_size=40), st.integers(0, 40))
def test_a_pause_loses_nothing(lines, at):
    """A reader that follows the log may ask for what is known whenever nothing comes."""
    framer, assembler = Framer(), Assembler(calendar())
    count = 0
    for i, text in enumerate(lines):
        for found in framer.feed(text.encode(errors="replace")):
            count += len(assembler.feed(found))
        if i == at:
            count += len(assembler.end())
    count += len(assembler.end())
    named = sum("Killed process" in text for text in lines)
    assert count <= named + len(lines)
