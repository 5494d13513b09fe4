"""What the stage `fields` finds, as SQL: see pipeline.line_fields for what it means.

Each format becomes expressions of its own, and each record takes those of its stream's format. A
field that is not there and one that is empty are the same, so a field is one expression: its text,
or an empty one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from kelp.base.formats import Format
from kelp.base.formats.format import REST, Rest
from kelp.base.formats.ids import PATTERNS
from kelp.server.query.logql import expressions as ast
from kelp.server.query.pipeline.groups import with_groups
from kelp.server.query.pipeline.klog_pairs import OWN
from kelp.server.query.pipeline.line_fields import (
    EVENT_TIME,
    format_name,
    format_named,
    read_names,
)
from kelp.server.query.sql.fields import ABSENT, ABSENT_VALUE, Field, Fields, Line, fields_of
from kelp.server.query.sql.text import every, string
from kelp.server.query.streams import Selected, stream_condition

_LISTED = 2000  # ids of streams that stand in a query's text

# A key that is a label with an underscore in front: `@timestamp`, `@t`.
_JSON_MARKED = r'(?:[^a-zA-Z0-9"]|\\u[0-9a-fA-F]{4})NAME[ ]*"[ \t\r\n]*:'
_LOGFMT_MARKED = r'(?:^|[\x00-\x20"])[^\x00-\x20="a-zA-Z0-9]NAME='


def format_fields(
    stage: ast.Fields, names: Iterable[str], selected: Selected, line: Line | None = None
) -> Fields | None:
    """The wanted labels behind the stage; None where SQL cannot say them."""
    line = line or Line()
    wanted = sorted(n for n in set(names) if not stage.names or n in stage.names)
    found = {name: _of_format(name, wanted, line) for name in _formats(selected)}
    said = {name: fields for name, fields in found.items() if fields is not None}
    chosen = _chosen(said, selected, wanted, line) if len(said) == len(found) else None
    if chosen is None:
        return None
    return Fields({n: chosen.of.get(n, ABSENT) for n in names}, chosen.sound)


# --- by the streams' formats -------------------------------------------------------------------


def _formats(selected: Selected) -> dict[str | None, list[int]]:
    """The streams of each format."""
    found: dict[str | None, list[int]] = {}
    for stream_id, labels in selected.labels.items():
        found.setdefault(format_name(labels), []).append(stream_id)
    return found


def _chosen(
    said: dict[str | None, Fields], selected: Selected, wanted: Sequence[str], line: Line
) -> Fields | None:
    """Each record's fields by the format of its stream; those of most streams need no condition."""
    formats = sorted(_formats(selected).items(), key=lambda item: len(item[1]))
    if not formats:
        return Fields({})
    *others, (most, _) = formats
    if any(len(ids) > _LISTED for _, ids in others):
        return None
    cases = [(line.name(stream_condition(ids)), said[name]) for name, ids in others]

    def pick(of_others: list[str], of_most: str) -> str:
        if all(sql == of_most for sql in of_others):
            return of_most
        parts = (f"{case}, {sql}" for (case, _), sql in zip(cases, of_others, strict=True))
        return line.name(f"multiIf({', '.join(parts)}, {of_most})")

    of = {n: _field(pick([f.of[n].text for _, f in cases], said[most].of[n].text)) for n in wanted}
    sound = pick([f"toUInt8({f.sound})" for _, f in cases], f"toUInt8({said[most].sound})")
    return Fields(of, sound)


def _field(text: str) -> Field:
    return ABSENT if text == ABSENT_VALUE else Field(text, f"notEmpty({text})", text)


# --- one format --------------------------------------------------------------------------------


def _of_format(name: str | None, wanted: Sequence[str], line: Line) -> Fields | None:
    known = format_named(name or "")
    if name is None:
        return Fields(dict.fromkeys(wanted, ABSENT))
    if known is not None and known.event_time and EVENT_TIME in wanted:
        return None  # times in all the ways in which people write them
    read = _Texts({}) if known is None else _written(known, sorted(read_names(known, wanted)), line)
    if read is None:
        return None
    aliases = known.aliases if known else {}
    of: dict[str, Field] = {}
    for field in wanted:
        text = _first([read.of.get(n, "''") for n in (field, *aliases.get(field, ()))], line)
        of[field] = _field(_id(field, text, line) if field in PATTERNS else text)
    return Fields(of, read.sound)


