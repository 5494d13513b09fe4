"""Pipeline stages: line filters and what stands behind a `|`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from kelp.server.query.logql import checks, tokens
from kelp.server.query.logql import expressions as ast
from kelp.server.query.logql.errors import Place, parse_error
from kelp.server.query.logql.filters import FilterParser

_T = TypeVar("_T")
_LINE_OPS = ("|=", "!=", "|~", "!~", "|>", "!>")
_COMPARISONS = ("=", "==", "!=", "=~", "!~", ">", ">=", "<", "<=")
_MAX_STAGES = 500


class StageParser(FilterParser):
    """Reads stages until something stands there that is none."""

    def stages(self) -> tuple[ast.Stage, ...]:
        """All that follow, up to an `unwrap` or the end of the pipeline."""
        found: list[ast.Stage] = []
        while True:
            at = self.here
            if self.at(*_LINE_OPS):
                found.append(self._line_filter())
            elif self.at("|") and self.peek(1).kind != "unwrap":
                self.take()
                found.append(self._stage(at))
            else:
                return tuple(found)
            if len(found) > _MAX_STAGES:
                raise parse_error(
                    f"too many stages in a pipeline: expected at most {_MAX_STAGES}", found[-1].at
                )

    def unwrap(self) -> ast.Unwrap | None:
        """`| unwrap x | filters…`, if it stands here."""
        if not self.at("|"):
            return None
        at = self.take().at
        self.expect("unwrap")
        conversion = ""
        if self.peek().kind.endswith("_CONV"):
            conversion = self.take().kind.removesuffix("_CONV").lower()
            self.expect("(")
        label = self.expect(tokens.IDENTIFIER).text
        if conversion:
            self.expect(")")
        filters: list[ast.Filter] = []
        while self.accept("|"):
            filters.append(self.label_filter())
        return ast.Unwrap(label, conversion, tuple(filters), at=at)

    def _line_filter(self) -> ast.LineFilter:
        op = self.take()
        terms = [self._line_term()]
        while self.accept("or"):
            terms.append(self._line_term())
        return ast.LineFilter(op.kind, tuple(terms), at=op.at)

    def _line_term(self) -> ast.LineTerm:
        if self.accept("ip"):
            self.expect("(")
            pattern = self.expect(tokens.STRING)
            self.expect(")")
            return ast.LineTerm(pattern.text, ip=True, at=pattern.at)
        text = self.expect(tokens.STRING, "ip")
        return ast.LineTerm(text.text, at=text.at)

    def _stage(self, at: Place) -> ast.Stage:
        """What stands behind the bar, which stands at `at`."""
        if parse := self._named(at).get(self.peek().kind):
            self.take()
            return parse()
        if self._at_fields():
            return self._fields(at)
        if self.at(tokens.IDENTIFIER, "("):
            return ast.LabelFilter(self.label_filter(), at=at)
        raise self.unexpected_for(f"a label filter or one of {' '.join(self._named(at))}")

    def _named(self, at: Place) -> dict[str, Callable[[], ast.Stage]]:
        return {
            "json": lambda: ast.Json(self._extractions(), at=at),
            "logfmt": lambda: self._logfmt(at),
            "regexp": lambda: checks.checked_regexp(self.expect(tokens.STRING)),
            "pattern": lambda: checks.checked_pattern(self.expect(tokens.STRING)),
            "unpack": lambda: ast.Unpack(at=at),
            "line_format": self._line_format,
            "label_format": lambda: ast.LabelFormat(self._list(self._assignment), at=at),
            "decolorize": lambda: ast.Decolorize(at=at),
            "drop": lambda: ast.Drop(self._list(self._named_matcher), at=at),
            "keep": lambda: ast.Keep(self._list(self._named_matcher), at=at),
        }

    def _at_fields(self) -> bool:
        """`fields` is no keyword, for labels are called so: a filter on one is a filter."""
        named = self.at(tokens.IDENTIFIER) and self.peek().text == "fields"
        return named and self.peek(1).kind not in _COMPARISONS

    def _fields(self, at: Place) -> ast.Fields:
        self.take()
        names = self._list(self._name) if self.at(tokens.IDENTIFIER) else ()
        return ast.Fields(names, at=at)

    def _name(self) -> str:
        return self.expect(tokens.IDENTIFIER).text

    def _line_format(self) -> ast.LineFormat:
        template = self.expect(tokens.STRING)
        return ast.LineFormat(template.text, at=template.at)

    def _list(self, parse: Callable[[], _T]) -> tuple[_T, ...]:
        found = [parse()]
        while self.accept(","):
            found.append(parse())
        return tuple(found)

    def _logfmt(self, at: Place) -> ast.Logfmt:
        flags = set()
        while token := self.accept(tokens.FLAG):
            flags.add(token.text)
        return ast.Logfmt("--strict" in flags, "--keep-empty" in flags, self._extractions(), at=at)

    def _extractions(self) -> tuple[ast.Extraction, ...]:
        return self._list(self._extraction) if self.at(tokens.IDENTIFIER) else ()

    def _extraction(self) -> ast.Extraction:
        name = self.expect(tokens.IDENTIFIER)
        path = self.expect(tokens.STRING) if self.accept("=") else name
        return ast.Extraction(name.text, path.text, at=path.at)

    def _assignment(self) -> ast.LabelAssignment:
        name = self.expect(tokens.IDENTIFIER)
        self.expect("=")
        if token := self.accept(tokens.STRING):
            return ast.LabelAssignment(name.text, token.text, rename=False, at=name.at)
        source = self.expect(tokens.IDENTIFIER, tokens.STRING)
        return ast.LabelAssignment(name.text, source.text, rename=True, at=name.at)

    def _named_matcher(self) -> str | ast.Matcher:
        following = self.peek(1).kind
        if self.at(tokens.IDENTIFIER) and following not in ("=", "!=", "=~", "!~"):
            return self.take().text
        return self.matcher()
