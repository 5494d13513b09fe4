"""What waits, for how long, what is marked, and what passes untouched."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kelp.agent.assemble.traces import joiner as joiner_module
from kelp.agent.assemble.traces import pending
from kelp.model.batch import ATTR_TRACE_PART, ATTR_TRUNCATED
from kelp.model.lines import STDERR, STDOUT
from tests.agent.assemble.traces.batches import NOW_NS, SECOND, Line, Node, batch, records

HEAD = b"java.lang.IllegalStateException: boom"
FRAME = b"\tat com.example.App.run(App.java:%d)"


def trace(frames: int) -> list[bytes]:
    return [HEAD, *(FRAME % i for i in range(frames))]


def test_a_batch_without_traces_is_passed_on_as_it_is():
    lines = batch([Line(b"one"), Line(b"two"), Line(b"  three")])
    assert Node().joiner.join(lines) is lines


def test_where_only_the_last_rows_wait_nothing_is_copied():
    lines = batch([Line(b"one", "a"), Line(b"two", "b"), Line(HEAD, "b"), Line(HEAD, "a")])
    lines = replace(lines, marks={1: {"k": "v"}, 3: {"k": "w"}})
    node = Node()
    found = node.joiner.join(lines)
    assert lines.body.buffers()[2].address == found.body.buffers()[2].address
    assert [b"one", b"two"] == [r[-1] for r in records(found)]
    assert {1: {"k": "v"}} == found.marks
    assert [HEAD, HEAD] == [r[-1] for r in node.finish()]


def test_a_batch_of_empty_rows_alone():
    lines = batch([Line(b"") for _ in range(100)])
    node = Node()
    found = records(node.joiner.join(lines)) + node.finish()
    assert [b""] * 100 == [r[-1] for r in found]


def test_a_record_has_the_time_and_the_place_of_its_first_line():
    node = Node()
    found = node.read([Line(b"before"), *map(Line, trace(2)), Line(b"after")])
    joined = ("a", STDERR, 1, 10, b"\n".join(trace(2)))
    assert [("a", STDERR, 0, 0, b"before"), joined, ("a", STDERR, 4, 40, b"after")] == found


def test_streams_and_instances_do_not_mix():
    lines = []
    for body in trace(2):
        lines += [Line(body, "a", STDERR), Line(b"ok", "a", STDOUT), Line(body, "b", STDERR)]
    node = Node()
    found = node.read(lines) + node.finish()
    whole = b"\n".join(trace(2))
    wanted = [("a", STDERR, 0, 0, whole), ("b", STDERR, 2, 20, whole)]
    wanted += [("a", STDOUT, i, 10 * i, b"ok") for i in (1, 4, 7)]
    assert sorted(wanted) == sorted(found)


def test_a_trace_whose_next_line_does_not_come_is_given_out():
    node = Node()
    assert node.read([Line(body) for body in trace(2)]) == []
    assert node.joiner.expire(NOW_NS + SECOND - 1) is None
    found = records(node.joiner.expire(NOW_NS + SECOND))
    assert [("a", STDERR, 0, 0, b"\n".join(trace(2)))] == found
    assert node.joiner.expire(NOW_NS + 9 * SECOND) is None


def test_after_a_restart_a_trace_waits_its_full_time():
    node = Node()
    node.read([Line(body) for body in trace(2)])
    node.restart()
    assert node.joiner.expire(NOW_NS + 99 * SECOND) is None
    later = node.joiner.expire(NOW_NS + 100 * SECOND)
    assert [b"\n".join(trace(2))] == [r[-1] for r in records(later)]
    node.restart()
    assert node.saved == {}


def test_what_was_given_out_leaves_no_checkpoint():
    node = Node()
    node.read([Line(body) for body in trace(1)])
    node.restart()
    assert ["a#2"] == list(node.saved)
    node.read([Line(b"after")])
    node.restart()
    assert node.saved == {}


def test_a_damaged_checkpoint_is_left_out(caplog: pytest.LogCaptureFixture):
    node = Node(saved={"a#2": b"\xc1"})
    assert [b"line"] == [r[-1] for r in node.read([Line(b"line")])]
    assert "a#2" in caplog.text


def test_states_of_another_version_are_only_given_out():
    node = Node()
    node.read([Line(body) for body in trace(1)])
    node.restart()
    node.saved["a#2"] = node.saved["a#2"].replace(b"at.frames", b"at.nothin")
    node.start()
    found = [r[-1] for r in node.read([Line(FRAME % 9)]) + node.finish()]
    assert [b"\n".join(trace(1)), FRAME % 9] == found


def test_a_trace_of_too_many_lines_is_divided_and_marked(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(joiner_module, "MAX_LINES", 4)
    node = Node()
    made = node.joiner.join(batch([*map(Line, trace(8)), Line(b"after")]))
    lines = trace(8)
    parts = [lines[:4], lines[4:8], lines[8:]]
    assert [*(b"\n".join(p) for p in parts), b"after"] == made.body.to_pylist()
    assert [0, 4, 8, 9] == made.position.tolist()
    assert {i: {ATTR_TRACE_PART: str(i + 1)} for i in range(3)} == made.marks


def test_a_divided_trace_goes_on_after_a_restart(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(joiner_module, "MAX_LINES", 4)
    node = Node()
    found = []
    for line in trace(8):
        found += node.read([Line(line)])
        node.restart()
    lines = trace(8)
    parts = [lines[:4], lines[4:8], lines[8:]]
    assert [b"\n".join(p) for p in parts] == [r[-1] for r in found + node.finish()]


def test_a_record_stays_within_its_bytes():
    node = Node(max_record_bytes=200)
    found = [r[-1] for r in node.read([Line(b) for b in trace(20)]) + node.finish()]
    assert b"\n".join(trace(20)) == b"\n".join(found)
    assert max(map(len, found)) <= 200
    assert len(found) > 4


def test_marks_of_all_lines_are_kept():
    bodies = trace(2)
    lines = [
        Line(bodies[0], marks={ATTR_TRUNCATED: "5", "k": "first"}),
        Line(bodies[1], marks={ATTR_TRUNCATED: "7", "k": "second"}),
        Line(bodies[2]),
        Line(b"after", marks={"x": "y"}),
    ]
    made = Node().joiner.join(batch([Line(b"before"), *lines]))
    assert {1: {ATTR_TRUNCATED: "12", "k": "first"}, 2: {"x": "y"}} == made.marks


def test_beyond_the_budget_the_oldest_is_given_out(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pending, "BUDGET_BYTES", 150)
    node = Node()
    found = node.read([Line(b, "old") for b in trace(2)])
    found += node.read([Line(b, "new") for b in trace(2)])
    assert [("old", b"\n".join(trace(2)))] == [(r[0], r[-1]) for r in found]


def test_switched_off_nothing_is_joined():
    lines = batch([Line(b) for b in trace(3)])
    assert Node(detect=False).joiner.join(lines) is lines


def test_an_empty_batch():
    assert len(Node().joiner.join(batch([]))) == 0
