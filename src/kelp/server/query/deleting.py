"""What a request to delete means: streams, and a condition that their lines fulfil.

A record that is deleted is gone, so the condition must be exact and about the record as it is
stored: a selector and line filters. What a parser makes of a line is not, and neither is a label
filter; such a query is refused before it is kept.
"""

from __future__ import annotations

from kelp.server.ports import Deletion, Doomed, QueryError, Scope
from kelp.server.query.logql import expressions as ast
from kelp.server.query.logql.errors import meaning_error
from kelp.server.query.logql.parser import parse_log_query
from kelp.server.query.logql.printer import stage_text
from kelp.server.query.plan.context import Context
from kelp.server.query.sql.lines import LineConditions, PlainDialect
from kelp.server.query.sql.text import all_of

# An SQL statement may be 256 KiB long, and a byte of a filter may need four.
MAX_QUERY_LENGTH = 16_384


def check_deletable(text: str) -> None:
    """Raises QueryError where the query cannot be deleted by, in words for whoever asks."""
    if len(text) > MAX_QUERY_LENGTH:
        raise QueryError(
            f"expected a query of at most {MAX_QUERY_LENGTH} characters to delete by; "
            f"got {len(text)}"
        )
    _line_condition(parse_log_query(text))


def doomed(context: Context, deletion: Deletion) -> Doomed:
    """What the request means now."""
    query = parse_log_query(deletion.query)
    condition = _line_condition(query)
    selected = context.streams.select(
        context.run, context.scope, query.matchers, deletion.start_ns, deletion.end_ns
    )
    return Doomed(sorted(selected.labels), condition)


def scope_of(deletion: Deletion) -> Scope:
    """The rights of whoever asked for it."""
    return Scope(deletion.tenant, deletion.scope)


def _line_condition(query: ast.LogQuery) -> str:
    # No index is asked: which rows a change reaches must hang on their bytes alone.
    lines = LineConditions(PlainDialect())
    return all_of(_exact(lines, stage) for stage in query.stages)


def _exact(lines: LineConditions, stage: ast.Stage) -> str:
    if not isinstance(stage, ast.LineFilter):
        raise meaning_error(
            "expected a selector and line filters to delete by; got a stage of another kind: "
            f"{stage_text(stage)}",
            stage.at,
        )
    exact = lines.exact(stage)
    if exact is None:
        raise meaning_error('expected line filters without ip("…") to delete by; got one', stage.at)
    return exact
