"""Answers in Loki's shapes: numbers as Go writes them, streams with labels or categories."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kelp.server.result import Answer, Entry, Matrix, Scalar, Series, StreamEntries, Streams
from kelp.server.serve.loki_json import encode_answer, number, seconds, wants_categories


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.0, "0"), (-0.0, "-0"), (1.0, "1"), (1.5, "1.5"), (-2.25, "-2.25"), (0.1, "0.1"),
        (1e21, "1000000000000000000000"), (1e-7, "0.0000001"), (1e15, "1000000000000000"),
        (123456789012345680.0, "123456789012345680"), (math.nan, "NaN"), (math.inf, "+Inf"),
        (-math.inf, "-Inf"), (1 / 3, "0.3333333333333333"),
    ],
)  # fmt: skip
def test_numbers_as_go_writes_them(value: float, expected: str) -> None:
    assert expected == number(value)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_lose_nothing_and_have_no_exponent(value: float) -> None:
    assert ("e" not in number(value), value) == (True, float(number(value)))


def test_times_have_milliseconds_where_there_are_any() -> None:
    assert (
        json.dumps([seconds(n) for n in (0, 10**9, 15 * 10**8, 1_001_999_999)])
        == "[0, 1, 1.5, 1.001]"
    )


def streams() -> Answer:
    entries = [
        Entry(3, 0, b"c", {"m": "1"}, {"p": "x"}),
        Entry(2, 0, b"b\xff"),
        Entry(1, 0, b"a", {"m": "1"}, {"p": "x"}),
    ]
    return Answer(Streams([StreamEntries({"app": "a"}, entries)]), warnings=["partial"])


def test_labels_of_all_kinds_make_streams_of_their_own() -> None:
    body = json.loads(encode_answer(streams(), categorize=False))
    assert body["warnings"] == ["partial"]
    assert body["data"]["result"] == [
        {"stream": {"app": "a", "m": "1", "p": "x"}, "values": [["3", "c"], ["1", "a"]]},
        {"stream": {"app": "a"}, "values": [["2", "b\ufffd"]]},
    ]
    assert "encodingFlags" not in body["data"]


def test_categories_stand_beside() -> None:
    data = json.loads(encode_answer(streams(), categorize=True))["data"]
    both = {"structuredMetadata": {"m": "1"}, "parsed": {"p": "x"}}
    assert [
        {
            "stream": {"app": "a"},
            "values": [["3", "c", both], ["2", "b\ufffd", {}], ["1", "a", both]],
        }
    ] == data["result"]
    assert data["encodingFlags"] == ["categorize-labels"]


def test_matrix_and_scalar() -> None:
    matrix = json.loads(
        encode_answer(Answer(Matrix([Series({"a": "b"}, [10**9], [2.0])])), categorize=False)
    )
    assert matrix["data"]["result"] == [{"metric": {"a": "b"}, "values": [[1, "2"]]}]
    scalar = json.loads(encode_answer(Answer(Scalar(10**9, 2.0)), categorize=False))
    assert (scalar["data"]["resultType"], scalar["data"]["result"]) == ("scalar", [1, "2"])


def test_the_flag_is_one_of_a_list() -> None:
    assert [wants_categories(f) for f in (None, "other", "other, categorize-labels")] == [
        False,
        False,
        True,
    ]
