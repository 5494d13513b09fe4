"""A format's pattern with the groups that are asked for, and no others.

Captures are what a match costs: RE2 has a fast way for patterns of up to four groups, and an access
log has twenty. Most questions are about one or two of them.
"""

from __future__ import annotations

import re
from functools import lru_cache

# What a group's opening may not be looked for in: an escaped character, a class.
_OPENING = re.compile(
    r"\\.|\[\^?\]?(?:\\.|\[:\^?\w+:\]|[^\]\\])*\]|\(\?P?<(\w+)>|\((?!\?)", re.DOTALL
)


@lru_cache(maxsize=4096)
def with_groups(pattern: str, names: frozenset[str]) -> tuple[str, dict[str, int]]:
    """The pattern for a whole line that captures these groups; name → the number of its group."""
    numbers: dict[str, int] = {}

    def opening(found: re.Match[str]) -> str:
        name = found[1]
        if name not in names:
            return "(?:" if found[0][0] == "(" else found[0]
        numbers[name] = len(numbers) + 1
        return "("

    return f"^(?:{_OPENING.sub(opening, pattern)})$", numbers


def group_names(pattern: str) -> frozenset[str]:
    """The names of a pattern's groups."""
    return frozenset(found[1] for found in _OPENING.finditer(pattern) if found[1] is not None)