def _id(name: str, text: str, line: Line) -> str:
    """An id is what stands in the line, and if the format names none, what its pattern finds."""
    anywhere = line.name(f"extract({line.sql}, {string(PATTERNS[name])})")
    if text == ABSENT_VALUE:
        return anywhere
    standing = line.name(f"if(position({line.sql}, {text}) > 0, {text}, '')")
    return _first([standing, anywhere], line)


def _first(texts: Sequence[str], line: Line) -> str:
    """The first of some texts that is not empty."""
    some = [t for t in texts if t != ABSENT_VALUE]
    if len(some) <= 1:
        return some[0] if some else ABSENT_VALUE
    cases = ", ".join(f"notEmpty({text}), {text}" for text in some[:-1])
    return line.name(f"multiIf({cases}, {some[-1]})")


class _Texts:
    """Names that a line itself has, as texts; a lone dash is an empty one."""

    def __init__(self, of: dict[str, str], sound: str = "1") -> None:
        self.of = of
        self.sound = sound


def _written(known: Format, names: Sequence[str], line: Line) -> _Texts | None:
    if not names:
        return _Texts({})
    if not known.patterns:
        return _rest(known.rest, names, line)
    groups = _groups(known, names, line)
    if known.rest is Rest.NOTHING:
        return _Texts({n: _dashless(groups.get(n, ABSENT_VALUE), line) for n in names})
    inner = _rest(known.rest, names, Line(groups.get(REST, ABSENT_VALUE), line.name))
    if inner is None:
        return None
    of = {n: _first([_dashless(groups.get(n, "''"), line), inner.of[n]], line) for n in names}
    return _Texts(of, inner.sound)


def _dashless(text: str, line: Line) -> str:
    return text if text == ABSENT_VALUE else line.name(f"if({text} = '-', '', {text})")


def _groups(known: Format, names: Sequence[str], line: Line) -> dict[str, str]:
    """The groups of the first pattern that matches; a point matches no line break, as in Go."""
    wanted = frozenset([*names, *([REST] if known.rest is not Rest.NOTHING else [])])
    patterns = [with_groups(pattern, wanted) for pattern in known.patterns]
    if len(patterns) == 1 and len(patterns[0][1]) == 1:
        source, (name,) = patterns[0]
        return {name: line.name(f"extract({line.sql}, {string('(?-s)' + source)})")}
    # A line that a pattern has matched is an empty one for those behind it, which costs nothing and
    # gives nothing: so each is asked of all rows, and no row takes a way of its own.
    texts: dict[str, list[str]] = {n: [] for _, numbers in patterns for n in numbers}
    left = line.sql
    for source, numbers in patterns:
        literal = string("(?-s)" + source)
        found = line.name(f"extractGroups({left}, {literal})") if numbers else ""
        matched = line.name(f"notEmpty({found})" if found else f"match({left}, {literal})")
        left = line.name(f"if({matched}, '', {left})")
        for name, number in numbers.items():
            texts[name].append(f"{found}[{number}]")
    return {name: line.name(_joined(parts)) for name, parts in texts.items()}


def _joined(parts: Sequence[str]) -> str:
    """Texts of which at most one is not empty."""
    return parts[0] if len(parts) == 1 else f"concat({', '.join(parts)})"


def _rest(rest: Rest, names: Sequence[str], line: Line) -> _Texts | None:
    """What JSON or logfmt holds; lines with a key that only looks like a name are not sound."""
    json = rest is Rest.JSON
    plain = [n for n in names if not n.startswith("_")]
    marked = [n.removeprefix("_") for n in names if n.startswith("_")]
    found = fields_of(ast.Json() if json else ast.Logfmt(), plain, line=line)
    if found is None or not all(name[:1].isalpha() for name in marked):
        return None
    of = {n: _dashless(found.of[n].text, line) for n in plain}
    of |= {n: ABSENT_VALUE for n in names if n.startswith("_")}
    sound = [found.sound]
    if rest is Rest.KLOG:
        sound.append(f"NOT match({line.sql}, {string(OWN)})")
    if marked:
        shape = _JSON_MARKED if json else _LOGFMT_MARKED
        odd = shape.replace("NAME", f"(?:{'|'.join(marked)})")
        sound.append(f"NOT match({line.sql}, {string(odd)})")
    return _Texts(of, every(sound))
