"""Queries that are nearly right have an answer or a QueryError: never any other failure."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kelp.base.settings import Query
from kelp.server.ports import BudgetError, QueryError, Scope
from kelp.server.query.budget import Budget
from kelp.server.query.service import QueryService
from kelp.server.store.store import Store
from tests.server.query import mutations
from tests.server.query.store import EPOCH, SECOND, Line, insert

_SCOPE = Scope("nearly")
_BUDGET = Budget(timeout_s=5)


@pytest.fixture(scope="module")
def filled(store: Store) -> QueryService:
    lines = [
        Line(
            {"app": app, "env": "prod", "pod": f"{app}-{i % 2}"},
            i * SECOND,
            body,
            {"trace": str(i)},
        )
        for app in ("web", "req", "a")
        for i, body in enumerate(_BODIES)
    ]
    insert(store, _SCOPE.tenant, lines)
    return QueryService(store.engine, Query(), store.dialect)


_BODIES = (
    b'{"level":"error","status":500,"took":"15ms","user":{"ip":"10.0.0.1"},"a":"x"}',
    b'level=warn status=200 took=1.5s size=3MB msg="a b" addr=10.0.0.1',
    b"\x1b[31mred\x1b[0m \xff\xfe 10.1.2.3 - GET /x?y=1",
    b"",
    b'{"_entry":"inner","a":"b"}',
)


@given(mutations.queries(), st.sampled_from([0, 1, 60]))
@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_every_query_is_answered_or_the_askers_error(
    filled: QueryService, text: str, steps: int
) -> None:
    asks = (
        lambda: filled.instant(text, _SCOPE, time_ns=EPOCH + 30 * SECOND, budget=_BUDGET),
        lambda: filled.range(
            text, _SCOPE, start_ns=EPOCH, end_ns=EPOCH + 60 * SECOND, budget=_BUDGET,
            step_ns=60 * SECOND // max(steps, 1),
        ),
        lambda: filled.explain(text, _SCOPE, start_ns=EPOCH, end_ns=EPOCH + 60 * SECOND),
        lambda: filled.volume(text, _SCOPE, start_ns=EPOCH, end_ns=EPOCH + 60 * SECOND),
        lambda: filled.series([text], _SCOPE, start_ns=EPOCH, end_ns=EPOCH + 60 * SECOND),
        lambda: filled.format(text),
    )  # fmt: skip
    for ask in asks:
        with contextlib.suppress(QueryError, BudgetError):
            ask()
