"""What a record must hold somewhere, so that a label filter behind a parser can let it pass.

A value that a parser cut out of a line stands in the line, unless it was escaped there. It may also
come from the record's metadata, which lies in columns of its own: a condition over both cannot use
the index of the bodies. So whether any record has the value there is asked first, where the index
is worth it; hardly ever one has.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kelp.base.formats.format import Rest
from kelp.server.ports import Dialect
from kelp.server.query.derived import DETECTED_LEVEL
from kelp.server.query.logql import expressions as ast
from kelp.server.query.pipeline.line_fields import EVENT_TIME, IDS, format_name, format_named
from kelp.server.query.pipeline.row import ERROR, ERROR_DETAILS, EXTRACTED
from kelp.server.query.plan.context import Context
from kelp.server.query.records import SPAN_ID, TRACE_ID
from kelp.server.query.sql.text import all_of, any_of, string, timestamp, to_bytes
from kelp.server.query.streams import Selected

# Whether a record may have this value in its metadata.
Elsewhere = Callable[[str], bool]

_NOT_OF_LINES = (ERROR, ERROR_DETAILS, DETECTED_LEVEL)
_INDEXED_LENGTH = 32  # of an identifier; shorter values are looked for in all bodies anyway


def anywhere(_value: str) -> bool:
    """For those who cannot ask: it may be."""
    return True


def elsewhere(context: Context, selected: Selected, start_ns: int, end_ns: int) -> Elsewhere:
    """Asks the engine, for values that the index of the bodies is worth it; times are inclusive."""

    def ask(value: str) -> bool:
        if len(value) < _INDEXED_LENGTH:
            return True
        span = f"timestamp >= {timestamp(start_ns)} AND timestamp <= {timestamp(end_ns)}"
        where = all_of([span, selected.condition(), _in_metadata(value)])
        sql = f"SELECT 1 AS found FROM records WHERE {where} LIMIT 1"
        return bool(context.run.ask(sql).num_rows)

    return ask


def _in_metadata(value: str) -> str:
    literal = string(value)
    ids = [f"{column} = {literal}" for column in (TRACE_ID, SPAN_ID)]
    return any_of([*ids, f"has(mapValues(attributes), {literal})"])


@dataclass(frozen=True)
class Needles:
    """Conditions that hold wherever a filter can."""

    dialect: Dialect
    selected: Selected
    elsewhere: Elsewhere = anywhere

    def of(self, node: ast.Filter, parsers: tuple[ast.Stage, ...]) -> str:
        """For a filter behind these parsers; `1` where nothing is known."""
        match node:
            case ast.And():
                return all_of(self.of(n, parsers) for n in (node.left, node.right))
            case ast.Or():
                either = [self.of(n, parsers) for n in (node.left, node.right)]
                return "1" if "1" in either else any_of(either)
            case ast.Matcher(name, "=", value) if self._from_line(name, value, parsers):
                return self._holds(name, value, parsers)
            case _:
                return "1"

    def _holds(self, name: str, value: str, parsers: tuple[ast.Stage, ...]) -> str:
        places = [self.dialect.contains("body", to_bytes(value))]
        if not self._verbatim(name, parsers):
            places.append("position(body, '\\\\') > 0")
        if self.elsewhere(value):
            places.append(f"has(mapValues(attributes), {string(value)})")
            column = name.removesuffix(EXTRACTED)
            if column in (TRACE_ID, SPAN_ID):
                places.append(f"{column} = {string(value)}")
        return any_of(places) if len(places) > 1 else places[0]

    def _from_line(self, name: str, value: str, parsers: tuple[ast.Stage, ...]) -> bool:
        """Whether such a label comes out of the line or the metadata alone, as it stands there."""
        plain = name.removesuffix(EXTRACTED)
        return (
            value != ""
            and " " not in value  # a blank may stand for what was no UTF-8
            and name not in _NOT_OF_LINES
            and plain not in _NOT_OF_LINES
            and not (plain == EVENT_TIME and any(isinstance(p, ast.Fields) for p in parsers))
            and not any(name in of or plain in of for of in self.selected.labels.values())
        )

    def _verbatim(self, name: str, parsers: tuple[ast.Stage, ...]) -> bool:
        """Whether no escape can hide the value: of an id, and in formats that have none."""
        if not parsers or not all(isinstance(p, ast.Fields) for p in parsers):
            return False
        return name.removesuffix(EXTRACTED) in IDS or not self._escapes()

    def _escapes(self) -> bool:
        names = {format_name(labels) for labels in self.selected.labels.values()}
        formats = (format_named(name) for name in names if name)
        return any(known is None or known.rest is not Rest.NOTHING for known in formats)
