"""Questions as flags and as text; looks, here and for somebody elsewhere."""

from __future__ import annotations

import msgspec
import pytest

from kelp.base.errors import KelpError
from kelp.base.redact import REDACTED, Redactor
from kelp.node.host.looks import MAX_INTERVAL_S, LocalLooks, answer
from kelp.node.host.question import KINDS, Question, QuestionError, question_of
from kelp.node.host.reading import Roots

from .tree import CONTAINER_V2, ID, FakeClock, Tree


@pytest.fixture
def tree(tmp_path):
    made = Tree(tmp_path)
    made.pod()
    made.process(1, "init", ppid=0)
    made.process(7, "web", cgroup=f"0::{CONTAINER_V2}\n", command="web --password hunter2")
    return made


QUESTIONS = [
    Question(report="top", namespace="shop", sort="memory"),
    Question(report="ps", pod="web-*", tree=True, zombies=True),
    Question(report="iostat", all=True, sort="util"),
    Question(report="vmstat"),
    Question(report="ss", protocols="tcp,unix", families="6", states="all", listening=True),
    Question(report="route", families="4", all=True),
    Question(report="pressure", node_only=True),
    Question(report="cgroups", all=True),
]


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda q: q.report)
def test_as_text_and_back(question):
    assert question == question_of(question.report, question.parameters())


def test_what_is_usual_is_not_said():
    assert Question(report="ss").parameters() == {}


@pytest.mark.parametrize(
    ("report", "parameters", "said"),
    [
        ("dance", {}, 'expected a report of top, ps, iostat'),
        ("vmstat", {"sort": "x"}, 'vmstat: expected a parameter of none; got "sort"'),
        ("ps", {"report": "top"}, 'ps: expected a parameter of namespace, pod'),
        ("top", {"sort": "size"}, 'top: expected sort to be one of cpu, memory'),
        ("ps", {"tree": "perhaps"}, "ps: a parameter cannot be read"),
        ("ss", {"states": "some"}, "ss: a parameter cannot be read"),
        ("ss", {"protocols": "tcp,sctp"}, 'expected protocols to be of tcp,udp,unix; got "sctp"'),
        ("route", {"families": "5"}, 'expected families to be of 4,6; got "5"'),
    ],
)  # fmt: skip
def test_a_wrong_question_is_told_in_words(report, parameters, said):
    with pytest.raises(QuestionError) as e:
        question_of(report, parameters)
    assert said in str(e.value)


@pytest.mark.parametrize("name", KINDS)
def test_an_answer_can_be_read_back(tree, name):
    question = Question(report=name)
    data = answer(question, 0.0, tree.roots, FakeClock(), None)
    read = msgspec.json.encode(msgspec.json.decode(data, type=question.kind.type))
    assert msgspec.json.decode(data) == msgspec.json.decode(read)


def test_arguments_are_shown_as_whoever_answers_shows_them(tree):
    for report in ("ps", "top"):
        data = answer(Question(report=report), 0.0, tree.roots, FakeClock(), Redactor().arguments)
        assert b"hunter2" not in data
        assert f"web --password {REDACTED}".encode() in data


@pytest.mark.parametrize(
    ("report", "asked", "told", "waited"),
    [
        ("top", 0.0, 1.0, 1.0),
        ("top", 5.0, 5.0, 5.0),
        ("vmstat", 0.0, 20.0, 0.0),
        ("vmstat", 2.0, 2.0, 2.0),
        ("pressure", 2.0, None, 0.0),
    ],
)
def test_rates_are_of_the_time_that_is_asked_for(tree, report, asked, told, waited):
    clock = FakeClock()
    data = answer(Question(report=report), asked, tree.roots, clock, None)
    assert told == msgspec.json.decode(data)["interval_s"]
    assert waited == clock.seconds - 1000


@pytest.mark.parametrize("interval_s", [-1.0, MAX_INTERVAL_S + 1, float("nan")])
def test_an_interval_out_of_bounds_is_refused(tree, interval_s):
    with pytest.raises(QuestionError, match="expected interval_s from 0 to 10"):
        answer(Question(report="top"), interval_s, tree.roots, FakeClock(), None)


def test_a_report_that_is_too_long_is_refused(tree, monkeypatch):
    monkeypatch.setattr("kelp.node.host.looks.MAX_REPORT_BYTES", 100)
    with pytest.raises(QuestionError, match="ask for less of it"):
        answer(Question(report="ps"), 0.0, tree.roots, FakeClock(), None)


def test_without_a_proc_file_system_there_is_nothing_to_look_at(tmp_path):
    roots = Roots(proc=tmp_path)
    with pytest.raises(KelpError, match="expected a proc file system"):
        answer(Question(report="top"), 0.0, roots, FakeClock(), None)
    with pytest.raises(KelpError, match="expected a proc file system"):
        LocalLooks(Question(report="top"), roots, FakeClock())


def test_ids_of_containers_are_known(tree):
    from kelp.node.host.identifiers import container_ids

    tree.container("web", "cd" * 32)
    tree.write("sys/fs/cgroup/cgroup.controllers", "cpu memory\n")
    (tree.roots.sys / "fs/cgroup" / CONTAINER_V2[1:]).mkdir(parents=True)
    assert {ID, "cd" * 32} == container_ids(tree.roots)
