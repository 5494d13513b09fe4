"""SQL for people: one SELECT over three views, which hold the caller's records and nothing else.

The views are no objects of the database but named subqueries put before the text that was checked:
so the caller's scope stands in each of them, and no text can reach around it.

    logs         a row a record, with the common labels as columns
    log_streams  a row a stream
    log_losses   a row a gap: what was gone before it could be read
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import pyarrow as pa

from kelp.base.settings import Query
from kelp.server.ports import BudgetError, Engine, EngineError, QueryError, Scope
from kelp.server.store.quoting import literal
from kelp.server.store.sql_check import SqlChecker

_LABELS = ("cluster", "dataset", "namespace", "pod", "container", "node", "app")
"""Labels with a column of their own in each view; all of them stand in `labels`."""

_ANSWERS = {158: "max_scanned_rows", 307: "max_scanned_bytes", 241: "max_memory_bytes"}
_TIMEOUTS = (159, 160)
_CANCELLED = 394
_WITH = re.compile(r"WITH (RECURSIVE )?", re.IGNORECASE)


@dataclass(frozen=True)
class SqlLimits:
    """What one SELECT may cost."""

    timeout_s: float = 60.0
    max_memory_bytes: int = 4 << 30
    max_scanned_rows: int = 10_000_000_000
    max_scanned_bytes: int = 1 << 40
    max_rows: int = 100_000

    @classmethod
    def of(cls, query: Query) -> SqlLimits:
        """Those of the settings."""
        return cls(
            query.timeout_s, query.max_memory_bytes, query.max_scanned_rows, query.max_scanned_bytes
        )

    def settings(self) -> dict[str, object]:
        """As settings of the engine; one row more than allowed shows that there are more."""
        return {
            "max_execution_time": self.timeout_s,
            "max_memory_usage": self.max_memory_bytes,
            "max_rows_to_read": self.max_scanned_rows,
            "max_bytes_to_read": self.max_scanned_bytes,
            "limit": self.max_rows + 1,
            "enable_global_with_statement": 1,
            "distributed_product_mode": "global",
            "allow_introspection_functions": 0,
            "allow_ddl": 0,
            "readonly": 1,
        }


def run_readonly(
    engine: Engine, scope: Scope, sql: str, limits: SqlLimits | None = None, query_id: str = ""
) -> pa.Table:
    """The rows of a SELECT over the caller's records; strings come as binary.

    Raises QueryError (it may not run, or the engine cannot make sense of it), BudgetError (it costs
    too much, or gives too many rows) and EngineError.
    """
    limits = limits or SqlLimits()
    text = with_views(scope, SqlChecker(engine).checked(sql))
    try:
        table = engine.query(text, settings=limits.settings(), query_id=query_id)
    except EngineError as e:
        raise _explained(e) from e
    if table.num_rows > limits.max_rows:
        raise BudgetError(
            f"query stopped: its answer has more than {limits.max_rows} rows; add a LIMIT, or group"
        )
    return table


def with_views(scope: Scope, text: str) -> str:
    """The checked text, with the views of that scope before it."""
    views = ", ".join(f"{name} AS ({body})" for name, body in _views(scope).items())
    own = _WITH.match(text)
    if own is None:
        return f"WITH {views} {text}"
    return f"WITH {own[1] or ''}{views}, {text[own.end() :]}"


def _views(scope: Scope) -> dict[str, str]:
    mine = f"tenant = {literal(scope.tenant)}"
    streams = (
        "SELECT stream_id, labels, min(first_timestamp) AS first_timestamp, "
        "max(last_timestamp) AS last_timestamp "
        f"FROM streams WHERE {mine} AND ({scope.condition}) GROUP BY stream_id, labels"
    )
    ids = f"SELECT stream_id FROM streams WHERE {mine} AND ({scope.condition})"
    common = ", ".join(f"labels['{name}'] AS {name}" for name in _LABELS)
    return {
        "log_streams": (
            f"SELECT {common}, labels['stream'] AS stream, first_timestamp, last_timestamp, "
            f"labels, stream_id FROM ({streams})"
        ),
        "logs": (
            f"SELECT timestamp, {common}, labels['stream'] AS stream, {_severity()} AS severity, "
            "body, attributes, labels, trace_id, span_id, severity_number, severity_text, "
            "observed_timestamp, position, stream_id "
            f"FROM (SELECT * FROM records WHERE stream_id IN ({ids})) AS r "
            f"INNER JOIN (SELECT stream_id, labels FROM ({streams})) AS s USING (stream_id)"
        ),
        "log_losses": (
            f"SELECT DISTINCT start_timestamp, end_timestamp, {common}, size_bytes, reason, "
            f"position, labels, agent_id FROM losses WHERE {mine} AND ({scope.condition})"
        ),
    }


def _severity() -> str:
    """As detected_level in LogQL: the word for the number."""
    names = ("trace", "debug", "info", "warn", "error", "fatal")
    words = "[" + ", ".join(f"'{n}'" for n in names) + "]"
    return (
        "multiIf(severity_number = 0 OR severity_number > 24, 'unknown', "
        "severity_number IN (18, 19), 'critical', "
        f"{words}[intDiv(severity_number - 1, 4) + 1])"
    )


def _explained(error: EngineError) -> Exception:
    if error.code in _ANSWERS:
        return BudgetError(
            f"query stopped: it would need more than query.{_ANSWERS[error.code]} allows; "
            "add a condition on timestamp or namespace"
        )
    if error.code in _TIMEOUTS:
        return BudgetError(
            "query stopped: it takes longer than query.timeout_s allows; "
            "add a condition on timestamp or namespace"
        )
    if error.code == _CANCELLED:
        return BudgetError("query stopped: it was cancelled")
    return QueryError(str(error)) if error.code else error
