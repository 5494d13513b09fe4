"""Pipeline stages: line filters and what stands behind a `|`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from kelp.server.query.logql import checks, tokens
from kelp.server.query.logql import expressions as ast
from kelp.server.query.logql.filters import FilterParser

_T = TypeVar("_T")
_LINE_OPS = ("|=", "!=", "|~", "!~", "|>", "!>")
_MAX_STAGES = 500


class StageParser(FilterParser):
    """Reads stages until something stands there that is none."""

    def stages(self) -> tuple[ast.Stage, ...]:
        """All that follow, up to an `unwrap` or the end of the pipeline."""
        found: list[ast.Stage] = []
        while True:
            if self.at(*_LINE_OPS):
                found.append(self._line_filter())
            elif self.at("|") and self.peek(1).kind != "unwrap":
                self.take()
                found.append(self._stage())
            else:
                return tuple(found)
            if len(found) > _MAX_STAGES:
                raise self.unexpected()

    def unwrap(self) -> ast.Unwrap | None:
        """`| unwrap x | filters…`, if it stands here."""
        if not self.at("|"):
            return None
        self.take()
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
        return ast.Unwrap(label, conversion, tuple(filters))

    def _line_filter(self) -> ast.LineFilter:
        op = self.take().kind
        terms = [self._line_term()]
        while self.accept("or"):
            terms.append(self._line_term())
        return ast.LineFilter(op, tuple(terms))

    def _line_term(self) -> ast.LineTerm:
        if self.accept("ip"):
            self.expect("(")
            text = self.expect(tokens.STRING).text
            self.expect(")")
            return ast.LineTerm(text, ip=True)
        return ast.LineTerm(self.expect(tokens.STRING, "ip").text)

    def _stage(self) -> ast.Stage:
        if parse := self._named().get(self.peek().kind):
            self.take()
            return parse()
        if self.at(tokens.IDENTIFIER, "("):
            return ast.LabelFilter(self.label_filter())
        raise self.unexpected()

    def _named(self) -> dict[str, Callable[[], ast.Stage]]:
        return {
            "json": lambda: ast.Json(self._extractions()),
            "logfmt": self._logfmt,
            "regexp": lambda: checks.checked_regexp(self.expect(tokens.STRING).text),
            "pattern": lambda: checks.checked_pattern(self.expect(tokens.STRING).text),
            "unpack": ast.Unpack,
            "line_format": lambda: ast.LineFormat(self.expect(tokens.STRING).text),
            "label_format": lambda: ast.LabelFormat(self._list(self._assignment)),
            "decolorize": ast.Decolorize,
            "drop": lambda: ast.Drop(self._list(self._named_matcher)),
            "keep": lambda: ast.Keep(self._list(self._named_matcher)),
        }

    def _list(self, parse: Callable[[], _T]) -> tuple[_T, ...]:
        found = [parse()]
        while self.accept(","):
            found.append(parse())
        return tuple(found)

    def _logfmt(self) -> ast.Logfmt:
        flags = set()
        while token := self.accept(tokens.FLAG):
            flags.add(token.text)
        return ast.Logfmt("--strict" in flags, "--keep-empty" in flags, self._extractions())

    def _extractions(self) -> tuple[ast.Extraction, ...]:
        return self._list(self._extraction) if self.at(tokens.IDENTIFIER) else ()

    def _extraction(self) -> ast.Extraction:
        name = self.expect(tokens.IDENTIFIER).text
        path = self.expect(tokens.STRING).text if self.accept("=") else name
        return ast.Extraction(name, path)

    def _assignment(self) -> ast.LabelAssignment:
        name = self.expect(tokens.IDENTIFIER).text
        self.expect("=")
        if token := self.accept(tokens.STRING):
            return ast.LabelAssignment(name, token.text, rename=False)
        return ast.LabelAssignment(
            name, self.expect(tokens.IDENTIFIER, tokens.STRING).text, rename=True
        )

    def _named_matcher(self) -> str | ast.Matcher:
        following = self.peek(1).kind
        if self.at(tokens.IDENTIFIER) and following not in ("=", "!=", "=~", "!~"):
            return self.take().text
        return self.matcher()
