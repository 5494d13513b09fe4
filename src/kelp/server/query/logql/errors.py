"""How a wrong query is told to its writer: in Loki's words, with line and column where known.

Clients (Grafana, logcli) show the text as it is, and people search for it, so it is Loki's.
"""

from __future__ import annotations

from kelp.server.ports import QueryError


def syntax_error(message: str, line: int, column: int) -> QueryError:
    """An error at one place of the text; both numbers count from 1, the column in characters."""
    return QueryError(f"parse error at line {line}, col {column}: {message}")


def parse_error(message: str) -> QueryError:
    """An error of the query as a whole: its text can be read, but means nothing."""
    return QueryError(f"parse error : {message}")


def stage_error(stage: str, message: str) -> QueryError:
    """An error of one pipeline stage (a wrong regexp, template, path …)."""
    return parse_error(f"stage '{stage}' : {message}")
