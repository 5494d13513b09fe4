"""Range aggregations in SQL, behind whatever SQL can say of a pipeline.

What a line is behind its stages is an expression (see plan.reading), with a condition under which
it is exactly what the pipeline would make of that line. Lines within the condition are gathered
into cells by SQL; the few others are fetched, go through the pipeline row by row, and become cells
of their own; a window's value follows from both kinds (see metric.cells).

Where a query keeps labels by name, only those and the ones that its stages read have to be known of
a line. Where it keeps all labels, SQL must know all that a line can have: those of its stream and
its metadata, and a parser's where the query names them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from kelp.server.query.derived import DETECTED_LEVEL, detected_level_sql
from kelp.server.query.logql import expressions as ast
from kelp.server.query.metric.windows import Windows
from kelp.server.query.pipeline.compile import filter_labels, required_labels
from kelp.server.query.pipeline.row import ERROR, ERROR_DETAILS, EXTRACTED, PRESERVE_ERROR
from kelp.server.query.plan.grouping import Kept
from kelp.server.query.plan.reading import PARSERS, Reading, Unsaid, output_names
from kelp.server.query.records import SPAN_ID, TIME_SQL, TRACE_ID
from kelp.server.query.sql.fields import ABSENT, ABSENT_VALUE, Field
from kelp.server.query.sql.text import all_of, any_of, array, either, every, string
from kelp.server.query.sql.values import CONVERSIONS
from kelp.server.query.streams import Selected

_BYTES = ("bytes_over_time", "bytes_rate")
_IDS = (TRACE_ID, SPAN_ID)
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_]+")
_OTHER = "[^a-zA-Z0-9]"  # what stands for an underscore in a key
_ERROR_KEYS = f"{_OTHER}{{2}}error(?:{_OTHER}details)?{_OTHER}{{2}}"
_MAX_KEYS = 60  # flags are bits of one number
_MAX_STREAMS = 2000  # whose values of one label stand in the query's text
_CHANGES_LABELS = (ast.LabelFormat, ast.Drop, ast.Keep)
_MAX_TEXT = 150_000  # of definitions; the engine takes 256 KiB in all
_MAX_WEIGHT = 200_000  # see Definitions.weight


@dataclass(frozen=True, slots=True)
class Pushdown:
    """How to ask. `bad` is SQL over `records` for the lines that are left to the pipeline.

    `keys` are the labels that tell series apart; with `whole` those of the stream and the metadata
    do, too, as far as `hidden` leaves them. Labels `of_stream` are looked up by the stream's id.
    """

    define: str
    passes: str
    bad: str
    keys: dict[str, Field]
    states: dict[str, str]  # columns of metric.cells.STATES, and `lines`
    whole: bool
    hidden: tuple[ast.Drop | ast.Keep, ...]
    derive_level: bool
    of_stream: frozenset[str] = frozenset()


def push_down(
    node: ast.RangeAggregation,
    kept: Kept,
    rest: Sequence[ast.Stage],
    selected: Selected,
    *,
    derive_level: bool,
) -> Pushdown | None:
    """How to ask, or None where it cannot be asked so."""
    names = _needed(node, kept, rest)
    if names is None:
        return None
    parses = any(isinstance(stage, PARSERS) for stage in rest)
    try:
        looked_up = _of_stream(node, kept, rest, selected)
        known = names - looked_up
        reading = _start(known, kept, selected, parses=parses, derive_level=derive_level)
        if kept.names is None and not _clear(rest, selected, derive_level):
            return None
        reading.walk(rest)
        push = _assembled(node, kept, reading, rest, derive_level)
        keys = {name: key for name, key in push.keys.items() if name not in looked_up}
        return replace(push, keys=keys, of_stream=looked_up)
    except Unsaid:
        return None


def _of_stream(
    node: ast.RangeAggregation, kept: Kept, rest: Sequence[ast.Stage], selected: Selected
) -> frozenset[str]:
    """Labels of very many streams that nothing reads: all that counts is whose they are."""
    if len(selected.labels) <= _MAX_STREAMS or any(isinstance(s, _CHANGES_LABELS) for s in rest):
        return frozenset()
    names = set(kept.names or ()) - _read_names(node, rest)
    streams = selected.labels.values()
    return frozenset(n for n in names if all(n in labels for labels in streams))


def _read_names(node: ast.RangeAggregation, rest: Sequence[ast.Stage]) -> set[str]:
    """The labels that stages, `unwrap` and the filters behind it read."""
    unwrap = node.range.unwrap
    names = set(required_labels(rest))
    if unwrap:
        names |= {unwrap.label, *(n for f in unwrap.filters for n in filter_labels(f))}
    return names


def _needed(
    node: ast.RangeAggregation, kept: Kept, rest: Sequence[ast.Stage]
) -> frozenset[str] | None:
    """The labels that must be known of a line; None where they are not known by name."""
    names = _read_names(node, rest)
    if kept.names is None:
        added = output_names(rest)
        if added is None:
            return None
        names |= added
    else:
        names |= {*kept.names, *(kept.hints.required or ())}
    names.discard(ERROR)
    odd = (ERROR_DETAILS, PRESERVE_ERROR)
    if any(n in odd or n.endswith(EXTRACTED) or not _PLAIN_NAME.fullmatch(n) for n in names):
        return None
    if kept.names is None and not names.isdisjoint(_IDS):
        return None  # then they are labels, too, which otherwise they are not
    return frozenset(names)


def _start(
    names: frozenset[str], kept: Kept, selected: Selected, *, parses: bool, derive_level: bool
) -> Reading:
    fields: dict[str, Field] = {}
    owned: dict[str, str] = {}
    reading = Reading(fields, owned, kept.hints.required, selected)
    for name in sorted(names):
        fields[name], owner = _own(name, selected, reading, parses=parses, derive=derive_level)
        if owner != "0":
            owned[name] = owner
    ruled = (n for n in names if owned.get(n) != "1" or n == DETECTED_LEVEL)
    reading.sound.append(_no_metadata(sorted(ruled), exact=parses))
    return reading


def _own(
    name: str, selected: Selected, reading: Reading, *, parses: bool, derive: bool
) -> tuple[Field, str]:
    """What a label is before any stage, and where the stream or the metadata has it."""
    having = {i: labels[name] for i, labels in sorted(selected.labels.items()) if name in labels}
    if len(having) > _MAX_STREAMS:
        raise Unsaid
    if having:
        values = array(map(string, having.values()))
        value = reading.name(f"transform(stream_id, {array(map(str, having))}, {values}, '')")
        if len(having) == len(selected.labels):
            return Field(value, "1"), "1"
        below, owner = _of_record(name, parses=parses, derive=derive)
        if below is ABSENT:
            return Field(value, f"{value} != ''", value), f"{value} != ''"
        either = reading.name(f"if({value} != '', {value}, {below.text})")
        there = any_of([f"{value} != ''", owner])
        return Field(either, there, either), there
    return _of_record(name, parses=parses, derive=derive)


def _of_record(name: str, *, parses: bool, derive: bool) -> tuple[Field, str]:
    """A label of the metadata. With a parser, records that have the name there are not sound."""
    below = ABSENT
    if name == DETECTED_LEVEL and derive:
        below = Field(detected_level_sql(), "1")
    elif name in _IDS:
        below = Field(name, f"notEmpty({name})", name)
    if parses:
        return below, below.present
    there = f"mapContains(attributes, {string(name)})"
    value = f"attributes[{string(name)}]"
    if below is ABSENT:
        return Field(value, there, value), there
    present = any_of([there, below.present]) if below.present != "1" else "1"
    return Field(f"if({there}, {value}, {below.value})", present), present


def _no_metadata(names: Sequence[str], *, exact: bool) -> str:
    """No attribute of the record takes one of the names, or says that there is an error.

    The patterns find all that becomes such a name, and some more (see records.attribute_names).
    Without `exact`, an attribute of the very name may be there: it is looked up.
    """
    patterns = [_ERROR_KEYS, *(n.strip("_").replace("_", f"{_OTHER}+") for n in names)]
    pattern = f"^{_OTHER}*(?:{'|'.join(patterns)}){_OTHER}*$"
    found = f"match(toString(k), {string(pattern)})"
    if not exact and names:
        found += f" AND NOT has({array(map(string, names))}, toString(k))"
    return f"empty(attributes) OR NOT arrayExists(k -> {found}, mapKeys(attributes))"


def _clear(rest: Sequence[ast.Stage], selected: Selected, derive_level: bool) -> bool:
    """Whether no parser finds a name that is taken: it would become another label then."""
    parsers = [i for i, stage in enumerate(rest) if isinstance(stage, PARSERS)]
    if not parsers or any(isinstance(stage, ast.Keep) for stage in rest[parsers[-1] :]):
        return True  # no such label is kept
    found = output_names([rest[i] for i in parsers])
    if found is None:
        return False
    taken = any(not found.isdisjoint(labels) for labels in selected.labels.values())
    return not taken and not (derive_level and DETECTED_LEVEL in found)


def _assembled(
    node: ast.RangeAggregation,
    kept: Kept,
    reading: Reading,
    rest: Sequence[ast.Stage],
    derive_level: bool,
) -> Pushdown:
    value = _value(node, reading)
    name = reading.name
    passes, trusted = name(every(reading.passing)), name(every(reading.sound))
    bad = [f"NOT ({trusted})"]
    if reading.error != ABSENT_VALUE:
        bad.append(every([passes, f"{reading.error} != ''"]))
    whole = kept.names is None
    labels = kept.names
    if labels is None:
        labels = tuple(sorted(output_names(rest) or ()))
    keys = {n: reading.fields.get(n, ABSENT) for n in labels if _stays(n, kept)}
    states = _states(node, value)
    bad_sql = name(either(bad))
    define = reading.definitions.clause()
    weight = reading.definitions.weight
    if len(keys) > _MAX_KEYS or len(define) > _MAX_TEXT or weight > _MAX_WEIGHT:
        raise Unsaid
    return Pushdown(
        define, passes, bad_sql, keys, states, whole,
        tuple(reading.hidden), derive_level,
    )  # fmt: skip


def _stays(name: str, kept: Kept) -> bool:
    grouping = kept.grouping
    return grouping is None or not grouping.without or name not in grouping.labels


def _value(node: ast.RangeAggregation, reading: Reading) -> str:
    """The value of a line; empty where lines are counted."""
    unwrap = node.range.unwrap
    if unwrap is None:
        return f"length({reading.line})" if node.op in _BYTES else ""
    field = reading.fields.get(unwrap.label, ABSENT)  # an error is no label
    found = CONVERSIONS[unwrap.conversion](field.text)
    for filtered in unwrap.filters:
        reading.filter(filtered)
    reading.passing.append(f"{field.text} != ''")
    reading.sound.append(either([f"{field.text} = ''", found.plain]))
    return reading.name(found.value)


def _states(node: ast.RangeAggregation, value: str) -> dict[str, str]:
    place = f"({TIME_SQL}, position, stream_id, {value})"
    states = {"lines": "count()"}
    match node.op:
        case "rate" | "sum_over_time" | "avg_over_time" | "bytes_rate" | "bytes_over_time":
            states["total"] = f"sum({value})" if value else "count()"
        case "min_over_time":
            states["least"] = f"min({value})"
        case "max_over_time":
            states["most"] = f"max({value})"
        case "stddev_over_time" | "stdvar_over_time":
            # Equal values have no variance, whatever the division of their sum says.
            states["mean"] = f"if(min({value}) = max({value}), min({value}), avg({value}))"
            states["spread"] = f"varPopStable({value}) * count()"
        case "first_over_time":
            states["sample"] = f"min({place})"
        case "last_over_time":
            states["sample"] = f"max({place})"
        case "quantile_over_time":
            states["value"] = f"groupArray({value})"
        case "rate_counter":
            states["sample"] = f"groupArray({place})"
        case _:
            pass
    return states


def _key_columns(push: Pushdown) -> dict[str, str]:
    """What tells series apart: texts as k0, k1 …, and in `flags` which of them are there.

    A label that is absent must be told from one that is empty. Of a bad line nothing is told.
    """
    flags = [push.bad]
    columns: dict[str, str] = {}
    if push.whole:
        columns = {"id": "stream_id", "attributes": "attributes"}
        if push.derive_level:
            columns["level"] = detected_level_sql()
    elif push.of_stream:
        columns = {"id": "stream_id"}
    for i, field in enumerate(push.keys.values()):
        text = field.text
        columns[f"k{i}"] = f"substring({text}, 1, length({text}) * NOT ({push.bad}))"
        flags.append(field.present)
    bits = [f"toUInt64({flag}) * {1 << i}" for i, flag in enumerate(flags) if flag != "0"]
    return {"flags": " + ".join(bits), **columns}


def pushdown_sql(push: Pushdown, windows: Windows, selected: Selected, lines: str) -> str:
    """The question: cells by series, and how many lines are left over."""
    columns = _key_columns(push) | windows.columns()
    selects = [f"{sql} AS {name}" for name, sql in columns.items()]
    selects += [f"{sql} AS {name}" for name, sql in push.states.items()]
    # Whatever drops most lines cheaply comes first, or the engine parses all of them.
    before = all_of([windows.time_condition(), selected.condition(), lines])
    where = either([push.bad, push.passes]) if push.passes != "1" else "1"
    return (
        f"{push.define}SELECT {', '.join(selects)} FROM records PREWHERE {before} "
        f"WHERE {where} GROUP BY {', '.join(columns)}{windows.having}"
    )


def visible(name: str, hidden: Sequence[ast.Drop | ast.Keep]) -> bool:
    """Whether a label of the stream or the metadata is left behind the stages."""
    return all((name in stage.items) != isinstance(stage, ast.Drop) for stage in hidden)
