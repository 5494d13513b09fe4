"""The language of `pattern` and `|>`: literals with captures `<name>` and `<_>` between them."""

from __future__ import annotations

import re
from itertools import pairwise

_CAPTURE = re.compile(r"<([A-Za-z_][A-Za-z0-9_]*)>")


class Capture(str):
    """A capture's name; `_` catches and forgets. What is no Capture in a pattern is a literal."""

    __slots__ = ()


def _split(text: str) -> list[str]:
    nodes: list[str] = []
    at = 0
    for match in _CAPTURE.finditer(text):
        if match.start() > at:
            nodes.append(text[at : match.start()])
        nodes.append(Capture(match[1]))
        at = match.end()
    if at < len(text):
        nodes.append(text[at:])
    return nodes


def _refuse_neighbours(nodes: list[str]) -> None:
    for one, two in pairwise(nodes):
        if isinstance(one, Capture) and isinstance(two, Capture):
            raise ValueError(f"found consecutive capture '<{one}><{two}>': invalid expression")


def parse_parser_pattern(text: str) -> list[str]:
    """Nodes of a `pattern` stage; ValueError where it captures nothing, or one name twice."""
    if not text:
        raise ValueError("syntax error: unexpected $end, expecting IDENTIFIER or LITERAL")
    nodes = _split(text)
    names = [n for n in nodes if isinstance(n, Capture) and n != "_"]
    if not names:
        raise ValueError("at least one capture is required")
    _refuse_neighbours(nodes)
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"duplicate capture name ({name}): invalid expression")
    return nodes


def parse_line_pattern(text: str) -> list[str]:
    """Nodes of `|>`; its captures have no names, for nothing is captured."""
    nodes = _split(text)
    _refuse_neighbours(nodes)
    for node in nodes:
        if isinstance(node, Capture) and node != "_":
            raise ValueError(f"named captures are not allowed: found '<{node}>'; expected <_>")
    return nodes
