"""What of a pipeline the engine decides before a record is read, and what is left to do.

Line filters go to SQL as far as the line is still the body; exact ones are then done with. From
label filters behind a parser follow conditions that are necessary but not enough: a label that a
parser cut out of a line stands in the line, unless it was escaped there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from kelp.server.ports import Dialect
from kelp.server.query.logql import expressions as ast
from kelp.server.query.pipeline.compile import filter_labels
from kelp.server.query.pipeline.row import ERROR, ERROR_DETAILS, EXTRACTED
from kelp.server.query.plan.needles import Elsewhere, Needles, anywhere
from kelp.server.query.records import VIRTUAL
from kelp.server.query.sql.fields import fields_of
from kelp.server.query.sql.filters import filter_condition
from kelp.server.query.sql.format_fields import format_fields
from kelp.server.query.sql.lines import LineConditions
from kelp.server.query.sql.text import all_of, any_of
from kelp.server.query.streams import Selected

NO_STREAMS = Selected({})
_MAX_CONDITION = 40_000  # characters

# Behind these the line, or a label, may be anything.
_REWRITES_LINE = (ast.LineFormat, ast.Unpack, ast.Decolorize)
_REWRITES_LABELS = (ast.LabelFormat, ast.Unpack, ast.LineFormat, ast.Decolorize)


@dataclass(frozen=True, slots=True)
class Prefilter:
    """`conditions` are SQL over `records`; `rest` are the stages that rows still have to pass.

    `read` are conditions, too, for which the engine has to parse lines: they spare Python more
    than they cost, but nobody who asks the engine to parse in any case.
    """

    conditions: list[str]
    rest: tuple[ast.Stage, ...]
    read: list[str] = field(default_factory=list)

    @property
    def plain_sql(self) -> str:
        """The conditions that look at bytes alone."""
        return all_of(self.conditions)

    @property
    def read_sql(self) -> str:
        """The conditions for which lines are parsed."""
        return all_of(self.read)

    @property
    def sql(self) -> str:
        """All conditions."""
        return all_of([*self.conditions, *self.read])


def prefilter(
    stages: Sequence[ast.Stage],
    dialect: Dialect,
    selected: Selected = NO_STREAMS,
    elsewhere: Elsewhere = anywhere,
) -> Prefilter:
    """Split a pipeline; `selected` are the streams that were found."""
    lines = LineConditions(dialect)
    conditions: list[str] = []
    read: list[str] = []
    parsed = _ParsedFilters(selected)
    needles = Needles(dialect, selected, elsewhere)
    rest: list[ast.Stage] = []
    line_is_body = labels_from_line = True
    for stage in stages:
        if isinstance(stage, ast.LineFilter) and line_is_body:
            exact = lines.exact(stage)
            conditions.append(lines.necessary(stage) if exact is None else exact)
            if exact is not None:
                continue
        elif isinstance(stage, ast.LabelFilter) and labels_from_line:
            conditions.append(needles.of(stage.filter, parsed.parsers))
            read.append(parsed.condition(stage.filter))
        rest.append(stage)
        parsed.see(stage)
        line_is_body = line_is_body and not isinstance(stage, _REWRITES_LINE)
        labels_from_line = labels_from_line and not isinstance(stage, _REWRITES_LABELS)
    plain = [c for c in conditions if c != "1"]
    return Prefilter(plain, tuple(rest), [c for c in read if c != "1"])


class _ParsedFilters:
    """Filters behind the one parser of a pipeline: SQL reads the label, or leaves the line be."""

    def __init__(self, selected: Selected) -> None:
        self._selected = selected
        self._stream_labels = list(selected.labels.values())
        self._parser: ast.Stage | None = None
        self.parsers: tuple[ast.Stage, ...] = ()
        self._clear = True

    def see(self, stage: ast.Stage) -> None:
        """A stage has been passed; anything else than filters behind the parser ends it."""
        if isinstance(stage, ast.LineFilter | ast.LabelFilter):
            return
        self._clear = self._clear and self._parser is None
        self._parser = stage
        self.parsers = (*self.parsers, stage)

    def condition(self, node: ast.Filter) -> str:
        """Holds wherever the filter can; `1` where SQL cannot tell."""
        names = set(filter_labels(node)) - {ERROR}
        if self._parser is None or not self._clear or not names or not self._from_line(names):
            return "1"
        if isinstance(node, ast.Matcher) and node.op == "=" and node.value:
            return "1"  # the text itself is looked for already, and drops lines for less
        if isinstance(self._parser, ast.Fields):
            fields = format_fields(self._parser, names, self._selected)
        else:
            fields = fields_of(self._parser, names)
        found = filter_condition(node, fields.of, fields.error) if fields else None
        if fields is None or found is None:
            return "1"
        sound = all_of([fields.sound, found.sound, "empty(attributes)"])
        condition = any_of([found.sql, f"NOT ({sound})"])
        # Formats have long patterns, and the engine bounds a query's text.
        return condition if len(condition) <= _MAX_CONDITION else "1"

    def _from_line(self, names: set[str]) -> bool:
        return not any(
            name.endswith(EXTRACTED)
            or name in (ERROR_DETAILS, *VIRTUAL)
            or any(name in labels for labels in self._stream_labels)
            for name in names
        )
