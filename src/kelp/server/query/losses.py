"""What could not be collected, found by the matchers of a query.

A loss has the labels of a container instance: a stream's without `stream`, for the bytes are gone
before anyone knew which of the two they belonged to. Matchers on such labels say nothing here.
"""

from __future__ import annotations

from collections.abc import Sequence

from kelp.model.loss import Loss
from kelp.server.query.derived import SERVICE_NAME, service_name_sql
from kelp.server.query.logql.expressions import Matcher
from kelp.server.query.plan.context import Context
from kelp.server.query.sql.matchers import matcher_condition
from kelp.server.query.sql.text import all_of, string, timestamp, to_text
from kelp.server.query.streams import text_map

_NOT_OF_INSTANCES = frozenset({"stream", "filename"})

# The caller's condition may name any column of `streams`; a loss belongs to no stream.
_TABLE = """(
SELECT DISTINCT tenant, labels, position, size_bytes, start_timestamp, end_timestamp, reason,
    toUInt64(0) AS stream_id, start_timestamp AS first_timestamp, end_timestamp AS last_timestamp
FROM losses)"""


def find(context: Context, matchers: Sequence[Matcher], start_ns: int, end_ns: int) -> list[Loss]:
    """Losses that overlap the time range, ordered by their end."""
    where = all_of(
        [
            f"tenant = {string(context.scope.tenant)}",
            context.scope.condition,
            f"end_timestamp >= {timestamp(start_ns)} AND start_timestamp <= {timestamp(end_ns)}",
            *(_condition(m, context) for m in matchers if m.name not in _NOT_OF_INSTANCES),
        ]
    )
    table = context.run.ask(
        "SELECT labels, position, size_bytes, toUnixTimestamp64Nano(start_timestamp) AS start, "
        "toUnixTimestamp64Nano(end_timestamp) AS end, reason "
        f"FROM {_TABLE} WHERE {where} ORDER BY end, start, position"
    )
    if not table.num_rows:
        return []
    rows = table.drop_columns(["labels"]).to_pylist()
    labels = map(text_map, table.column("labels"))
    return [
        Loss(
            labels=of,
            position=row["position"],
            size_bytes=row["size_bytes"],
            start_ns=row["start"],
            end_ns=row["end"],
            reason=to_text(row["reason"]),
        )
        for of, row in zip(labels, rows, strict=True)
    ]


def _condition(matcher: Matcher, context: Context) -> str:
    if matcher.name == SERVICE_NAME and context.streams.derives_service_name:
        return matcher_condition(matcher, service_name_sql("labels"))
    return matcher_condition(matcher, f"labels[{string(matcher.name)}]")
