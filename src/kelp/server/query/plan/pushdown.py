"""Range aggregations behind a parser, in SQL, for lines that SQL can be trusted with.

Where a query keeps labels by name, only those and the ones that its filters read have to be known
of a line. SQL counts the lines that it reads exactly as Loki would; the few others are fetched and
go through the pipeline row by row; and both counts are added. That needs aggregations that add up
(counts, and sums of unwrapped values that are finite), one parser, and filters that SQL can say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kelp.server.query.logql import expressions as ast
from kelp.server.query.metric.windows import Windows
from kelp.server.query.pipeline.row import ERROR, ERROR_DETAILS, EXTRACTED
from kelp.server.query.plan.grouping import Kept
from kelp.server.query.records import VIRTUAL
from kelp.server.query.sql.fields import ABSENT, ABSENT_VALUE, Field, Fields, fields_of
from kelp.server.query.sql.filters import NUMBER, filter_condition
from kelp.server.query.sql.text import all_of, any_of, array, string
from kelp.server.query.streams import Selected

_COUNTS = frozenset({"count_over_time", "rate", "absent_over_time"})
_SUMS = frozenset({"sum_over_time", "rate"})


@dataclass(frozen=True, slots=True)
class Pushdown:
    """`good` and `bad` are SQL over `records`: lines that count, and lines for the pipeline."""

    good: str
    bad: str
    keys: dict[str, str]  # label name → expression
    value: str = ""  # of an unwrapped sample; empty where lines are counted


def push_down(
    node: ast.RangeAggregation, kept: Kept, rest: Sequence[ast.Stage], selected: Selected
) -> Pushdown | None:
    """How to ask, or None where it cannot be asked so."""
    if not _adds_up(node) or not rest or kept.hints.required is None:
        return None
    parser, *filters = rest
    unwrapped = node.range.unwrap
    behind = [f.filter for f in filters if isinstance(f, ast.LabelFilter)]
    if len(behind) != len(filters):
        return None
    if unwrapped:
        behind.extend(unwrapped.filters)
    required = kept.hints.required - {ERROR}
    if any(n.endswith(EXTRACTED) or n in (ERROR_DETAILS, *VIRTUAL) for n in required):
        return None
    owned = {n: _stream_value(n, selected) for n in sorted(required) if _some_have(n, selected)}
    cut = [n for n in required if not _all_have(n, selected)]
    fields = fields_of(parser, cut, idle=not kept.hints.required)
    return _assembled(_overlaid(fields, owned), behind, kept, unwrapped) if fields else None


def _adds_up(node: ast.RangeAggregation) -> bool:
    if node.range.unwrap is None:
        return node.op in _COUNTS
    return node.op in _SUMS and node.range.unwrap.conversion == ""


def _some_have(name: str, selected: Selected) -> bool:
    return any(name in labels for labels in selected.labels.values())


def _all_have(name: str, selected: Selected) -> bool:
    return all(name in labels for labels in selected.labels.values())


def _stream_value(name: str, selected: Selected) -> str:
    """The value of a stream label; empty where the stream has none."""
    having = {i: labels[name] for i, labels in sorted(selected.labels.items()) if name in labels}
    values = array(map(string, having.values()))
    return f"transform(stream_id, {array(map(str, having))}, {values}, '')"


def _overlaid(fields: Fields, owned: dict[str, str]) -> Fields:
    """Fields under the labels of streams: what a stream has, a parser cannot set."""
    of = dict(fields.of)
    for name, value in owned.items():
        if name in of:
            below = of[name]
            of[name] = Field(
                f"if({value} != '', {value}, {below.value})", f"{value} != '' OR {below.present}"
            )
        else:
            of[name] = Field(value, "1")
    return Fields(of, fields.sound, fields.error)


def _assembled(
    fields: Fields, filters: Sequence[ast.Filter], kept: Kept, unwrap: ast.Unwrap | None
) -> Pushdown | None:
    passing, sound = [], [fields.sound, _no_metadata(list(fields.of))]
    for node in filters:
        condition = filter_condition(node, fields.of, fields.error)
        if condition is None:
            return None
        passing.append(condition.sql)
        sound.append(condition.sound)
    if unwrap:
        field = fields.of[unwrap.label]
        passing.append(f"{field.text} != ''")
        sound.append(f"{field.text} = '' OR match({field.value}, {string(NUMBER)})")
    trusted, passes = all_of(sound), all_of(passing)
    bad = [f"NOT ({trusted})"]
    if fields.error != ABSENT_VALUE:
        bad.append(all_of([passes, f"({fields.error}) != ''"]))
    keys = {name: fields.of.get(name, ABSENT) for name in kept.names or ()}
    value = f"toFloat64OrZero({fields.of[unwrap.label].value})" if unwrap else ""
    return Pushdown(all_of([passes, trusted]), any_of(bad), _key_columns(keys), value)


def _key_columns(keys: dict[str, Field]) -> dict[str, str]:
    """A label that is absent must be told from one that is empty: it is NULL."""
    return {
        name: f"if({field.present}, toNullable({field.value}), NULL)"
        for name, field in keys.items()
    }


def _no_metadata(names: list[str]) -> str:
    """No attribute of the record takes one of the names (see pipeline.row)."""
    if not names:
        return "1"
    cleaned = "replaceRegexpAll(toString(k), '[^a-zA-Z0-9_]', '_')"
    listed = array(map(string, names))
    clash = f"arrayExists(k -> has({listed}, {cleaned}), mapKeys(attributes))"
    return f"empty(attributes) OR NOT {clash}"


def pushdown_sql(push: Pushdown, windows: Windows, selected: Selected, lines: str) -> str:
    """The question: counts or sums by labels and windows, and how many lines are left over."""
    columns = {f"k{i}": f"if(bad, NULL, {sql})" for i, sql in enumerate(push.keys.values())}
    columns |= windows.columns()
    totals = "count() AS lines" + (f", sum({push.value}) AS total" if push.value else "")
    # Whatever drops most lines cheaply comes first, or the engine parses all of them.
    before = all_of([windows.time_condition(), selected.condition(), lines])
    columns = {"bad": f"({push.bad})", **columns}
    selects = [f"{sql} AS {name}" for name, sql in columns.items()]
    return (
        f"SELECT {', '.join([*selects, totals])} FROM records PREWHERE {before} "
        f"WHERE {any_of([push.bad, push.good])} GROUP BY {', '.join(columns)}{windows.having}"
    )
