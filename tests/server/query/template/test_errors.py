"""What a template says where it fails: in text/template's words, with the place and the node."""

from __future__ import annotations

import pytest

from kelp.server.ports import BudgetError
from kelp.server.query.template.compile import TemplateError, compile_template
from kelp.server.query.template.evaluate import MAX_TEXT

LABELS = {"a": "v", "object": '{"n": 5}', "list": "[" + ",".join("1" * 50) + "]"}


def _failure(text: str) -> str:
    with pytest.raises(TemplateError) as caught:
        compile_template("line", text).run(LABELS, "the line", 10**9)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "location", "executing", "message"),
    [
        ("{{bytes .a}}", "1:2", "<bytes .a>",
         'error calling bytes: strconv.ParseFloat: parsing "": invalid syntax'),
        ("{{  .a   |  duration }}", "1:12", "<duration>",
         'error calling duration: time: invalid duration "v"'),
        ("one\n two {{ div 1   0 }}", "2:8", "<div 1 0>",
         "error calling div: runtime error: integer divide by zero"),
        ("ü{{div 1 0}}", "1:4", "<div 1 0>",
         "error calling div: runtime error: integer divide by zero"),
        ("{{.a Replace `x`}}", "1:5", "<Replace>",
         "wrong number of args for Replace: want 4 got 0"),
        ("{{.a | div 1 0}}", "1:7", "<div>", "wrong number of args for div: want 2 got 3"),
        ("{{.a | min}}", "1:7", "<min>", ""),
        ("{{ToLower 5}}", "1:10", "<5>", "expected string; found 5"),
        ("{{trunc `x` .a}}", "1:8", "<`x`>", "expected integer; found `x`"),
        ("{{trunc nil .a}}", "1:8", "<nil>", "cannot assign nil to int"),
        ("{{5 | ToLower}}", "1:6", "<ToLower>",
         "wrong type for value; expected string; got int"),
        ("{{trunc .a .a}}", "1:8", "<.a>", "wrong type for value; expected int; got string"),
        ("{{.a.b}}", "1:4", "<.a.b>", "can't evaluate field b in type string"),
        ("{{(fromJson .object).n.x}}", "1:20", "<(fromJson .object).n.x>",
         "can't evaluate field x in type float64"),
        ("{{(fromJson .object).m.x}}", "1:20", "<(fromJson .object).m.x>",
         "nil pointer evaluating interface {}.x"),
        ("{{`x` 1}}", "1:2", "<`x`>", "can't give argument to non-function `x`"),
        ("{{range .a}}{{end}}", "1:8", "<.a>", "range can't iterate over v"),
        ("{{template `t` .a}}", "1:11", '<{{template "t" .a}}>', 'template "t" not defined'),
        ("{{range 1000000}}{{end}}", "1:8", "<1000000>", "its loops turn more than 100000 times"),
        ("{{eq .a}}", "1:2", "<eq .a>", "error calling eq: missing argument for comparison"),
        ("{{nil}}", "1:2", "<nil>", "nil is not a command"),
    ],
)  # fmt: skip
def test_names_the_place_and_the_node(
    text: str, location: str, executing: str, message: str
) -> None:
    if not message:
        assert "0" == compile_template("line", text).run(LABELS, "", 0)
        return
    expected = f'template: line:{location}: executing "line" at {executing}: {message}'
    assert expected == _failure(text)


def test_names_the_template_that_was_called() -> None:
    failure = _failure("{{define `inner`}}{{bytes .a}}{{end}}{{template `inner` .}}")
    assert failure.startswith('template: line:1:20: executing "inner" at <bytes .a>: error calling')


@pytest.mark.parametrize(
    "text",
    [
        "{{$x := .a}}{{range (fromJson .list)}}{{$x = printf `%s%s` $x $x}}{{end}}{{len $x}}",
        "{{$x := repeat 1000000 .a}}{{$x | replace `v` `wwwwwwwwww` | len}}",
        "{{$x := repeat 1000000 .a}}{{Replace $x `v` `wwwwwwwwww` -1 | len}}",
        "{{$x := repeat 1000000 .a}}{{regexReplaceAll `v` $x `wwwwwwwwww` | len}}",
        "{{$x := repeat 100000 `\n`}}{{indent 100 $x | len}}",
    ],
    ids=["doubled", "replace", "Replace", "regexReplaceAll", "indent"],
)
def test_no_text_grows_without_end(text: str) -> None:
    assert f"more than {MAX_TEXT} characters" in _failure(text)


def test_what_bounds_the_query_ends_a_template_in_its_midst() -> None:
    asked = 0

    def check() -> None:
        nonlocal asked
        asked += 1
        if asked == 5:
            raise BudgetError("the time is over")

    loops = "{{range 300}}{{range 300}}{{trunc 1 $.a}}{{end}}{{end}}"
    with pytest.raises(BudgetError, match="the time is over"):
        compile_template("line", loops).run(LABELS, "", 0, check)
    assert 5 == asked
