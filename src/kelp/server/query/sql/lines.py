"""Line filters as conditions over the body."""

from __future__ import annotations

import ipaddress
from itertools import count

from kelp.server.ports import Dialect
from kelp.server.query.logql.expressions import LineFilter, LineTerm
from kelp.server.query.logql.patterns import Capture, parse_line_pattern
from kelp.server.query.sql.matchers import regexp_condition
from kelp.server.query.sql.text import all_of, any_of, string, to_bytes


class PlainDialect:
    """What any ClickHouse can do; the store's own dialect knows its indexes, too."""

    def contains(self, column: str, needle: bytes) -> str:
        """See Dialect."""
        return f"position({column}, {string(needle)}) > 0"


class LineConditions:
    """Makes conditions for one query; aliases in them must not meet."""

    def __init__(self, dialect: Dialect, column: str = "body") -> None:
        self._dialect = dialect
        self._column = column
        self._numbers = count(1)

    def exact(self, node: LineFilter) -> str | None:
        """SQL that holds exactly where the filter does; None where SQL cannot say it (ip)."""
        if any(term.ip for term in node.terms):
            return None
        found = any_of(self._term(node.op[1], term) for term in node.terms)
        return f"NOT ({found})" if node.op[0] == "!" else found

    def necessary(self, node: LineFilter) -> str:
        """SQL that holds at least wherever the filter does; `1` where nothing is known."""
        if (exact := self.exact(node)) is not None:
            return exact
        if node.op[0] == "!":
            return "1"
        return any_of(
            self._may_hold_address(t.text) if t.ip else self._term(node.op[1], t)
            for t in node.terms
        )

    def _term(self, kind: str, term: LineTerm) -> str:
        match kind:
            case "=":
                return self._contains(term.text)
            case "~":
                return regexp_condition(self._column, term.text) if term.text else "1"
            case _:
                return self._pattern(term.text)

    def _contains(self, text: str) -> str:
        return self._dialect.contains(self._column, to_bytes(text)) if text else "1"

    def _pattern(self, text: str) -> str:
        """`|> "a<_>b"`: the literals in order, each as early as can be, no gap empty."""
        nodes = parse_line_pattern(text)
        if not nodes:
            return f"empty({self._column})"
        conditions = [f"notEmpty({self._column})"]
        end = "0"  # how many bytes are behind the last literal's end
        for i, node in enumerate(nodes):
            if isinstance(node, Capture):
                continue
            name = f"p{next(self._numbers)}"
            found = f"position({self._column}, {string(node)}, toUInt64({end} + 1)) AS {name}"
            conditions.append(f"({found}) > {f'{end} + 1' if i else '0'}")
            end = f"({name} + {len(to_bytes(node)) - 1})"
        rest = ">" if isinstance(nodes[-1], Capture) else "="
        conditions.append(f"length({self._column}) {rest} {end}")
        return all_of(conditions)

    def _may_hold_address(self, pattern: str) -> str:
        """A single IPv4 address can only stand in a line in its one form."""
        try:
            address = ipaddress.IPv4Address(pattern)
        except ValueError:
            return "1"
        return self._contains(str(address))
