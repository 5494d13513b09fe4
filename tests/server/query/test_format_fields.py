"""Fields in SQL are those that the stage finds row by row, on every line that SQL may be trusted
with; and on lines as programs write them, it may."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kelp.base.formats import FORMATS, Format
from kelp.server.query.logql import expressions as ast
from kelp.server.query.pipeline.compile import compile_stages
from kelp.server.query.pipeline.hints import hints_of
from kelp.server.query.pipeline.line_fields import EVENT_TIME, fields_of_line
from kelp.server.query.pipeline.row import Row
from kelp.server.query.sql.fields import Line
from kelp.server.query.sql.format_fields import format_fields
from kelp.server.query.sql.text import array, string, to_text
from kelp.server.query.streams import Selected
from kelp.server.store.store import Store

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"

# What a line may be broken or changed by.
PIECES = [
    b"", b"-", b'"', b"\\", b" ", b"\n", b"{", b"}", b",", b"=", b"\xff", b"\xef\xbf\xbd",
    "é".encode(), b"0", b"'", b"[", b']"', b'"":', b'"a":', b"\\u0041",
    b" trace_id=" + TRACE.encode(), b'"level":{"a":1},',
    b'"msg":"x",', b'"@timestamp":"y",', b"@t=1 ", b'"\\u0040m":"z",', b"level=",
    b"x-request-id: abcdef12 ", b"msg=- ", b'"error":"",', b'"err":"-",', b'error="" err=now ',
]  # fmt: skip


def _of(name: str) -> dict[str, str]:
    return {"format": name, "dataset": "app"}


def _names(known: Format) -> list[str]:
    found = [n for line in known.examples for n in fields_of_line(known, line, 0)]
    more = ["trace_id", "request_id", "level", "no_such", "a_b"]
    return sorted({*found, *known.fields, *more} - {EVENT_TIME})


def _broken(line: bytes, random: random.Random) -> bytes:
    """The line with up to three changes."""
    for _ in range(random.choice((0, 1, 1, 2, 3))):
        start = random.randrange(len(line) + 1)
        end = start + random.choice((0, 0, 1, 1, 4, 20))
        line = line[:start] + random.choice(PIECES) + line[end:]
    return line


def _asked(
    store: Store, bodies: Sequence[tuple[int, bytes]], columns: Mapping[str, str]
) -> Iterator[dict[str, bytes]]:
    selects = ", ".join(f"{sql} AS {name}" for name, sql in columns.items())
    rows = array(f"(toUInt64({i}), {string(body)})" for i, body in bodies)
    table = store.engine.query(
        f"SELECT {selects} FROM (SELECT arrayJoin({rows}) AS row, row.1 AS stream_id, "
        "row.2 AS body) SETTINGS max_query_size = 10000000, max_ast_elements = 1000000"
    )
    yield from table.to_pylist()


def _compare(
    store: Store, stage: ast.Fields, wanted: Sequence[str], selected: Selected,
    bodies: Sequence[tuple[int, bytes]],
) -> int:  # fmt: skip
    """How many of the lines are sound; all of those are read alike."""
    fields = format_fields(stage, wanted, selected)
    if fields is None:
        return 0
    columns = {"sound": f"toUInt8({fields.sound})"}
    for name in wanted:
        columns |= {f"v_{name}": fields.of[name].text, f"p_{name}": fields.of[name].present}
    sound = 0
    for (stream_id, body), got in zip(bodies, _asked(store, bodies, columns), strict=True):
        if not got["sound"]:
            continue
        sound += 1
        row = Row(selected.labels[stream_id], {}, body, 0)
        for step in compile_stages([stage], hints_of(wanted)):
            step(row)
        for name in wanted:
            value = to_text(got[f"v_{name}"]) if got[f"p_{name}"] else None
            assert row.parsed.get(name) == value, (name, body)
    return sound


@pytest.mark.parametrize("known", FORMATS, ids=lambda f: f.name)
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_trusted_lines_are_read_alike(known: Format, data: st.DataObject, store: Store) -> None:
    random = data.draw(st.randoms(use_true_random=False))
    wanted = data.draw(
        st.lists(st.sampled_from(_names(known)), min_size=1, max_size=4, unique=True)
    )
    bodies = [(1, _broken(random.choice(known.examples), random)) for _ in range(60)]
    stage = ast.Fields(tuple(wanted), implied=True)
    _compare(store, stage, wanted, Selected({1: _of(known.name)}), bodies)


@pytest.mark.parametrize("known", FORMATS, ids=lambda f: f.name)
def test_lines_as_they_are_written_are_trusted(known: Format, store: Store) -> None:
    selected = Selected({1: _of(known.name)})
    bodies = [(1, line) for line in known.examples]
    for name in _names(known):
        sound = _compare(store, ast.Fields((name,)), [name], selected, bodies)
        assert sound == len(bodies) or _nested(known, name), name


def _nested(known: Format, name: str) -> bool:
    """Names that join those of nested objects are left to the rows."""
    sources = (name, *known.aliases.get(name, ()))
    return any("_" in source.strip("_") or source[:1] == "_" for source in sources)


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_each_stream_is_read_by_its_own_format(data: st.DataObject, store: Store) -> None:
    random = data.draw(st.randoms(use_true_random=False))
    formats = data.draw(st.lists(st.sampled_from(FORMATS), min_size=1, max_size=4))
    labels: dict[int, dict[str, str]] = {i: _of(f.name) for i, f in enumerate(formats, 10)}
    labels |= {1: {"dataset": "app"}, 2: {"pod": "pushed"}}
    lines = [line for f in formats for line in f.examples]
    bodies = [(random.choice([*labels]), _broken(random.choice(lines), random)) for _ in range(60)]
    wanted = ["status", "level", "message", "trace_id"]
    _compare(store, ast.Fields(), wanted, Selected(labels), bodies)


def test_of_a_rewritten_line(store: Store) -> None:
    fields = format_fields(
        ast.Fields(), ["status"], Selected({1: _of("json")}), Line("substring(body, 3)")
    )
    assert fields is not None
    (got,) = _asked(store, [(1, b'x {"status":"7"}')], {"v": fields.of["status"].text})
    assert got["v"] == b"7"


def test_what_sql_does_not_say() -> None:
    json = Selected({1: _of("json")})
    assert format_fields(ast.Fields(), ["event_time"], json) is None
    assert format_fields(ast.Fields(), ["_5xx"], json) is None
    many = {i: _of("json") for i in range(2001)} | {i: _of("logfmt") for i in range(9000, 12000)}
    assert format_fields(ast.Fields(), ["status"], Selected(many)) is None
