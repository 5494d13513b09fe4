"""The stage against the reference: any lines, any borders, any interleaving, restarts anywhere."""

from __future__ import annotations

from itertools import accumulate

from hypothesis import given, settings
from hypothesis import strategies as st

from kelp.agent.assemble.traces.languages import LANGUAGES
from kelp.agent.assemble.traces.machine import TraceMachine
from kelp.model.lines import STDERR, STDOUT
from tests.agent.assemble.traces.batches import Line, Node, Record
from tests.agent.assemble.traces.golden import FILES, lines
from tests.agent.assemble.traces.reference import groups

MACHINE = TraceMachine(LANGUAGES)
KNOWN = sorted({line for path in FILES for line in lines(path)})
CASES = [lines(path) for path in FILES]


@st.composite
def pieces(draw: st.DrawFn) -> list[bytes]:
    """A part of a case, single lines of any, or noise."""
    kind = draw(st.integers(0, 3))
    if kind <= 1:
        case = draw(st.sampled_from(CASES))
        begin = draw(st.integers(0, len(case) - 1))
        return case[begin : begin + draw(st.integers(1, 30))]
    if kind == 2:
        return draw(st.lists(st.sampled_from(KNOWN), max_size=8))
    return draw(st.lists(st.binary(max_size=30).filter(lambda b: b"\n" not in b), max_size=5))


texts = st.lists(pieces(), max_size=8).map(lambda found: [b for p in found for b in p])
lanes = st.sampled_from([("a", STDOUT), ("a", STDERR), ("b", STDERR)])


def expected(read: list[Line]) -> list[Record]:
    """What the reference makes of all lines, by lane."""
    found = []
    for lane in {(line.instance, line.stream) for line in read}:
        places = [i for i, line in enumerate(read) if (line.instance, line.stream) == lane]
        bodies = [read[i].body for i in places]
        for group in groups(MACHINE, bodies):
            first = places[group[0]]
            found.append((*lane, first, first * 10, b"\n".join(bodies[i] for i in group)))
    return sorted(found)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_the_same_records(data: st.DataObject):
    read: list[Line] = []
    for key, stream in data.draw(st.lists(lanes, min_size=1, max_size=3)):
        bodies = data.draw(texts)
        read += [Line(body, key, stream) for body in bodies]
    if data.draw(st.booleans()):  # the lanes' lines among each other, each lane's in its order
        order = data.draw(st.permutations(range(len(read))))
        turns = sorted(range(len(read)), key=lambda i: order[i] // 3)
        read = [read[i] for i in turns]
    sizes = data.draw(st.lists(st.integers(1, 40), min_size=1, max_size=12))
    borders = [b for b in accumulate(sizes) if b < len(read)]
    node, found = Node(), []
    for begin, end in zip([0, *borders], [*borders, len(read)], strict=True):
        found += node.read(read[begin:end])
        if data.draw(st.booleans()):
            node.restart()
    assert expected(read) == sorted(found + node.finish())
    assert not (node.restart() or node.saved)
