"""What the server's stages ask of each other, without knowing each other; app.py joins them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa


class Engine(Protocol):
    """A ClickHouse, embedded or remote. Must be safe to call from several threads at once."""

    def query(
        self,
        sql: str,
        *,
        parameters: Mapping[str, Any] | None = None,
        settings: Mapping[str, Any] | None = None,
        query_id: str = "",
    ) -> pa.Table:
        """Run a SELECT with `{name:Type}` parameters bound; raises EngineError."""

    def cancel(self, query_id: str) -> None:
        """Stop the query with that id; does nothing where there is none."""


class EngineError(Exception):
    """The engine refused or failed; `code` is ClickHouse's error code, 0 where it gave none."""

    def __init__(self, message: str, code: int = 0) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Scope:
    """Who asks, as a condition on every read: the streams of a tenant, narrowed by SQL.

    The one way to records leads through the table `streams`, and this condition stands in each
    such query. `condition` is an expression over the columns of `streams` that Kelp made itself.
    """

    tenant: str = ""
    condition: str = "1"


class QueryError(Exception):
    """The query is wrong: the user's to mend (HTTP 400). The text has line and column if known."""


class BudgetError(Exception):
    """The query is right but costs more than it may; says which limit, and how to narrow it."""
