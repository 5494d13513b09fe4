"""The stages that read the line as text: `regexp`, `pattern`, `decolorize`, and line filters."""

from __future__ import annotations

import re
from collections.abc import Callable

from kelp.server.query.logql.errors import PartError
from kelp.server.query.logql.expressions import LineFilter, LineTerm
from kelp.server.query.logql.patterns import Capture, parse_line_pattern, parse_parser_pattern
from kelp.server.query.logql.regexps import compile_regexp
from kelp.server.query.pipeline.addresses import AddressFilter
from kelp.server.query.pipeline.hints import Hints
from kelp.server.query.pipeline.names import sanitize
from kelp.server.query.pipeline.row import EXTRACTED, Row
from kelp.server.query.sql.text import to_bytes, to_text

# ANSI escape sequences, as https://github.com/acarl005/stripansi finds them.
_ANSI = re.compile(
    rb"(?:\x1b|\xc2\x9b)[\[\]()#;?]*"
    rb"(?:(?:(?:[a-zA-Z\d]*(?:;[a-zA-Z\d]*)*)?\x07)"
    rb"|(?:(?:\d{1,4}(?:;\d{0,4})*)?[\dA-PRZcf-ntqry=><~]))"
)


class RegexpParser:
    """`regexp "…"`: the named groups of the first match; no match, no labels."""

    def __init__(self, pattern: str, hints: Hints) -> None:
        self._pattern = compile_regexp(pattern)
        index = self._pattern.groupindex
        names = ((n if isinstance(n, str) else n.decode(), number) for n, number in index.items())
        self._groups = sorted((number, sanitize(name)) for name, number in names)
        self._hints = hints

    def __call__(self, row: Row) -> bool:
        """See compile.Step."""
        match = self._pattern.search(row.line)
        if match is None:
            return True
        for number, plain in self._groups:
            name = plain + EXTRACTED if row.taken(plain) else plain
            if self._hints.wants(name) and name not in row.extracted:
                row.set_parsed(name, to_text(match.group(number) or b""))
        return True


class PatternParser:
    """`pattern "<a> - <b>"`: a capture whose end is not found takes the rest of the line."""

    def __init__(self, pattern: str, hints: Hints) -> None:
        self._nodes = parse_parser_pattern(pattern)
        self._hints = hints

    def __call__(self, row: Row) -> bool:
        """See compile.Step."""
        if self._hints.satisfied(row.extracted):
            return True
        for plain, value in self._captures(row.line):
            name = plain + EXTRACTED if row.taken(plain) else plain
            if self._hints.wants(name) and name not in row.extracted:
                row.set_parsed(name, to_text(value))
        return True

    def _captures(self, line: bytes) -> list[tuple[str, bytes]]:
        nodes = self._nodes
        at = 0
        if not line:
            return []
        if not isinstance(nodes[0], Capture):
            if not line.startswith(to_bytes(nodes[0])):
                return []
            at = len(to_bytes(nodes[0]))
            nodes = nodes[1:]
        found: list[tuple[str, bytes]] = []
        for i in range(0, len(nodes), 2):
            literal = to_bytes(nodes[i + 1]) if i + 1 < len(nodes) else None
            end = -1 if literal is None else line.find(literal, at)
            if nodes[i] != "_":
                found.append((nodes[i], line[at:] if end < 0 else line[at:end]))
            if end < 0 or literal is None:
                break
            at = end + len(literal)
        return found


def decolorize(row: Row) -> bool:
    """`decolorize`."""
    if b"\x1b" in row.line or b"\xc2\x9b" in row.line:
        row.line = _ANSI.sub(b"", row.line)
    return True


def line_filter(node: LineFilter) -> Callable[[Row], bool]:
    """A line filter over the line as the stages before it left it; ValueError for a wrong one."""
    terms = [_placed_test(node.op[1], term) for term in node.terms]
    if node.op[0] == "!":
        return lambda row: not any(test(row.line) for test in terms)
    return lambda row: any(test(row.line) for test in terms)


def _placed_test(kind: str, term: LineTerm) -> Callable[[bytes], bool]:
    try:
        return line_test(kind, term)
    except ValueError as e:
        raise PartError(str(e), term.at) from None


def line_test(kind: str, term: LineTerm) -> Callable[[bytes], bool]:
    """Whether one term matches a line; `kind` is =, ~ or >."""
    if term.ip:
        if kind != "=":
            raise ValueError('ip: invalid operation; expected |= or != before ip("…")')
        return AddressFilter(term.text)
    if kind == "=":
        needle = to_bytes(term.text)
        return lambda line: needle in line
    if kind == "~":
        search = compile_regexp(term.text).search
        return lambda line: search(line) is not None
    return _pattern_test(parse_line_pattern(term.text))


def _pattern_test(nodes: list[str]) -> Callable[[bytes], bool]:
    literals = [None if isinstance(n, Capture) else to_bytes(n) for n in nodes]

    def test(line: bytes) -> bool:
        if not line or not literals:
            return not line and not literals
        at = 0
        for i, literal in enumerate(literals):
            if literal is None:
                continue
            found = line.find(literal, at)
            if found < 0 or (i and found == at):
                return False
            at = found + len(literal)
        return (literals[-1] is None) == (at != len(line))

    return test
