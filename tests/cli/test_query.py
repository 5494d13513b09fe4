import json

import click
import pytest

from kelp.base.errors import KelpError
from kelp.cli.query import _notes, request
from kelp.cli.query_print import default_lines, json_lines, raw_lines

S = 1_000_000_000
NOW = 1_700_000_000 * S


def flags(**changed):
    base = {"instant": False, "since": None, "start": None, "end": "now", "step": None,
            "limit": 100, "forward": False}  # fmt: skip
    return {**base, **changed}


def test_the_last_hour_is_asked_where_nothing_is_said():
    path, params = request("q", NOW, **flags())
    assert path == "/loki/api/v1/query_range"
    assert params == {"query": "q", "limit": 100, "direction": "backward",
                      "start": NOW - 3600 * S, "end": NOW}  # fmt: skip


def test_ranges_steps_and_directions():
    _, params = request("q", NOW, **flags(since="10m", end="5m", step="30s", forward=True))
    assert (params["start"], params["end"]) == (NOW - 900 * S, NOW - 300 * S)
    assert (params["step"], params["direction"]) == ("30", "forward")
    _, params = request("q", NOW, **flags(start="2023-11-14T00:00:00Z", step="250ms"))
    assert params["start"] == 1_699_920_000 * S
    assert params["step"] == "0.25"


def test_fields_of_log_queries():
    _, params = request('{a="b"} # mine', NOW, **flags(), fields=True)
    assert params["query"] == '{a="b"} # mine\n| fields'
    with pytest.raises(click.UsageError, match="log queries"):
        request('rate({a="b"}[1m])', NOW, **flags(), fields=True)


def test_an_instant_has_one_time():
    path, params = request("q", NOW, **flags(instant=True, end="1h"))
    assert path == "/loki/api/v1/query"
    assert params["time"] == NOW - 3600 * S
    for wrong in ({"since": "1h"}, {"start": "1h"}, {"step": "1m"}):
        with pytest.raises(click.UsageError):
            request("q", NOW, **flags(instant=True, **wrong))


def test_what_does_not_go_together_is_refused():
    with pytest.raises(click.UsageError):
        request("q", NOW, **flags(since="1h", start="1h"))
    with pytest.raises(click.UsageError):
        request("q", NOW, **flags(start="1h", end="2h"))
    with pytest.raises(KelpError):
        request("q", NOW, **flags(step="x"))


def test_the_servers_warnings_are_told(capsys):
    nothing = {"data": {"resultType": "streams", "result": []}}
    _notes(nothing, 100)
    _notes({**nothing, "warnings": ["the answer is not complete"]}, 100)
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.splitlines() == [
        "kelp: nothing fits",
        "kelp: warning: the answer is not complete",
        "kelp: nothing fits of what was read",
    ]


STREAMS = {
    "resultType": "streams",
    "result": [
        {"stream": {"app": "web", "pod": "a"}, "values": [["1700000000000000002", "two"]]},
        {"stream": {"app": "web", "pod": "b"}, "values": [["1700000000000000001", "one"]]},
    ],
}
VECTOR = {
    "resultType": "vector",
    "result": [
        {"metric": {"pod": "a"}, "value": [1700000000, "12"]},
        {"metric": {"pod": "b", "x": "y"}, "value": [1700000000, "0.5"]},
    ],
}
MATRIX = {
    "resultType": "matrix",
    "result": [{"metric": {"pod": "a"}, "values": [[1700000000, "1"], [1700000060.5, "2"]]}],
}


def test_entries_are_shown_in_order_with_what_tells_them_apart():
    lines = list(default_lines(STREAMS, 80, NOW))
    assert lines[0] == '# of all: {app="web"}'
    assert lines[1].endswith(' {pod="b"} one')
    assert lines[2].endswith(' {pod="a"} two')
    assert list(raw_lines(STREAMS)) == ["one", "two"]
    first = json.loads(next(json_lines(STREAMS)))
    assert first["labels"] == {"app": "web", "pod": "b"}
    assert first["line"] == "one"


def test_a_vector_is_a_table():
    assert list(default_lines(VECTOR, 80, NOW)) == [
        "pod  x  value",
        "a          12",
        "b    y    0.5",
    ]
    assert json.loads(list(json_lines(VECTOR))[1])["value"] == "0.5"


def test_a_matrix_is_a_plot_and_many_series_are_a_table():
    lines = list(default_lines(MATRIX, 80, NOW))
    assert lines[0] == '{pod="a"}'
    assert any("█" in line for line in lines)
    assert len(list(raw_lines(MATRIX))) == 2
    many = {"resultType": "matrix", "result": MATRIX["result"] * 13}
    lines = list(default_lines(many, 80, NOW))
    assert lines[0].startswith("# 13 series: the last value of each")
    assert lines[2].split() == ["a", "2"]


def test_a_scalar_is_its_number():
    data = {"resultType": "scalar", "result": [1700000000, "2.5"]}
    assert list(default_lines(data, 80, NOW)) == ["2.5"]
    assert next(iter(raw_lines(data))).split()[1] == "2.5"
