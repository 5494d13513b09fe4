"""Scenes: records, and queries over them with their answers, in plain files.

    scene NAME
    {app="a"} 10 the line                    a record 10 s after the epoch
    {app="a"} 10..50/20 the line             records at 10, 30 and 50 s
    {app="a"} 10 [k="v"] the line            with structured metadata
    instant 60 QUERY                         evaluated at 60 s
    range 60..180/60 QUERY                   evaluated at 60, 120 and 180 s
    logs 0..60 forward 10 QUERY              entries from 0 s on, before 60 s, up to 10
      {app="a"} 3                            expected: a series' value
      {app="a"} 60=3 120=_ 180=4.5           … or values (NaN, +Inf and -Inf are numbers)
      {app="a"} 10 the line                  … or an entry, with all its labels
      error TEXT                             … or an error that contains TEXT
      nothing                                … or an empty answer

Expected lines stand indented below their query, in the order of the answer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from kelp.server.ports import BudgetError, QueryError, Scope
from kelp.server.query.logql.literals import format_float, quote, unquote
from kelp.server.query.service import QueryService
from kelp.server.result import Answer, Matrix, Scalar, Streams, Vector
from tests.server.query.golden import FOLDER
from tests.server.query.store import EPOCH, SECOND, Line

_LABELS = re.compile(r"\{([^}]*)\}")
_LABEL = re.compile(r'([\w.]+)=("(?:[^"\\]|\\.)*")')
_TIMES = re.compile(r"(-?[\d.]+)(?:\.\.(-?[\d.]+)/([\d.]+))?$")


@dataclass
class Question:
    """A query of a scene, and what it must answer."""

    line: int
    kind: str
    times: str
    query: str
    expected: list[str] = field(default_factory=list)
    backward: bool = True
    limit: int = 100


@dataclass
class Scene:
    """Records and questions."""

    file: str
    name: str
    lines: list[Line] = field(default_factory=list)
    questions: list[Question] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.file}:{self.name}"


def scenes() -> list[Scene]:
    """All scenes of all files."""
    return [s for path in sorted((FOLDER / "results").glob("*.txt")) for s in _scenes(path.name)]


def _scenes(name: str) -> list[Scene]:
    found: list[Scene] = []
    for number, line in enumerate((FOLDER / "results" / name).read_text().splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        if line.startswith("scene "):
            found.append(Scene(name, line[6:]))
        elif line.startswith("  "):
            found[-1].questions[-1].expected.append(line[2:])
        elif line.startswith("{"):
            found[-1].lines.extend(_records(line))
        else:
            found[-1].questions.append(_question(number, line))
    return found


def _question(number: int, line: str) -> Question:
    kind, times, rest = line.split(" ", 2)
    if kind != "logs":
        return Question(number, kind, times, rest)
    direction, limit, query = rest.split(" ", 2)
    return Question(number, kind, times, query, [], direction == "backward", int(limit))


def _labels(text: str) -> dict[str, str]:
    return {m[1]: unquote(m[2]) for m in _LABEL.finditer(text)}


def _records(line: str) -> list[Line]:
    head = _LABELS.match(line)
    assert head, line
    times, _, text = line[head.end() :].strip().partition(" ")
    metadata = {}
    if text.startswith("["):
        inside, _, text = text[1:].partition("] ")
        metadata = _labels(inside)
    body = text.encode("utf-8").decode("unicode_escape").encode("latin-1")
    return [Line(_labels(head[1]), at, body, metadata) for at in _times(times)]


def _times(text: str) -> list[int]:
    found = _TIMES.match(text)
    assert found, text
    first = round(float(found[1]) * SECOND)
    if found[2] is None:
        return [first]
    last, step = round(float(found[2]) * SECOND), round(float(found[3]) * SECOND)
    return list(range(first, last + 1, step))


def answer(service: QueryService, scope: Scope, question: Question) -> list[str]:
    """What the service answers, in the words of a scene."""
    try:
        return _shown(_asked(service, scope, question)) or ["nothing"]
    except (QueryError, BudgetError) as e:
        return [f"error {e}"]


def _asked(service: QueryService, scope: Scope, question: Question) -> Answer:
    if question.kind == "instant":
        return service.instant(question.query, scope, time_ns=EPOCH + _times(question.times)[0])
    start, _, rest = question.times.partition("..")
    end, _, step = rest.partition("/")
    return service.range(
        question.query,
        scope,
        start_ns=EPOCH + round(float(start) * SECOND),
        end_ns=EPOCH + round(float(end) * SECOND),
        step_ns=round(float(step or 1) * SECOND),
        limit=question.limit,
        direction="backward" if question.backward else "forward",
    )


def _shown(found: Answer) -> list[str]:
    match found.data:
        case Scalar():
            return [format_float(found.data.value)]
        case Vector():
            return [f"{_braces(s.labels)} {_number(s.value)}" for s in found.data.samples]
        case Matrix():
            return [
                f"{_braces(s.labels)} "
                + " ".join(
                    f"{_seconds(t)}={_number(v)}"
                    for t, v in zip(s.timestamps, s.values, strict=True)
                )
                for s in found.data.series
            ]
        case Streams():
            return _entries(found.data)


def _entries(data: Streams) -> list[str]:
    out = []
    for stream in data.streams:
        for entry in stream.entries:
            labels = _braces({**stream.labels, **entry.metadata, **entry.parsed})
            text = entry.line.decode("latin-1").encode("unicode_escape").decode()
            out.append(f"{labels} {_seconds(entry.timestamp)} {text}".rstrip())
    return out


def _braces(labels: dict[str, str]) -> str:
    return "{" + ", ".join(f"{k}={quote(v)}" for k, v in sorted(labels.items())) + "}"


def _seconds(ns: int) -> str:
    return f"{(ns - EPOCH) / SECOND:g}"


def _number(value: float) -> str:
    return format_float(float(f"{value:.9g}"))
