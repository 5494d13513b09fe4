"""What SQL knows of a line behind the stages of a pipeline.

A Reading walks through the stages as a row would, but with expressions in place of values: for each
label that the query needs, what it is and whether it is there; the line; the error. Beside them it
gathers the conditions under which all of that is exactly what the pipeline would make of the line.
What SQL cannot say ends the walk with Unsaid, and the query runs row by row.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from kelp.server.query.logql import expressions as ast
from kelp.server.query.logql.patterns import Capture, parse_parser_pattern
from kelp.server.query.pipeline.formats import label_templates, line_template
from kelp.server.query.pipeline.row import ERROR, ERROR_DETAILS, PRESERVE_ERROR
from kelp.server.query.sql.definitions import Definitions
from kelp.server.query.sql.fields import (
    ABSENT,
    ABSENT_VALUE,
    Field,
    Line,
    fields_of,
    regexp_groups,
)
from kelp.server.query.sql.filters import filter_condition, pipeline_matcher
from kelp.server.query.sql.format_fields import format_fields
from kelp.server.query.sql.lines import LineConditions, PlainDialect
from kelp.server.query.sql.text import all_of, any_of, either, string
from kelp.server.query.streams import Selected
from kelp.server.query.template import nodes
from kelp.server.query.template.compile import Template
from kelp.server.query.template.evaluate import MAX_OUTPUT

PARSERS = (ast.Json, ast.Logfmt, ast.Regexp, ast.Pattern, ast.Fields)
_COLOURS = "['\\x1b', '\\xc2\\x9b']"  # what a colour's code begins with
_ERRORS = frozenset({ERROR, ERROR_DETAILS, PRESERVE_ERROR})


class Unsaid(Exception):  # noqa: N818 - no error: the query is answered in another way
    """SQL cannot say what the pipeline does."""


@dataclass(slots=True)
class Reading:
    """The state behind the stages walked so far.

    `fields` holds each label that the query needs; `owned` says, as an expression, which of them
    the stream or the metadata has, so that no parser can set them ("1": always). `required` are the
    names that parsers stop at once they have them all; None: they never do.
    """

    fields: dict[str, Field]
    owned: Mapping[str, str]
    required: frozenset[str] | None
    selected: Selected
    definitions: Definitions = field(default_factory=Definitions)
    line: str = "body"
    error: str = ABSENT_VALUE
    passing: list[str] = field(default_factory=list)
    sound: list[str] = field(default_factory=list)
    hidden: list[ast.Drop | ast.Keep] = field(default_factory=list)  # by name alone
    _extracted: dict[str, str] = field(default_factory=dict)
    _gone: set[str] = field(default_factory=set)
    _parsers: int = 0

    def walk(self, stages: Iterable[ast.Stage]) -> None:
        """Through all stages; Unsaid where SQL cannot follow."""
        for stage in stages:
            self._pass(stage)

    def filter(self, node: ast.Filter) -> None:
        """Only lines that the filter lets through go on."""
        found = filter_condition(node, self.fields, self.error)
        if found is None:
            raise Unsaid
        self.passing.append(found.sql)
        self.sound.append(found.sound)

    def name(self, expression: str) -> str:
        """A short name for an expression."""
        return self.definitions.name(expression)

    def _pass(self, stage: ast.Stage) -> None:
        match stage:
            case ast.LabelFilter():
                self.filter(stage.filter)
            case ast.LineFilter():
                self._filter_line(stage)
            case ast.Json() | ast.Logfmt() | ast.Regexp() | ast.Pattern() | ast.Fields():
                self._parse(stage)
            case ast.LabelFormat():
                self._format_labels(stage)
            case ast.LineFormat():
                self.line = self._formatted(line_template(stage), self.fields)
            case ast.Decolorize():
                self._trust(f"NOT multiSearchAny({self.line}, {_COLOURS})")
            case ast.Drop():
                self._drop(stage)
            case ast.Keep():
                self._keep(stage)
            case _:
                raise Unsaid

    def _filter_line(self, stage: ast.LineFilter) -> None:
        condition = LineConditions(PlainDialect(), self.line).exact(stage)
        if condition is None:
            raise Unsaid
        self.passing.append(condition)

    # --- parsers -------------------------------------------------------------------------------

    def _parse(self, stage: ast.Stage) -> None:
        names = [n for n in self.fields if self.owned.get(n) != "1"]
        if not self._gone.isdisjoint(names):
            raise Unsaid  # whether it comes back depends on the line
        overwrites = isinstance(stage, ast.Json) and stage.extractions
        if overwrites and self._extracted:
            raise Unsaid
        idle = self.required is not None and not self.required
        line = Line(self.line, self.name)
        if isinstance(stage, ast.Fields):
            found = format_fields(stage, names, self.selected, line)
        else:
            found = fields_of(stage, names, idle=idle, line=line)
        if found is None:
            raise Unsaid
        satisfied = self._satisfied()
        self._trust(either([satisfied, found.sound]) if satisfied != "0" else found.sound)
        if not self._parsers:
            self.error = self.name(found.error)
        elif found.error != ABSENT_VALUE:
            self._trust(f"{found.error} = ''")
        for name in names:
            self._set_parsed(name, found.of[name])
        self._parsers += 1

    def _set_parsed(self, name: str, new: Field) -> None:
        """A parser found a label: it counts unless the name is taken or was found before."""
        taken = [t for t in (self.owned.get(name, "0"), self._extracted.get(name, "0")) if t != "0"]
        old = self.fields[name]
        if taken:
            before = self.name(any_of(taken))
            value = self.name(f"if({before}, {old.text}, {new.text})")
            there = f"if({before}, {old.present}, {new.present})"
            self.fields[name] = Field(value, self.name(there), value)
        elif new is not ABSENT:
            self.fields[name] = new
        owner = self.owned.get(name, "0")
        free = new.present if owner == "0" else all_of([new.present, f"NOT ({owner})"])
        found = [c for c in (self._extracted.get(name, "0"), free) if c != "0"]
        self._extracted[name] = any_of(found)

    def _satisfied(self) -> str:
        """Whether a parser has nothing left to do."""
        if not self.required or any(n not in self._extracted for n in self.required):
            return "0"
        return self.name(all_of(self._extracted[n] for n in sorted(self.required)))

    def _trust(self, condition: str) -> None:
        if condition != "1":
            self.sound.append(condition)

    # --- formats -------------------------------------------------------------------------------

    def _format_labels(self, stage: ast.LabelFormat) -> None:
        templates = label_templates(stage)
        if templates and self.hidden:
            raise Unsaid  # a template sees the labels as they were, unless there were none at all
        before: dict[str, Field] | None = None
        for assignment in stage.assignments:
            if assignment.rename:
                self._rename(assignment.name, assignment.value)
                continue
            before = dict(self.fields) if before is None else before
            text = self._formatted(templates[assignment.name], before)
            if assignment.name in self.fields:
                self._set(assignment.name, Field(text, "1"), "1")

    def _formatted(self, template: Template, fields: Mapping[str, Field]) -> str:
        """What a template makes, where it makes anything: it fails when that gets too long."""
        text = self.name(_joined(_concatenation(template), fields))
        if template.fields:
            self._trust(f"length({text}) <= {MAX_OUTPUT}")
        return text

    def _rename(self, name: str, source: str) -> None:
        if name in _ERRORS or source in _ERRORS or source not in self.fields:
            raise Unsaid
        old = self.fields[source]
        if name in self.fields and name != source:
            other = self.fields[name]
            value = self.name(f"if({old.present}, {old.text}, {other.text})")
            there = any_of(p for p in (old.present, other.present) if p != "0")
            self._set(name, Field(value, self.name(there), value), old.present)
        self.fields[source] = ABSENT
        self._gone.add(source)
        self.hidden.append(ast.Drop((source,)))

    def _set(self, name: str, new: Field, when: str) -> None:
        if name in self._gone:
            raise Unsaid
        self.fields[name] = new
        found = [c for c in (self._extracted.get(name, "0"), when) if c != "0"]
        self._extracted[name] = any_of(found)

    # --- drop and keep -------------------------------------------------------------------------

    def _drop(self, stage: ast.Drop) -> None:
        for item in stage.items:
            name = item if isinstance(item, str) else item.name
            if name == ERROR:
                self._drop_error(item)
            elif name in self.fields:
                self._remove(
                    name, "1" if isinstance(item, str) else _holds(item, self.fields[name])
                )
        self._hide(stage)

    def _drop_error(self, item: str | ast.Matcher) -> None:
        if not isinstance(item, str):
            raise Unsaid
        if self.required is None and self.error != ABSENT_VALUE:
            self._trust(f"{self.error} = ''")  # its details would stay among the labels
        self.error = ABSENT_VALUE

    def _keep(self, stage: ast.Keep) -> None:
        names = {item for item in stage.items if isinstance(item, str)}
        matchers = [item for item in stage.items if isinstance(item, ast.Matcher)]
        for name in sorted(self.fields.keys() - names - _ERRORS):
            own = [_holds(m, self.fields[name]) for m in matchers if m.name == name]
            self._remove(name, f"NOT ({any_of(own)})" if own else "1")
        self._hide(stage)

    def _hide(self, stage: ast.Drop | ast.Keep) -> None:
        if self.required is None and any(isinstance(i, ast.Matcher) for i in stage.items):
            raise Unsaid  # which labels are left depends on the line
        self.hidden.append(stage)

    def _remove(self, name: str, when: str) -> None:
        old = self.fields[name]
        self._gone.add(name)
        if when == "1":
            self.fields[name] = ABSENT
            return
        stays = self.name(all_of([old.present, f"NOT ({when})"]))
        self.fields[name] = Field(old.value, stays)


def _holds(matcher: ast.Matcher, value: Field) -> str:
    return pipeline_matcher(matcher, value.text)


def _concatenation(template: Template) -> list[str | tuple[str]]:
    """A template of texts and plain `{{.name}}` alone: texts, and names in tuples."""
    parts: list[str | tuple[str]] = []
    if template.defined:
        raise Unsaid
    for node in template.body:
        match node:
            case nodes.Text():
                parts.append(node.text)
            case nodes.Action(
                nodes.Pipeline((nodes.Command((nodes.Fields(nodes.Dot(), (name,)),)),), ())
            ):
                parts.append((name,))
            case _:
                raise Unsaid
    return parts


def _joined(parts: Sequence[str | tuple[str]], fields: Mapping[str, Field]) -> str:
    if any(isinstance(p, tuple) and p[0] not in fields for p in parts):
        raise Unsaid
    said = [string(p) if isinstance(p, str) else fields[p[0]].text for p in parts]
    return f"concat({', '.join(said)})" if len(said) > 1 else (said or ["''"])[0]


def output_names(stages: Iterable[ast.Stage]) -> set[str] | None:
    """The labels that stages can add to a row; None where lines decide that."""
    names: set[str] | None = set()
    for stage in stages:
        match stage:
            case ast.Json(()) | ast.Logfmt(extractions=()) | ast.Unpack() | ast.Fields(()):
                names = None
            case ast.Keep():
                kept = {item if isinstance(item, str) else item.name for item in stage.items}
                names = kept if names is None else names & kept
            case _ if names is not None:
                names |= _added(stage)
            case _:
                pass
    return names


def _added(stage: ast.Stage) -> set[str]:
    match stage:
        case ast.Json() | ast.Logfmt():
            return {e.name for e in stage.extractions}
        case ast.Regexp():
            return set(regexp_groups(stage.pattern))
        case ast.Pattern():
            captures = parse_parser_pattern(stage.pattern)
            return {str(n) for n in captures if isinstance(n, Capture) and n != "_"}
        case ast.Fields():
            return set(stage.names)
        case ast.LabelFormat():
            return {a.name for a in stage.assignments}
        case _:
            return set()
