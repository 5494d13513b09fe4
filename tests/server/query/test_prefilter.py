"""What of a pipeline becomes SQL: golden pairs."""

from __future__ import annotations

import pytest

from kelp.server.query.logql.parser import parse_log_query
from kelp.server.query.logql.printer import stage_text
from kelp.server.query.plan.prefilter import prefilter
from kelp.server.query.sql.lines import PlainDialect
from kelp.server.query.streams import Selected
from tests.server.query.golden import Case, cases


@pytest.mark.parametrize("case", cases("conditions.txt"), ids=str)
def test_conditions(case: Case) -> None:
    found = prefilter(parse_log_query(case.text).stages, PlainDialect())
    rest = [stage_text(stage) for stage in found.rest]
    told = [*found.conditions, *found.read, *(["---", *rest] if rest else [])]
    assert case.output.splitlines() == told


def test_a_label_that_a_stream_has_is_not_looked_for_in_the_line() -> None:
    query = parse_log_query('{a="b"} | json | level="error" | n > 5')
    selected = Selected({1: {"level": "x", "n": "1"}})
    assert prefilter(query.stages, PlainDialect(), selected).conditions == []
