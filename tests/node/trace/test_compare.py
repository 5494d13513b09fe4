"""Records that the agent's assembler makes of any log, compared with the fragments of its files."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kelp.agent.assemble.traces import RecordAssembler
from kelp.agent.lookback.content import Piece
from kelp.agent.lookback.fragments import fragments_of
from kelp.base.settings import Agent
from kelp.model.batch import ATTR_MALFORMED, ATTR_TRUNCATED
from kelp.model.lines import Lines
from kelp.model.raw import Instance, RawBatch
from kelp.node.trace.compare import Comparer, Outcome, Records

LIMIT = 60  # of a record, so that cutting is common
OBSERVED_NS = 5

_TRACE = [b"Traceback (most recent call last):", b'  File "a.py", line 1', b"    f()", b"V: x"]
_text = st.binary(max_size=30).map(lambda b: b.replace(b"\n", b"")) | st.just(b"y" * 90)
_line = st.builds(
    lambda ms, stream, tag, text: b"2026-11-18T00:00:00.%09dZ %b %b %b" % (ms, stream, tag, text),
    st.integers(0, 999), st.sampled_from([b"stdout", b"stderr"]),
    st.sampled_from([b"F", b"F", b"P"]), _text,
)  # fmt: skip
_trace = st.builds(
    lambda stream, count: b"\n".join(
        b"2026-11-18T00:00:01.%09dZ %b F %b" % (n, stream, text)
        for n, text in enumerate(_TRACE[:count])
    ),
    st.sampled_from([b"stdout", b"stderr"]), st.integers(1, 4),
)  # fmt: skip
_foreign = st.sampled_from(
    [b"", b"no cri", b"2026-99-99T00:00:00Z stdout F bad time",
     b"2026-11-18T00:00:00Z stdout F:x tagged"]
)  # fmt: skip
_docker = st.builds(
    lambda ms, stream, text, end: b'{"log":"%b%b","stream":"%b","time":"2026-11-18T00:00:00.%09dZ"}'
    % (text, end, stream, ms),
    st.integers(0, 999), st.sampled_from([b"stdout", b"stderr"]),
    st.sampled_from([b"", b"a", b'\\"q\\"', b"\\u00e4", b"y" * 90, *_TRACE[:1], *_TRACE[2:]]),
    st.sampled_from([b"\\n", b"\\n", b""]),
)  # fmt: skip
# No file has lines of two runtimes; lines that are nobody's may be in all.
LOGS = (
    st.lists(_line | _trace | _foreign, min_size=1, max_size=14)
    | st.lists(_docker | st.just(b"torn"), min_size=1, max_size=14)
).map(lambda lines: b"\n".join(lines) + b"\n")
CUTS = st.lists(st.floats(0, 1), max_size=4)


def cuts_of(log: bytes, cuts: list[float]) -> list[tuple[int, int]]:
    """(start, end) of blocks of whole lines."""
    ends = sorted({log.rfind(b"\n", 0, int(c * len(log))) + 1 for c in cuts} | {0, len(log)})
    return [(a, b) for a, b in pairwise(ends) if b > a]


@dataclass
class Rows:
    """Records in the making."""

    rows: list[tuple[int, int, int, bytes, int, bool]]

    def add(self, lines: Lines | None) -> None:
        for i in range(len(lines) if lines is not None else 0):
            assert lines is not None
            marks = lines.marks.get(i, {})
            self.rows.append((
                int(lines.position[i]), int(lines.timestamp[i]), int(lines.stream[i]),
                lines.body[i].as_py(), int(marks.get(ATTR_TRUNCATED, 0)), ATTR_MALFORMED in marks,
            ))  # fmt: skip

    def records(self, start: int = 0, end: int = 1 << 62) -> Records:
        rows = sorted(r for r in self.rows if start <= r[0] < end)
        return Records(
            stream_id=np.array([7 + r[2] for r in rows], np.uint64),
            position=np.array([r[0] for r in rows], np.uint64),
            time=np.array([r[1] for r in rows], np.int64),
            stream=np.array([r[2] for r in rows], np.uint8),
            body=pa.array([r[3] for r in rows], pa.binary()),
            truncated=np.array([r[4] for r in rows], np.int64),
            malformed=np.array([r[5] for r in rows], np.bool_),
        )


def stored(log: bytes, blocks: list[tuple[int, int]], impatient: list[bool]) -> Rows:
    """What an agent makes of it that reads in blocks, and at times waits for nothing."""
    settings = Agent(max_record_bytes=LIMIT, partial_timeout_s=0, trace_timeout_s=0)
    assembler, out = RecordAssembler(settings, {}), Rows([])
    for number, (start, end) in enumerate(blocks):
        raw = RawBatch(
            data=np.frombuffer(log[start:end], np.uint8), starts=np.zeros(1, np.int64),
            ends=np.array([end - start], np.int64), positions=np.array([start], np.uint64),
            cut_bytes=np.zeros(1, np.int64), instances=[Instance("k", {})], observed_ns=OBSERVED_NS,
        )  # fmt: skip
        out.add(assembler.assemble(raw))
        if impatient[number % len(impatient)]:
            out.add(assembler.expire(1 << 62))
    out.add(assembler.expire(1 << 62))
    out.add(assembler.expire(1 << 62))
    return out


def compared(log: bytes, blocks: list[tuple[int, int]], rows: Rows) -> Outcome:
    """All outcomes of all blocks together; missing rows become positions."""
    comparer, whole = Comparer(), Outcome()
    for start, end in blocks:
        fragments = fragments_of(Piece(start, end, log[start:end]), 0, container=True)
        outcome = comparer.feed(fragments, rows.records(start, end))
        if outcome.missing:
            whole.missing.append(fragments.position[outcome.missing_rows()].astype(np.int64))
        add(whole, outcome)
    add(whole, comparer.finish())
    return whole


def add(whole: Outcome, outcome: Outcome) -> None:
    whole.equal += outcome.equal
    whole.equal_bytes += outcome.equal_bytes
    whole.differing += outcome.differing
    whole.repeated += outcome.repeated


IMPATIENT = st.lists(st.booleans(), min_size=1, max_size=3)


@given(LOGS, CUTS, CUTS, IMPATIENT)
def test_what_the_agent_made_of_a_log_is_equal_to_it(
    log: bytes, read: list[float], verified: list[float], impatient: list[bool]
) -> None:
    rows = stored(log, cuts_of(log, read), impatient)
    outcome = compared(log, cuts_of(log, verified), rows)
    assert outcome.clean, outcome
    assert len(rows.rows) == outcome.equal
    assert sum(len(r[3]) for r in rows.rows) == outcome.equal_bytes


@given(LOGS, CUTS, CUTS, IMPATIENT, st.data())
def test_a_record_that_is_gone_is_missing(
    log: bytes, read: list[float], verified: list[float], impatient: list[bool], data: st.DataObject
) -> None:
    rows = stored(log, cuts_of(log, read), impatient)
    gone = data.draw(st.integers(0, len(rows.rows) - 1))
    body = rows.rows.pop(gone)[3]
    if not body:
        return  # behind a line that the agent gave up too early it may be that line's empty rest
    outcome = compared(log, cuts_of(log, verified), rows)
    assert len(outcome.missing_rows())
    assert (len(rows.rows), [], []) == (outcome.equal, outcome.differing, outcome.repeated)


@given(LOGS, CUTS, CUTS, IMPATIENT, st.data())
def test_a_record_of_another_text_time_or_stream_differs(
    log: bytes, read: list[float], verified: list[float], impatient: list[bool], data: st.DataObject
) -> None:
    rows = stored(log, cuts_of(log, read), impatient)
    at = data.draw(st.integers(0, len(rows.rows) - 1))
    position, time, stream, body, truncated, malformed = rows.rows[at]
    if truncated:
        return  # what was cut can be anything
    kind = data.draw(st.sampled_from(["body", "longer", "time", "stream"]))
    changed = {
        "body": (position, time, stream, bytes([b ^ 1 for b in body]) or b"new", 0, malformed),
        "longer": (position, time, stream, body + b"?", 0, malformed),
        "time": (position, time + 1, stream, body, 0, malformed),
        "stream": (position, time, (stream + 1) % 3, body, 0, malformed),
    }
    if kind == "time" and malformed:
        return  # it has none of its own
    rows.rows[at] = changed[kind]
    outcome = compared(log, cuts_of(log, verified), rows)
    assert position in {d.position for d in outcome.differing}


@given(LOGS, CUTS, IMPATIENT, st.data())
def test_a_record_that_is_stored_twice_is_told(
    log: bytes, read: list[float], impatient: list[bool], data: st.DataObject
) -> None:
    rows = stored(log, cuts_of(log, read), impatient)
    again = rows.rows[data.draw(st.integers(0, len(rows.rows) - 1))]
    count = len(rows.rows)
    rows.rows.append(again)
    outcome = compared(log, cuts_of(log, []), rows)
    assert ([again[0]], count) == ([d.position for d in outcome.repeated], outcome.equal)


def test_a_record_at_whose_position_no_line_begins() -> None:
    log = b"2026-11-18T00:00:00Z stdout F a\n"
    rows = stored(log, [(0, len(log))], [False])
    rows.rows.append((5, 0, 1, b"x", 0, False))
    outcome = compared(log, [(0, len(log))], rows)
    assert [(5, "no line begins at its position")] == [
        (d.position, d.why) for d in outcome.differing
    ]


@pytest.mark.parametrize("lost", range(3))
def test_lines_behind_a_wrong_record_are_counted_again(lost: int) -> None:
    lines = [b"2026-11-18T00:00:00Z stdout F %d" % n for n in range(5)]
    log = b"\n".join(lines) + b"\n"
    rows = stored(log, [(0, len(log))], [False])
    rows.rows[0] = (*rows.rows[0][:3], b"wrong", 0, False)
    del rows.rows[2 : 2 + lost]
    outcome = compared(log, [(0, len(log))], rows)
    assert (1, lost) == (len(outcome.differing), len(outcome.missing_rows()))


def test_records_between_whose_lines_others_begin() -> None:
    """As the reports of the kernel in a file of many programs."""
    texts = [b"oom: a", b"sshd: x", b"oom: b", b"cron: y", b"oom: c", b"sshd: z"]
    log = b"".join(text + b"\n" for text in texts)
    starts = [log.index(text) for text in texts]
    report = (0, 9, 0, b"oom: a\noom: b\noom: c", 0, False)
    others = [(starts[i], 9, 0, texts[i], 0, False) for i in (1, 3, 5)]
    for middle in starts[1:]:
        comparer, outcomes, rows = Comparer(heads=False), [], Rows([report, *others])
        for start, end in ((0, middle), (middle, len(log))):
            fragments = fragments_of(Piece(start, end, log[start:end]), 0, container=False)
            outcomes.append(comparer.feed(fragments, rows.records(start, end)))
        outcomes.append(comparer.finish())
        assert all(o.clean for o in outcomes)
        assert sum(o.equal for o in outcomes) == 4


def test_a_restored_comparer_goes_on_as_before() -> None:
    lines = [b"2026-11-18T00:00:00Z stdout P a", b"2026-11-18T00:00:00Z stdout F b"]
    log = b"\n".join(lines) + b"\n"
    middle = len(lines[0]) + 1
    rows = stored(log, [(0, len(log))], [False])
    comparer = Comparer()
    first = fragments_of(Piece(0, middle, log[:middle]), 0, container=True)
    second = fragments_of(Piece(middle, len(log), log[middle:]), 0, container=True)
    assert comparer.feed(first, rows.records(0, middle)).clean
    kept = comparer.saved()
    wrong = replace(second, body=pa.array([b"?"], pa.binary()))
    comparer.feed(wrong, rows.records(middle))
    comparer.restore(kept)
    assert comparer.feed(second, rows.records(middle)).clean
    assert comparer.finish().equal == 1


def test_what_goes_on_in_bytes_that_are_not_there_is_no_difference() -> None:
    whole = b"2026-11-18T00:00:00Z stdout P a\n2026-11-18T00:00:00Z stdout F b\n"
    rows = stored(whole, [(0, len(whole))], [False])
    first = fragments_of(Piece(0, 32, whole[:32]), 0, container=True)
    for more, expected in ((True, []), (False, [0])):
        comparer = Comparer()
        comparer.feed(first, rows.records())
        assert expected == [d.position for d in comparer.finish(more=more).differing]
