"""What SQL cuts out of a line is what the pipeline does, wherever SQL says that it may be trusted.

Lines are put together from pieces that parsers stumble over; each is read both ways.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kelp.server.query.logql import expressions as ast
from kelp.server.query.pipeline.compile import compile_stages
from kelp.server.query.pipeline.hints import hints_of
from kelp.server.query.pipeline.row import Row
from kelp.server.query.sql.fields import fields_of
from kelp.server.query.sql.lines import LineConditions, PlainDialect
from kelp.server.query.sql.text import array, string, to_text
from kelp.server.store.store import Store

NAMES = ["level", "n", "a_b", "user_id"]

LOGFMT = [
    "level=", "level", "mylevel=", "n=", "a_b=", "a-b=", "a.b=", "user_id=", "é=", "x=", "=", "==",
    '"', '""', " ", " ", "\t", "info", "5", "-1.5", "é", "\xff", "\ufffd", "\\", '\\"', '"a b"',
    '"level=x "', '="x y"', "=b=c", "a=1", "\x01",
]  # fmt: skip
JSON = [
    '{"', '":', '","', '"}', "}", "{", "[", "]", ",", ":", '"level"', '"level":"info"', '"n":5',
    '"n":1.50', '"n":-2e3', '"n":null', '"n":true', '"n":[1]', '"a_b":"x"', '"a":{"b":"y"}',
    '"a-b":1', '"a":{"b":', '"user":{"id":7}', '"user_id":8', '"user":"bob"', '"level ":"sp"',
    '" level":"sp"', '"":{"level":"blank"}', '" ":{"n":6}', '"l\\u0065vel":"esc"',
    '"x":"\\u003c\\"level\\":\\"no\\""', '"x":"say \\"n\\":9"', '"é":"\ufffd"', '"level":"é\\n"',
    '"level":"\\ud800"', " ", "\n", "x", "\xff", '"n":', "5", "tru", "true",
]  # fmt: skip
PATTERNED = ["GET", " ", "/a", "?", "200", " - ", "x", "", "é", "\xff", "\n", "-", "a", "b"]
PARSERS: dict[str, tuple[ast.Stage, list[str], list[str]]] = {
    "logfmt": (ast.Logfmt(), LOGFMT, NAMES),
    "json": (ast.Json(), JSON, NAMES),
    "regexp": (ast.Regexp(r"(?P<verb>[A-Z]+) (?P<path>.+?)( (?P<rest>\d+))?$"), PATTERNED,
               ["verb", "path", "rest", "nope"]),
    "pattern": (ast.Pattern("<verb> <path>?<_> - <rest>"), PATTERNED,
                ["verb", "path", "rest", "nope"]),
    "literal pattern": (ast.Pattern("GET <path> <rest>"), PATTERNED, ["path", "rest"]),
}  # fmt: skip


def _lines(pieces: list[str]) -> st.SearchStrategy[list[bytes]]:
    line = st.lists(st.sampled_from(pieces), max_size=9).map("".join).map(str.encode)
    members = [p for p in pieces if p.startswith('"') and ":" in p[2:]] or pieces
    member = st.lists(st.sampled_from(members), max_size=5)
    sound = member.map(lambda m: ("{" + ",".join(m) + "}").encode())
    raw = (
        st.lists(st.sampled_from(pieces), max_size=9)
        .map("".join)
        .map(lambda t: t.encode("latin-1", "replace"))
    )
    return st.lists(line | sound | raw, min_size=1, max_size=40)


@pytest.mark.parametrize("kind", PARSERS)
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_sound_lines_are_read_alike(kind: str, data: st.DataObject, store: Store) -> None:
    parser, pieces, names = PARSERS[kind]
    bodies = data.draw(_lines(pieces))
    wanted = data.draw(st.lists(st.sampled_from(names), min_size=1, unique=True))
    fields = fields_of(parser, wanted)
    assert fields is not None
    columns = [f"({fields.sound}) AS sound", f"({fields.error}) AS error"]
    columns += [f"if({fields.of[n].present}, {fields.of[n].value}, NULL) AS v_{n}" for n in wanted]
    for body, got in zip(bodies, _asked(store, bodies, columns), strict=True):
        row = Row({}, {}, body, 0)
        for step in compile_stages([parser], hints_of(wanted)):
            step(row)
        if got["sound"]:
            assert row.error.encode() == got["error"], body
            for name in wanted:
                value = got[f"v_{name}"]
                assert row.get(name) == (None if value is None else to_text(value)), (name, body)


def test_plain_lines_are_trusted(store: Store) -> None:
    trusted = [
        (ast.Logfmt(), b'level=info msg="a level b" n=5 user_id=7'),
        (ast.Logfmt(), b'I1120 00:00:00.4 1 x.go:3] "started it" level="warn" a_b="x"'),
        (ast.Json(), b'{"level":"info","n":1.50,"user_id":7,"msg":"\\u003chi\\u003e","user":"x"}'),
        (ast.Json(), b'{ "a_b" : true , "level" : null }'),
        (ast.Json(), b"no object at all"),
    ]
    for parser, body in trusted:
        fields = fields_of(parser, NAMES)
        assert fields is not None
        (got,) = _asked(store, [body], [f"({fields.sound}) AS sound"])
        assert got["sound"], body


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_line_filters_hold_alike(data: st.DataObject, store: Store) -> None:
    pieces = ["a", "b", " ", "ab", "é", ".", "1.2.3.4", "\n", "x"]
    bodies = data.draw(
        st.lists(st.lists(st.sampled_from(pieces), max_size=6).map("".join).map(str.encode),
                 min_size=1, max_size=30)
    )  # fmt: skip
    texts = {
        "=": st.sampled_from(["", "a", "ab", "é", "b a"]),
        "~": st.sampled_from(["a.b", "^a", "b$", "(?i)A", "", "é+", "a|x"]),
        ">": st.sampled_from(["", "a<_>", "<_>b", "a<_>b<_>", "<_>", "ab", "<_>a<_>a"]),
    }
    op = data.draw(st.sampled_from(["|=", "!=", "|~", "!~", "|>", "!>"]))
    terms = data.draw(st.lists(texts[op[1]].map(ast.LineTerm), min_size=1, max_size=2))
    node = ast.LineFilter(op, tuple(terms))
    condition = LineConditions(PlainDialect()).exact(node)
    (step,) = compile_stages([node])
    got = _asked(store, bodies, [f"({condition}) AS kept"])
    expected = [step(Row({}, {}, body, 0)) for body in bodies]
    assert expected == [bool(row["kept"]) for row in got], (node, bodies)


def _asked(
    store: Store, bodies: Sequence[bytes], columns: Sequence[str]
) -> list[dict[str, object]]:
    values = array(map(string, bodies))
    sql = (
        f"SELECT {', '.join(columns)} FROM (SELECT arrayJoin(arrayEnumerate(all)) AS i, "
        f"all[i] AS body FROM (SELECT {values} AS all)) ORDER BY i"
    )
    rows: list[dict[str, object]] = store.engine.query(sql).to_pylist()
    return rows
