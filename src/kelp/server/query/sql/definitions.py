"""Names for expressions that stand in a query more than once.

The engine computes equal expressions once, wherever they stand; but their text would grow with
each use, and the engine bounds a query's text. So an expression is written down once, before the
SELECT, and named from there on.
"""

from __future__ import annotations

_SHORT = 24  # what is no longer than this may as well be repeated


class Definitions:
    """Expressions of one query by the names that stand for them."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def name(self, expression: str) -> str:
        """What stands for the expression from here on; equal ones share a name."""
        if len(expression) <= _SHORT:
            return expression
        return self._names.setdefault(expression, f"kelp_{len(self._names) + 1}")

    def clause(self) -> str:
        """The WITH clause, with a blank behind it; empty where nothing has been named."""
        if not self._names:
            return ""
        return f"WITH {', '.join(f'{sql} AS {name}' for sql, name in self._names.items())} "
