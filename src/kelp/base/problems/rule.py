"""One row of the tables: what a line looks like, and what it means."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Where = Literal["kernel", "node", "container"]

# The attribute that names the problem of a record; what a rule's named groups catch stands beside
# it, each under this prefix.
PROBLEM = "problem"
PREFIX = "problem_"


class Rule(Struct, frozen=True, kw_only=True):
    """A reason, and the lines that give it.

    `pattern` is RE2, found anywhere in the line; what its named groups catch become attributes.
    `words` are literals of which one stands in every line that the pattern fits: they are looked
    for in all lines at once, the pattern in what they leave.
    `said_by` is who writes such lines, `example` is one.
    """

    reason: str
    severity: int  # number as in kelp.model.severity; a record's own may be higher
    said_by: str
    words: tuple[str, ...]
    pattern: str
    example: str
