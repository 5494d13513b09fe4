"""Names for expressions that stand in a query more than once.

The engine computes equal expressions once, wherever they stand; but their text would grow with
each use, and the engine bounds a query's text. So an expression is written down once, before the
SELECT, and named from there on.
"""

from __future__ import annotations

import re

_SHORT = 24  # what is no longer than this may as well be repeated
_NAME = re.compile(r"\bkelp_[0-9]+\b")


class Definitions:
    """Expressions of one query by the names that stand for them."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._weights: dict[str, int] = {}

    def name(self, expression: str) -> str:
        """What stands for the expression from here on; equal ones share a name."""
        if len(expression) <= _SHORT:
            return expression
        if expression not in self._names:
            weight = len(expression) + sum(
                self._weights.get(name, 0) for name in _NAME.findall(expression)
            )
            self._names[expression] = f"kelp_{len(self._names) + 1}"
            self._weights[self._names[expression]] = weight
        return self._names[expression]

    @property
    def weight(self) -> int:
        """How long the longest text would be with expressions in place of all names.

        The engine may put them there when it plans a query, and of names that are made of names
        twice each, few are needed to keep it busy for ever.
        """
        return max(self._weights.values(), default=0)

    def clause(self) -> str:
        """The WITH clause, with a blank behind it; empty where nothing has been named."""
        if not self._names:
            return ""
        return f"WITH {', '.join(f'{sql} AS {name}' for sql, name in self._names.items())} "
