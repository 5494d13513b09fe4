"""How a wrong query is told to its writer: in Loki's words, with line and column.

Clients (Grafana, logcli) show the text as it is, and people search for it, so it is Loki's. Loki
knows the place of syntax errors alone; Kelp names the place of everything that is wrong, and behind
Loki's words, where these do not say it, what was expected.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from kelp.server.ports import QueryError


class Place(NamedTuple):
    """Where something stands in a query; both count from 1, the column in characters."""

    line: int
    column: int


NOWHERE = Place(0, 0)


class PartError(ValueError):
    """What is wrong with one part of a stage, and where that part stands."""

    def __init__(self, message: str, at: Place) -> None:
        super().__init__(message)
        self.at = at


def parse_error(message: str, at: Place, expected: str = "") -> QueryError:
    """The query cannot be read, or means nothing, at one place.

    Loki writes `parse error : …` where it knows no place, and so do we for trees without a text.
    """
    where = f"at line {at.line}, col {at.column}" if at != NOWHERE else ""
    return placed(f"parse error {where}: {_with(message, expected)}", at)


def stage_error(stage: str, message: str, at: Place) -> QueryError:
    """An error of one pipeline stage (a wrong regexp, template, path …)."""
    return parse_error(f"stage '{stage}' : {message}", at)


def meaning_error(message: str, at: Place, expected: str = "") -> QueryError:
    """A query that can be read, and cannot be answered."""
    if at == NOWHERE:
        return QueryError(_with(message, expected))
    return placed(f"error at line {at.line}, col {at.column}: {_with(message, expected)}", at)


@contextmanager
def errors_at(at: Place) -> Iterator[None]:
    """What goes wrong within the block, and names no place yet, is told as being here."""
    try:
        yield
    except QueryError as e:
        if e.has_place:
            raise
        raise meaning_error(str(e), at) from e


def placed(message: str, at: Place) -> QueryError:
    """An error whose text names its place already."""
    return QueryError(message, has_place=at != NOWHERE)


def _with(message: str, expected: str) -> str:
    return f"{message}; expected {expected}" if expected else message
