"""Fields of lines: the evaluator, and the stage `fields` over rows."""

from __future__ import annotations

import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from kelp.base.formats import FORMATS, Format, format_of
from kelp.base.formats.format import Rest
from kelp.server.query.logql.parser import parse_log_query
from kelp.server.query.pipeline.compile import compile_stages, run_steps
from kelp.server.query.pipeline.groups import group_names, with_groups
from kelp.server.query.pipeline.hints import ALL, Hints, hints_of
from kelp.server.query.pipeline.line_fields import LineFields, fields_of_line
from kelp.server.query.pipeline.row import Row

NOW = 1_795_168_272 * 10**9  # 2026-11-20T09:51:12Z
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"

INGRESS = (
    b'10.0.3.7 - - [20/Nov/2026:10:11:12 +0000] "POST /orders?dry=1 HTTP/2.0" 502 157 "-" "curl" '
    b"912 5.004 [shop-web-8080] [] 10.244.1.19:8080, 10.244.2.4:8080 0, 157 5.000, 0.004 504, 502 "
    b"6a5b1f0c2f6e4a0d9b8c7d6e5f403122"
)

BRACKETED = Format(
    name="bracketed",
    title="a test's own",
    source="https://example.org",
    patterns=(r"\[(?P<time>[^\]]*)\] (?P<rest>.*)", r"(?P<level>[A-Z]+): (?P<text>.*)"),
    rest=Rest.LOGFMT,
    aliases={"message": ("msg", "text"), "level": ("lvl",)},
    event_time="time",
)


def _json(line: bytes) -> dict[str, str]:
    return fields_of_line(format_of("json"), line, NOW)


# --- the evaluator -----------------------------------------------------------------------------


def test_named_groups_are_fields_and_dashes_are_none() -> None:
    found = fields_of_line(format_of("ingress-nginx"), INGRESS, NOW)
    assert found["status"] == "502"
    assert found["path"] == "/orders?dry=1"
    assert found["upstream_status"] == "504, 502"
    assert found["request_id"] == "6a5b1f0c2f6e4a0d9b8c7d6e5f403122"
    assert found["event_time"] == "2026-11-20T10:11:12.000000000Z"
    assert "referer" not in found


def test_a_line_that_the_format_does_not_match_has_its_ids_alone() -> None:
    line = b"starting, trace_id=" + TRACE.encode()
    assert fields_of_line(format_of("ingress-nginx"), line, NOW) == {"trace_id": TRACE}
    assert fields_of_line(None, line, NOW) == {"trace_id": TRACE}
    assert fields_of_line(None, b"nothing to see", NOW) == {}


def test_json_is_read_as_by_the_parser_of_that_name() -> None:
    line = b'{"a":{"b":{"c":1}},"yes":true,"n":null,"l":[1],"e":"","d":"-","x-y":"z","a":"late"}'
    assert _json(line) == {"a_b_c": "1", "yes": "true", "x_y": "z", "a": "late"}


@pytest.mark.parametrize("line", [b"", b"{", b"[1]", b'"x"', b"\xff\xfe", b"{" * 5000])
def test_what_is_no_json_has_no_fields(line: bytes) -> None:
    assert _json(line) == {}


def test_broken_json_has_the_fields_before_the_break() -> None:
    assert _json(b'{"status":500,"path":"/a') == {"status": "500"}


def test_the_first_pattern_counts_and_its_rest_is_read_on() -> None:
    line = b'[2026-11-20T10:00:00Z] msg="hello \\"you\\"" n=5 time=later level=-'
    assert fields_of_line(BRACKETED, line, NOW) == {
        "msg": 'hello "you"',
        "n": "5",
        "time": "2026-11-20T10:00:00Z",
        "message": 'hello "you"',
        "event_time": "2026-11-20T10:00:00.000000000Z",
    }


def test_without_the_group_of_the_rest_nothing_more_is_read() -> None:
    found = fields_of_line(BRACKETED, b"WARN: a=b", NOW)
    assert found == {"level": "WARN", "text": "a=b", "message": "a=b"}


def test_an_alias_stands_in_for_a_field_that_is_not_there() -> None:
    assert fields_of_line(BRACKETED, b"[-] lvl=info", NOW)["level"] == "info"
    assert fields_of_line(BRACKETED, b"[-] lvl=info level=warn", NOW)["level"] == "warn"
    assert fields_of_line(BRACKETED, b'[-] lvl=info level=""', NOW)["level"] == "info"


def test_the_formats_own_field_goes_before_an_id_that_is_found_anywhere() -> None:
    line = f'{{"msg":"got trace_id={"0" * 31}1","trace_id":"{TRACE}"}}'.encode()
    assert _json(line)["trace_id"] == TRACE


def test_an_id_is_what_stands_in_the_line() -> None:
    assert "trace_id" not in _json(b'{"trace_id":"4b\\u006692f3577b34da6a3ce929d0e0e4736"}')


@pytest.mark.parametrize("known", FORMATS, ids=lambda f: f.name)
def test_asked_for_one_field_the_answer_is_the_same(known: Format) -> None:
    for line in known.examples:
        found = fields_of_line(known, line, NOW)
        assert found
        for name, value in found.items():
            assert LineFields(known, [name])(line, NOW) == {name: value}
        assert LineFields(known, ["no_such_field"])(line, NOW) in ({},)


