from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kelp.base.formats import format_of
from kelp.server.query.pipeline.klog_pairs import with_quotes
from kelp.server.query.pipeline.line_fields import fields_of_line

HEAD = 'I1120 10:11:12.123456       1 a.go:1] "message" '


def pairs(text: str) -> dict[str, str]:
    found = fields_of_line(format_of("klog"), (HEAD + text).encode(), 1_795_169_472 * 10**9)
    head = ("level", "time", "thread", "file", "line", "message", "event_time")
    return {k: v for k, v in found.items() if k not in head}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('pod="shop/web-0" n=1', {"pod": "shop/web-0", "n": "1"}),
        ("spec={Name: web, Ports: [80 443]} n=1", {
            "spec": "{Name: web, Ports: [80 443]}", "n": "1",
        }),
        ("some={First: 1,\nSecond: 2} n=1", {"some": "{First: 1,\nSecond: 2}", "n": "1"}),
        ('list=["a b" "c]d"] n=1', {"list": '["a b" "c]d"]', "n": "1"}),
        ("err=<\n\tone\n\t  two\n > n=1", {"err": "one\n  two", "n": "1"}),
        ('text="a={b c" n=1', {"text": "a={b c", "n": "1"}),
        ("open={a: 1, b", {"open": "{a: 1, b"}),
        ("open=<\n\tone", {"open": "one"}),
        ('q={a: "}\\""} n=1', {"q": '{a: "}\\""}', "n": "1"}),
        ("labels=map[a:1 b:[2 3]] n=1", {"labels": "map[a:1 b:[2 3]]", "n": "1"}),
        ("p=&{x y} n=1", {"p": "&{x y}", "n": "1"}),
        ('duration="1h0m0s" duration="1m0s"', {"duration": "1h0m0s"}),
    ],
)  # fmt: skip
def test_pairs(text: str, expected: dict[str, str]) -> None:
    assert pairs(text) == expected


@given(st.text('a="\\{}[]<>\n\t ', max_size=60))
def test_whatever_comes(text: str) -> None:
    quoted = with_quotes(text.encode())
    assert len(quoted) <= 3 * len(text.encode()) + 4
    assert isinstance(pairs(text), dict)


def test_quotes_without_an_end_cost_no_more_than_others() -> None:
    """Were each looked for to the end of the text, this took a minute."""
    text = b'a={"' + b'\\"{' * 100_000
    assert len(with_quotes(text)) > len(text)
