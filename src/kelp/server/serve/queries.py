"""What serving asks of querying; `kelp.server.query` fulfils it and app.py brings both together.

All of it blocks, and is called from several threads at once. Each method raises QueryError (the
query is wrong), BudgetError (it costs too much) or EngineError. Times are nanoseconds since the
epoch; `query_id` is the name under which the engine can be told to stop.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol, TypeAlias

import pyarrow as pa

from kelp.model.loss import Loss
from kelp.model.stored import StoredInstances
from kelp.server.ports import Scope
from kelp.server.result import Answer, Entry, StreamEntries

Record: TypeAlias = tuple[dict[str, str], Entry]
"""The labels of a record's stream, and the record."""


class Queries(Protocol):
    """LogQL, answered."""

    def instant(  # noqa: PLR0913 - a question has that many parts; all are named
        self,
        query: str,
        scope: Scope,
        *,
        time_ns: int,
        limit: int,
        direction: str,
        budget: Any = None,
        query_id: str,
    ) -> Answer:
        """The query's value at one time."""

    def range(  # noqa: PLR0913 - a question has that many parts; all are named
        self,
        query: str,
        scope: Scope,
        *,
        start_ns: int,
        end_ns: int,
        step_ns: int,
        limit: int,
        direction: str,
        budget: Any = None,
        query_id: str,
    ) -> Answer:
        """Its values at steps, or the entries of a log query."""

    def labels(
        self, scope: Scope, *, start_ns: int, end_ns: int, query: str, query_id: str
    ) -> list[str]:
        """Label names, sorted; `query` narrows by a selector, empty: all streams."""

    def label_values(
        self, name: str, scope: Scope, *, start_ns: int, end_ns: int, query: str, query_id: str
    ) -> list[str]:
        """Values of one label, sorted."""

    def series(
        self, matchers: Sequence[str], scope: Scope, *, start_ns: int, end_ns: int, query_id: str
    ) -> list[dict[str, str]]:
        """Label sets of the streams that match any of the selectors; none: all."""

    def losses(
        self, query: str, scope: Scope, *, start_ns: int, end_ns: int, query_id: str
    ) -> list[Loss]:
        """What is missing of the containers that the query's selector names, ordered by end."""

    def records(  # noqa: PLR0913 - likewise
        self,
        query: str,
        scope: Scope,
        *,
        start_ns: int,
        end_ns: int,
        limit: int | None,
        direction: str,
        budget: Any = None,
        query_id: str,
    ) -> Iterator[Record]:
        """Labels and entry of each record in total order; `limit` None: all of them."""

    def tail(
        self, query: str, scope: Scope, *, after: Any, limit: int, query_id: str
    ) -> tuple[list[StreamEntries], Any]:
        """What has become searchable since the cursor, oldest first, and the next cursor."""

    def stats(
        self, query: str, scope: Scope, *, start_ns: int, end_ns: int, query_id: str
    ) -> dict[str, int]:
        """How much lies under a selector: streams, chunks, entries, bytes."""

    def volume(  # noqa: PLR0913 - likewise
        self,
        query: str,
        scope: Scope,
        *,
        start_ns: int,
        end_ns: int,
        step_ns: int,
        limit: int,
        target_labels: Sequence[str],
        aggregate_by: str,
        query_id: str,
    ) -> Answer:
        """Bytes by labels, largest first; with a step above 0, at steps."""

    def trace(
        self, asked: str | int, scope: Scope, *, limit: int, runs: int, query_id: str
    ) -> StoredInstances:
        """What is stored of the instances of a selector, or of that of the stream with an id."""

    def trace_records(
        self, query: str, scope: Scope, *, positions: tuple[int, int], times_ns: tuple[int, int],
        limit: int, query_id: str,
    ) -> tuple[pa.Table, dict[int, dict[str, str]]]:  # fmt: skip
        """Records by position, and the labels of their streams; see kelp.server.query.tracing."""

    def explain(  # noqa: PLR0913 - likewise
        self, query: str, scope: Scope, *, start_ns: int, end_ns: int, step_ns: int, limit: int,
        direction: str, query_id: str,
    ) -> dict[str, Any]:  # fmt: skip
        """What answering would do: plan, SQL, estimates."""

    def check_log_query(self, query: str) -> None:
        """QueryError for what is no log query."""

    def check_selector(self, query: str) -> None:
        """QueryError for what is no selector alone; `{}` is one here."""

    def format(self, query: str) -> str:
        """The query, printed in one style."""


class Sql(Protocol):
    """SQL over read-only views of the caller's records."""

    def __call__(self, scope: Scope, text: str, query_id: str, /) -> pa.Table:
        """Run a SELECT; raises QueryError, BudgetError, EngineError."""