@pytest.mark.parametrize("known", FORMATS, ids=lambda f: f.name)
def test_documented_fields_are_found_in_the_examples_or_may_be_absent(known: Format) -> None:
    found = {name for line in known.examples for name in fields_of_line(known, line, NOW)}
    assert found & set(known.fields) or not known.fields


@given(st.binary(max_size=80), st.sampled_from(FORMATS))
def test_any_bytes_have_fields(line: bytes, known: Format) -> None:
    for name, value in fields_of_line(known, line, NOW).items():
        assert name
        assert value not in ("", "-")


# --- groups ------------------------------------------------------------------------------------


@pytest.mark.parametrize("pattern", [p for f in FORMATS for p in f.patterns])
def test_unwanted_groups_are_not_captured(pattern: str) -> None:
    names = group_names(pattern)
    assert names == set(re2.compile(pattern).groupindex)
    for wanted in (frozenset[str](), frozenset(sorted(names)[:2]), names):
        source, numbers = with_groups(pattern, wanted)
        assert numbers.keys() == wanted
        assert re2.compile(source).groups == len(wanted)


def test_a_group_within_a_class_or_behind_an_escape_is_none() -> None:
    pattern = r"[(?P<x>]\((?P<a>[\](?P<y>]*)(b)\\(?P<c>.)"
    source, numbers = with_groups(pattern, frozenset({"c"}))
    assert source == r"^(?:[(?P<x>]\((?:[\](?P<y>]*)(?:b)\\(.))$"
    assert numbers == {"c": 1}


# --- the stage ---------------------------------------------------------------------------------


def _labels(
    stages: str,
    line: bytes,
    base: dict[str, str],
    metadata: dict[str, str] | None = None,
    hints: Hints = ALL,
) -> dict[str, str]:
    row = Row(base, dict(metadata or {}), line, NOW)
    assert run_steps(compile_stages(parse_log_query('{a="b"} ' + stages).stages, hints), row)
    return row.parsed_labels()


JSON = {"format": "json", "dataset": "app", "pod": "web-0"}
LINE = b'{"status":500,"pod":"other","path":"/a"}'


def test_fields_are_labels_and_the_streams_own_go_first() -> None:
    found = {"status": "500", "pod_extracted": "other", "path": "/a"}
    assert _labels("| fields", LINE, JSON) == found
    metadata = {"path": "/meta"}
    assert _labels("| fields", LINE, JSON, metadata) == {
        "status": "500",
        "pod_extracted": "other",
        "path_extracted": "/a",
    }


def test_named_fields_alone() -> None:
    assert _labels("| fields path, none", LINE, JSON) == {"path": "/a"}


def test_what_a_parser_has_found_stays() -> None:
    line = b'{"status":500,"x":"y"}'
    stages = '| regexp "(?P<x>[a-z]+)" | fields | json'
    assert _labels(stages, line, JSON) == {"x": "status", "status": "500"}


def test_of_a_metric_query_only_what_it_needs() -> None:
    assert _labels("| fields", LINE, JSON, hints=hints_of(["status"])) == {"status": "500"}
    assert _labels("| fields path", LINE, JSON, hints=hints_of(["status"])) == {}


def test_a_stream_without_format_has_ids_and_a_pushed_one_nothing() -> None:
    line = b'{"status":500,"trace_id":"%s"}' % TRACE.encode()
    assert _labels("| fields", line, {"dataset": "app"}) == {"trace_id": TRACE}
    assert _labels("| fields", line, {"dataset": "app", "format": "of-next-year"}) == {
        "trace_id": TRACE
    }
    assert _labels("| fields", line, {"app": "web"}) == {}


def test_errors_of_json_are_none_of_fields() -> None:
    assert _labels("| fields", b'{"status":500,', JSON) == {"status": "500"}
    assert _labels("| fields", b"no json", JSON) == {}


def test_no_pattern_matches_an_empty_line() -> None:
    # In SQL, a line that is settled is an empty one for the patterns that follow.
    assert [f.name for f in FORMATS if f.matches(b"")] == []


# --- formats -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "line", "expected"),
    [
        (
            "hubble",
            '{"time":"2026-11-20T10:11:12Z","verdict":"AUDIT","IP":{"source":"192.0.2.1"},'
            '"l4":{"UDP":{"destination_port":53}},"source":{},"destination":{},"Type":"L3_L4"}',
            {
                "source_ip": "192.0.2.1",
                "destination_port": "53",
                "flow_time": "2026-11-20T10:11:12Z",
            },
        ),
        (
            "json",
            '{"@t":"2026-11-20T10:11:12Z","@mt":"x {A}","@l":"Fatal","SourceContext":"App"}',
            {"message": "x {A}", "logger": "App", "timestamp": "2026-11-20T10:11:12Z"},
        ),
        (
            "auditd",
            "type=USER_LOGIN msg=audit(1795169472.300:44): pid=4 uid=0 msg='op=login res=failed'",
            {"pid": "4", "op": "login", "res": "failed"},
        ),
    ],
)
def test_fields_of_a_format(name: str, line: str, expected: dict[str, str]) -> None:
    found = fields_of_line(format_of(name), line.encode(), NOW)
    assert expected == {k: v for k, v in found.items() if k in expected}
