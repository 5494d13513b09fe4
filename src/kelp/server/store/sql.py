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

_LABELS = ("cluster", "dataset", "namespace", "pod", "container", "node", "app", "stream")
"""Labels with a column of their own in each view; all of them stand in `labels`."""

_REST = "trace_id, span_id, severity_number, severity_text, observed_timestamp, position, stream_id"

# So many are listed in the query and looked up in a constant of it; more are joined. A text may
# have 256 KiB, and an id has up to 20 digits.
_FEW_STREAMS = 5_000

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
    checked = SqlChecker(engine).checked(sql)
    text = with_views(scope, checked, _few_streams(engine, scope))
    try:
        table = engine.query(text, settings=limits.settings(), query_id=query_id)
    except EngineError as e:
        raise _explained(e) from e
    if table.num_rows > limits.max_rows:
        raise BudgetError(
            f"query stopped: its answer has more than {limits.max_rows} rows; add a LIMIT, or group"
        )
    return table


def _few_streams(engine: Engine, scope: Scope) -> list[int] | None:
    """The streams of the scope; None where they are too many to be listed."""
    mine = f"tenant = {literal(scope.tenant)} AND ({scope.condition})"
    rows = engine.query(
        f"SELECT DISTINCT stream_id AS id FROM streams WHERE {mine} LIMIT {_FEW_STREAMS + 1}"
    )
    found: list[int] = rows.column("id").to_pylist() if rows.num_rows else []
    return sorted(found) if len(found) <= _FEW_STREAMS else None


def with_views(scope: Scope, text: str, streams: list[int] | None) -> str:
    """The checked text, with the views of that scope before it; `streams` as of _few_streams."""
    views = ", ".join(f"{name} AS ({body})" for name, body in _views(scope, streams).items())
    own = _WITH.match(text)
    if own is None:
        return f"WITH {views} {text}"
    return f"WITH {own[1] or ''}{views}, {text[own.end() :]}"


def _views(scope: Scope, ids: list[int] | None) -> dict[str, str]:
    mine = f"tenant = {literal(scope.tenant)} AND ({scope.condition})"
    streams = (
        "SELECT stream_id, labels, min(first_timestamp) AS first_timestamp, "
        f"max(last_timestamp) AS last_timestamp FROM streams WHERE {mine} "
        "GROUP BY stream_id, labels"
    )
    common = ", ".join(f"labels['{name}'] AS {name}" for name in _LABELS)
    return {
        "log_streams": (
            f"SELECT {common}, first_timestamp, last_timestamp, labels, stream_id FROM ({streams})"
        ),
        "logs": _logs_by_join(mine) if ids is None else _logs_by_lookup(mine, ids),
        "log_losses": (
            f"SELECT DISTINCT start_timestamp, end_timestamp, {common}, size_bytes, reason, "
            f"position, labels, agent_id FROM losses WHERE {mine}"
        ),
    }


def _logs_by_lookup(mine: str, ids: list[int]) -> str:
    """Streams as one constant, in which each record finds its labels: no join to wait for.

    The ids are listed, for the engine takes the first ten of all from their columns' ends, and
    makes labels for those ten alone, only where no other query stands within this one.
    """
    listed = f"stream_id IN ({', '.join(map(str, ids))})" if ids else "0"
    pairs = f"SELECT DISTINCT stream_id, labels FROM streams WHERE {mine}"
    common = ", ".join(
        f"arrayMap(m -> m['{name}'], kelp_labels)[kelp_at] AS {name}" for name in _LABELS
    )
    return (
        f"WITH (SELECT groupArray((stream_id, labels)) FROM ({pairs})) AS kelp_streams, "
        "kelp_streams.1 AS kelp_ids, kelp_streams.2 AS kelp_labels, "
        "transform(stream_id, kelp_ids, arrayEnumerate(kelp_ids), toUInt32(0)) AS kelp_at "
        f"SELECT timestamp, {common}, {_severity()} AS severity, body, attributes, "
        f"kelp_labels[kelp_at] AS labels, {_REST} "
        f"FROM records WHERE {listed}"
    )


def _logs_by_join(mine: str) -> str:
    common = ", ".join(f"labels['{name}'] AS {name}" for name in _LABELS)
    return (
        f"SELECT timestamp, {common}, {_severity()} AS severity, body, attributes, labels, {_REST} "
        "FROM (SELECT * FROM records WHERE stream_id IN "
        f"(SELECT stream_id FROM streams WHERE {mine})) AS r "
        f"INNER JOIN (SELECT DISTINCT stream_id, labels FROM streams WHERE {mine}) AS s "
        "USING (stream_id)"
    )


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
