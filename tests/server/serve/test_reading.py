"""A long answer goes on where a query's time was over, without gap or repeat."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kelp.server.ports import BudgetError, Scope
from kelp.server.result import Entry
from kelp.server.serve.ranges import Range
from kelp.server.serve.reading import Question, Reading

LABELS = {"app": "a"}


class Impatient:
    """Queries whose time is over after some records; `times` may be equal."""

    def __init__(self, times: list[int], patience: int) -> None:
        self.entries = [Entry(t, n, str(n).encode()) for n, t in enumerate(sorted(times))]
        self.patience = patience

    def records(self, query: str, scope: Scope, **asked: Any) -> Iterator[tuple[Any, Entry]]:
        found = [e for e in self.entries if asked["start_ns"] <= e.timestamp < asked["end_ns"]]
        if asked["direction"] == "backward":
            found.reverse()
        for given_out, entry in enumerate(found[: asked["limit"]]):
            if given_out == self.patience:
                raise BudgetError("too long")
            yield LABELS, entry


def read(queries: Impatient, *, limit: int | None = None, backward: bool = False) -> list[int]:
    question = Question("{}", Scope(), Range(0, 1000), limit, None, backward, losses=False)
    reading = Reading(queries, question, "id")  # type: ignore[arg-type] # only records are asked
    lines = b""
    while piece := reading.piece():
        lines += piece
    return [json.loads(x)["record"]["position"] for x in lines.splitlines()]


@given(
    st.lists(st.integers(0, 20), max_size=40),
    st.integers(1, 60),
    st.one_of(st.none(), st.integers(1, 50)),
    st.booleans(),
)
def test_every_record_once(times: list[int], extra: int, limit: int | None, backward: bool) -> None:
    # A query must come past the records of one time to make progress.
    most = max((times.count(t) for t in times), default=0)
    expected = list(range(len(times)))[:: -1 if backward else 1][:limit]
    found = read(Impatient(times, most + extra), limit=limit, backward=backward)
    assert expected == found


def test_a_query_that_gives_nothing_in_its_time_is_an_error() -> None:
    with pytest.raises(BudgetError):
        read(Impatient([1, 2, 3], 0))
    with pytest.raises(BudgetError):
        read(Impatient([5] * 10, 3))
